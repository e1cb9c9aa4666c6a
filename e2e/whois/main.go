// Command whois prints who the AWS SDK's default chain is, as STS sees it.
//
//	whois [FOR PAUSE [frozen]]
//
// With two durations it asks again and again for so long, with such pauses, and prints nothing; frozen, it does all that
// with a copy of its first credentials, as a program that read them at its start.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

func main() {
	if err := whois(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func whois(ctx context.Context, args []string) error {
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return err
	}
	if len(args) < 2 {
		id, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, nil)
		if err == nil {
			fmt.Println(*id.Arn)
		}
		return err
	}
	if len(args) == 3 {
		creds, err := cfg.Credentials.Retrieve(ctx)
		if err != nil {
			return err
		}
		creds.CanExpire = false
		cfg.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return creds, nil })
	}
	return loop(ctx, cfg, args)
}

func loop(ctx context.Context, cfg aws.Config, args []string) error {
	length, err := time.ParseDuration(args[0])
	if err != nil {
		return err
	}
	pause, err := time.ParseDuration(args[1])
	if err != nil {
		return err
	}
	for end := time.Now().Add(length); time.Now().Before(end); time.Sleep(pause) {
		if _, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, nil); err != nil {
			return err
		}
	}
	return nil
}
