package source

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// A Step is one thing that Retrieve did, without what it did before it.
type Step struct {
	What string // one of Steps, or what came up: an MFA session
	Took time.Duration
	Err  error // may have Hints
}

// Steps names beforehand what Retrieve does, in its order: the base credentials, then each role. It is for those who Trace.
func (s *Source) Steps() []string {
	var names []string
	if w := s.chain.web; w != nil {
		names = append(names, w.step())
	} else {
		names = append(names, s.baseStep)
	}
	for _, h := range s.chain.hops {
		names = append(names, h.step())
	}
	return names
}

func (h *hop) step() string { return "assume role " + h.arn }

func (w *webIdentity) step() string { return "assume role " + w.arn + " with a web identity token" }

// begins starts the clock of a step; whoever begins one ends it.
func (s *Source) begins(what string) (ends func(error)) {
	if s.trace == nil {
		return func(error) {}
	}
	begun := time.Now()
	return func(err error) { s.trace(Step{what, time.Since(begun), err}) }
}

// traced is a provider at the bottom of the chain, whose asking is a step.
type traced struct {
	aws.CredentialsProvider
	s *Source
}

func (t traced) Retrieve(ctx context.Context) (aws.Credentials, error) {
	ends := t.s.begins(t.s.baseStep)
	creds, err := t.CredentialsProvider.Retrieve(ctx)
	ends(err)
	return creds, err
}

// watch has c's provider traced, if anybody wants that.
func (b *builder) watch(c *chain) {
	if b.s.trace != nil && c.provider != nil && c.web == nil && len(c.hops) == 0 {
		c.provider, b.s.baseStep = traced{c.provider, b.s}, "base credentials: "+c.String()
	}
}
