package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"brs-exec/internal/hint"
	"brs-exec/internal/message"
)

// The demonstration, `brs-exec --sandbox` without a command: brs-exec runs itself as the command,
// in the role of a plain SDK client, while the sandbox's credentials live only demoLife. It is the
// real way from end to end: nothing in it is staged but the shortness of the life.
const (
	demoLife   = 4 * time.Second
	demoLength = 15 * time.Second
	demoPause  = 250 * time.Millisecond
)

const demoIntro = `An embedded STS gives credentials that live %v. The program below is a plain AWS
SDK client; every %v it asks STS who it is, and STS refuses what has expired.

`

// demoFlag makes brs-exec that child. It is no flag of cli; the word behind it is the life to tell.
const demoFlag = "--demo-client"

// demoClient is the child: the SDK's cache over its container provider, and a call every demoPause.
// Each credential is a line, each call that went well a dot on it.
func demoClient(ctx context.Context, args []string, w io.Writer) error {
	if len(args) != 1 || os.Getenv(endpointVariable) == "" {
		return hint.Errorf("--sandbox", "%s is the demonstration's own", demoFlag)
	}
	fmt.Fprintf(w, demoIntro, args[0], demoPause)
	cfg, err := demoConfig()
	if err != nil {
		return err
	}
	var d demo
	for start := time.Now(); time.Since(start) < demoLength && ctx.Err() == nil; time.Sleep(demoPause) {
		d.call(ctx, cfg, w, time.Since(start))
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return d.verdict(w)
}

// demoConfig is what config.LoadDefaultConfig makes of a child's environment. To link that for the
// demonstration alone costs 240 KB.
func demoConfig() (aws.Config, error) {
	env, err := config.NewEnvConfig()
	if err != nil {
		return aws.Config{}, err
	}
	provider := endpointcreds.New(env.ContainerCredentialsEndpoint, func(o *endpointcreds.Options) {
		o.AuthorizationToken = env.ContainerAuthorizationToken
	})
	early := func(o *aws.CredentialsCacheOptions) { o.ExpiryWindow = 5 * time.Minute }
	cache := aws.NewCredentialsCache(provider, early)
	return aws.Config{Region: env.Region, Credentials: cache, ConfigSources: []any{env}}, nil
}

// demo counts what the verdict tells.
type demo struct {
	key                        string
	calls, rotations, failures int
}

// call makes one call and shows it.
func (d *demo) call(ctx context.Context, cfg aws.Config, w io.Writer, at time.Duration) {
	d.calls++
	creds, err := cfg.Credentials.Retrieve(ctx)
	var id *sts.GetCallerIdentityOutput
	if err == nil {
		id, err = sts.NewFromConfig(cfg).GetCallerIdentity(ctx, nil)
	}
	if err != nil {
		d.failures++
		fmt.Fprintf(w, "\n%6.1f s  failed: %s", at.Seconds(), message.OneLine(err.Error()))
		return
	}
	switch {
	case d.key == "":
		fmt.Fprintf(w, "%6.1f s  %s\n          key …%s  ", at.Seconds(), *id.Arn, tail(creds.AccessKeyID))
	case d.key != creds.AccessKeyID:
		d.rotations++
		fmt.Fprintf(w, "\n%6.1f s  rotated: key …%s  ", at.Seconds(), tail(creds.AccessKeyID))
	}
	d.key = creds.AccessKeyID
	fmt.Fprint(w, ".")
}

// verdict is the last line; a failed call is an error.
func (d *demo) verdict(w io.Writer) error {
	fmt.Fprintf(w, "\n\n%d calls, %d rotations, %d failures", d.calls, d.rotations, d.failures)
	if d.failures > 0 {
		fmt.Fprintln(w)
		return fmt.Errorf("%d of %d calls failed", d.failures, d.calls)
	}
	_, err := fmt.Fprintln(w, ": no call met an expired credential")
	return err
}

// tail is enough of a key's id to tell it from the next.
func tail(id string) string { return id[max(0, len(id)-4):] }
