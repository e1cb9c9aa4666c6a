// Command who is aws-sdk-go v1's default chain.
// usage: who | loop SECONDS, as in ../loop.py.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go/aws"
	"github.com/aws/aws-sdk-go/aws/session"
	"github.com/aws/aws-sdk-go/service/sts"
)

func main() {
	s, err := session.NewSession()
	if err != nil {
		log.Fatal(err)
	}
	// v1 does not know AWS_ENDPOINT_URL_STS.
	client := sts.New(s, aws.NewConfig().WithEndpoint(os.Getenv("AWS_ENDPOINT_URL_STS")))
	whoami := func() (string, error) {
		id, err := client.GetCallerIdentity(nil)
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
	calls, errs, seen := 0, []string{}, map[string]bool{}
	for begun := time.Now(); time.Since(begun).Seconds() < seconds; time.Sleep(200 * time.Millisecond) {
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
