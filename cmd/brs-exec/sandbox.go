package main

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec/internal/sandbox"
	"brs-exec/internal/source"
)

const (
	sandboxRegion = "us-east-1"
	sandboxRole   = "arn:aws:iam::" + sandbox.Account + ":role/sandbox"
	sandboxLife   = 15 * time.Minute
)

// sandboxSTS is the embedded STS of --sandbox.
type sandboxSTS struct {
	sts  *sandbox.STS
	url  string
	srv  *http.Server
	done sync.WaitGroup
}

// startSandbox starts the STS; without --sandbox it returns nil.
func startSandbox(flags *cli) (*sandboxSTS, error) {
	if !flags.sandbox {
		return nil, nil
	}
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	life := sandboxLife
	if flags.demonstrates() {
		life = demoLife
	}
	sts := sandbox.New(sandbox.Options{TTL: cmp.Or(flags.sandboxTTL, life)})
	s := &sandboxSTS{
		sts: sts,
		url: "http://" + ln.Addr().String(),
		srv: &http.Server{Handler: sts, ReadHeaderTimeout: 10 * time.Second},
	}
	s.done.Go(func() { s.srv.Serve(ln) })
	return s, nil
}

func (s *sandboxSTS) stop() {
	if s != nil {
		s.srv.Close()
		s.done.Wait()
	}
}

// standIn puts the sandbox in the place of STS and of the base credentials, and its role in that of
// the role if none is given.
func (s *sandboxSTS) standIn(o *source.Options) {
	base := s.sts.BaseCredentials()
	o.Base = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return base, nil })
	o.BaseName, o.STSEndpointURL = "sandbox", s.url
	if len(o.RoleARNs) == 0 {
		o.RoleARNs = []string{sandboxRole}
	}
}

// demonstrates says whether the demonstration is the command.
func (c *cli) demonstrates() bool {
	return c.sandbox && len(c.runner.Args) == 0 && !c.runsNothing() && !c.serve
}

// commandOrDemo returns what is to run.
func (c *cli) commandOrDemo() ([]string, error) {
	if !c.demonstrates() {
		return c.runner.Args, nil
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find brs-exec itself for the demonstration: %w", err)
	}
	return []string{self, demoFlag, cmp.Or(c.sandboxTTL, demoLife).String()}, nil
}
