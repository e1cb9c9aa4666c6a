// Command who is minio-go's IAM provider, the one that its programs use in a container.
// usage: who | loop SECONDS, as in ../loop.py.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

const version = "7.4.1"

func main() {
	ctx := context.Background()
	client, err := minio.New(strings.TrimPrefix(os.Getenv("AWS_ENDPOINT_URL_S3"), "http://"), &minio.Options{
		// The chain of mc and of most programs: variables, the shared file, IAM.
		Creds:  credentials.NewChainCredentials([]credentials.Provider{&credentials.EnvAWS{}, &credentials.FileAWSCredentials{}, &credentials.IAM{}}),
		Region: "us-east-1",
	})
	if err != nil {
		log.Fatal(err)
	}
	whoami := func() (string, error) {
		o, err := client.GetObject(ctx, "conformance", "whoami", minio.GetObjectOptions{})
		if err != nil {
			return "", err
		}
		defer o.Close()
		b, err := io.ReadAll(o)
		return string(b), err
	}
	if os.Args[1] == "who" {
		arn, err := whoami()
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(arn)
		return
	}
	loop(version, whoami)
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
