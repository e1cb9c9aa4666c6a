// Command naive is what one writes in an hour: kong, LoadDefaultConfig, stscreds, net/http. No refresh, no isolation, no
// signals. The start-up benchmark holds brs-exec to it.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"

	"github.com/alecthomas/kong"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

var cli struct {
	RoleARN         string   `name:"role-arn" required:"" help:"Role to assume."`
	RoleSessionName string   `name:"role-session-name" default:"naive" help:"Name of the session."`
	Command         []string `arg:"" passthrough:"" help:"Command to run."`
}

func main() {
	kong.Parse(&cli)
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "naive:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return err
	}
	creds := aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(sts.NewFromConfig(cfg), cli.RoleARN, func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName = cli.RoleSessionName
	}))
	if _, err := creds.Retrieve(ctx); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := creds.Retrieve(r.Context())
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		json.NewEncoder(w).Encode(map[string]any{
			"AccessKeyId": c.AccessKeyID, "SecretAccessKey": c.SecretAccessKey, "Token": c.SessionToken, "Expiration": c.Expires,
		})
	}))
	args := cli.Command
	if len(args) > 1 && args[0] == "--" {
		args = args[1:]
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), "AWS_CONTAINER_CREDENTIALS_FULL_URI=http://"+l.Addr().String()+"/")
	return cmd.Run()
}
