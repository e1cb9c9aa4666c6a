package source

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// A Step is one thing that Retrieve, Prepare or CallerIdentity did, without what it did before it.
type Step struct {
	Kind StepKind
	What string // for people, and different for each step of a chain
	Took time.Duration
	Err  error // may have Hints
}

// A StepKind is what a Step is about.
type StepKind int

const (
	BaseStep     StepKind = iota + 1 // the base credentials
	RoleStep                         // one role of the chain
	SessionStep                      // a session that long-term keys buy
	CodeStep                         // an MFA code, which a person may be asked for
	IdentityStep                     // whose the credentials are
)

// Steps names beforehand what Retrieve does, in its order: the base credentials, then each role.
// It is for those who Trace.
func (s *Source) Steps() []Step {
	steps := []Step{s.baseStep}
	if w := s.chain.web; w != nil {
		steps[0] = w.step()
	}
	for _, h := range s.chain.hops {
		steps = append(steps, h.step())
	}
	return steps
}

func (h *hop) step() Step { return Step{Kind: RoleStep, What: "assume role " + h.role.ARN} }

func (w *webIdentity) step() Step {
	return Step{Kind: RoleStep, What: "assume role " + w.role.ARN + " with a web identity token"}
}

// startStep starts the clock of a step. done, which its caller must call, tells Trace of it.
func (s *Source) startStep(step Step) (done func(error)) {
	if s.trace == nil {
		return func(error) {}
	}
	begun := time.Now()
	return func(err error) {
		step.Took, step.Err = time.Since(begun), err
		s.trace(step)
	}
}

// traced is a provider at the bottom of the chain, whose asking is a step.
type traced struct {
	aws.CredentialsProvider
	s *Source
}

func (t traced) Retrieve(ctx context.Context) (aws.Credentials, error) {
	done := t.s.startStep(t.s.baseStep)
	creds, err := t.CredentialsProvider.Retrieve(ctx)
	done(err)
	return creds, err
}

// traceBase has c's provider traced, if it is the bottom of the chain and anybody wants that.
func (b *builder) traceBase(c *chain) {
	if b.s.trace != nil && c.provider != nil && c.web == nil && len(c.hops) == 0 {
		b.s.baseStep = Step{Kind: BaseStep, What: "base credentials: " + c.String()}
		c.provider = traced{c.provider, b.s}
	}
}
