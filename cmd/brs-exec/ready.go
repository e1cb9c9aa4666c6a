package main

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec/internal/hint"
	"brs-exec/internal/source"
)

// readyLimit is less than a second, which is what a Kubernetes probe has: a server answers within
// 0.6 s.
const readyLimit = 900 * time.Millisecond

// ready is for probes: it fails unless a share, or the endpoint of the environment, has a valid
// credential now. It asks once, and never STS; whose the credentials are is not its question.
func ready(ctx context.Context, flags *cli, env []string) error {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	creds, err := askReady(ctx, flags, env)
	if err == nil && !time.Now().Before(creds.Expires) {
		err = errors.New("what is served has expired")
	}
	return err
}

func askReady(ctx context.Context, flags *cli, env []string) (creds aws.Credentials, err error) {
	if flags.source.FromShare == "" {
		if getenv(env, endpointVariable) == "" {
			return creds, hint.Errorf("--ready --from-share DIR, or run it inside", "there is no endpoint to ask")
		}
		creds, _, err = get(ctx, wanted{}, env)
		return creds, err
	}
	o := source.Options{Env: env, Names: flags.optionNames, FromShare: flags.source.FromShare, AnyServer: true}
	src, err := source.New(ctx, o)
	if err != nil {
		return creds, err
	}
	defer src.Close()
	return src.Retrieve(ctx)
}
