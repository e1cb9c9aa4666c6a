package source

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec/internal/source/problem"
	"brs-exec/internal/source/stsapi"
)

// A hop assumes one role with the credentials below it.
type hop struct {
	s       *Source
	base    aws.CredentialsProvider
	by      string // the chain below, for people
	viaRole bool   // that yields a role's session, as far as is known

	role         stsapi.Role
	durationFrom problem.Input // who asked for its duration
	serial       string
	serialFrom   problem.Input
	mfa          *mfa // made of serial; nil: no code is asked
}

func (h *hop) checkDuration() error {
	if err := stsapi.CheckDuration(h.durationFrom, h.role.Duration); err != nil {
		return err
	}
	if h.viaRole && h.role.Duration > stsapi.MaxChainedDuration {
		return problem.Bad(h.durationFrom.With("3600: the command may run longer, its credentials are refreshed in time"),
			"%s %d: AWS gives one hour at most to a role that another role's session assumes",
			h.durationFrom, h.role.Duration/time.Second)
	}
	return nil
}

func (h *hop) Retrieve(ctx context.Context) (aws.Credentials, error) {
	caller, err := h.caller(ctx)
	if err != nil {
		return aws.Credentials{}, err
	}
	done := h.s.startStep(h.step())
	creds, owner, err := h.s.sts.AssumeRole(ctx, &h.role, caller)
	h.s.note(creds, owner)
	if err != nil {
		about := call{op: "assume role " + h.role.ARN, by: h.by, role: h.role.ARN, keys: caller.Keys,
			withCode: h.mfa != nil}
		err = h.s.explain(about, err)
	}
	done(err)
	if caller.Code != "" {
		h.mfa.turn.take(context.Background())
		defer h.mfa.turn.release()
		h.mfa.seen(err)
		h.mfa.until.set(creds.Expires)
	}
	return creds, err
}

func (h *hop) caller(ctx context.Context) (stsapi.Caller, error) {
	if h.mfa != nil {
		return h.mfa.caller(ctx, h.base)
	}
	keys, err := h.base.Retrieve(ctx)
	return stsapi.Caller{Keys: keys}, err
}
