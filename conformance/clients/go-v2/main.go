// Command who is aws-sdk-go-v2's default chain.
// usage: who | loop SECONDS [PAUSE], as in ../loop.py.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

func main() {
	ctx := context.Background()
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		log.Fatal(err)
	}
	client := sts.NewFromConfig(cfg)
	whoami := func() (string, error) {
		id, err := client.GetCallerIdentity(ctx, nil)
		if err != nil {
			return "", err
		}
		return *id.Arn, nil
	}
	if os.Args[1] == "who" {
		arn, err := whoami()
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(arn)
		return
	}
	loop(aws.SDKVersion, whoami)
}

func loop(version string, whoami func() (string, error)) {
	seconds, err := strconv.ParseFloat(os.Args[2], 64)
	if err != nil {
		log.Fatal(err)
	}
	pause := 200 * time.Millisecond
	if len(os.Args) > 3 {
		if pause, err = time.ParseDuration(os.Args[3] + "s"); err != nil {
			log.Fatal(err)
		}
	}
	calls, errs, seen := 0, []string{}, map[string]bool{}
	begun := time.Now()
	for due := begun; time.Since(begun).Seconds() < seconds; time.Sleep(time.Until(due)) {
		if due = due.Add(pause); time.Until(due) < 0 {
			due = time.Now() // a late call is not caught up with
		}
		calls++
		if arn, err := whoami(); err != nil {
			errs = append(errs, err.Error())
		} else {
			seen[arn] = true
		}
	}
	arns := []string{}
	for arn := range seen {
		arns = append(arns, arn)
	}
	json.NewEncoder(os.Stdout).Encode(map[string]any{"version": version, "calls": calls, "errors": errs, "arns": arns})
}
