// Command whoami asks AWS who it is, once a quarter of a second, for as long as it is told. It
// stands for any tool that works longer than its credentials live.
//
//	whoami [-copy] DURATION
//
// With -copy it does what many tools do: it reads the credentials once, at the start, and keeps
// them. Nothing can help such a tool, and its test says so: testdata/script.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "whoami:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	keep := flag.Bool("copy", false, "read the credentials once, and keep them")
	flag.Parse()
	length, err := time.ParseDuration(flag.Arg(0))
	if err != nil {
		return err
	}
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return err
	}
	if *keep {
		creds, err := cfg.Credentials.Retrieve(ctx)
		if err != nil {
			return err
		}
		cfg.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return creds, nil })
	}
	client := sts.NewFromConfig(cfg)
	for end := time.Now().Add(length); time.Now().Before(end); time.Sleep(250 * time.Millisecond) {
		id, err := client.GetCallerIdentity(ctx, nil)
		if err != nil {
			return err
		}
		fmt.Println(*id.Arn)
	}
	return nil
}
