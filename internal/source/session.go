package source

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec/internal/source/problem"
	"brs-exec/internal/source/stsapi"
)

// withoutRole re-serves the base credentials. Keys without a session token become a session: SDKs
// demand a token of an endpoint.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_GetSessionToken.html
type withoutRole struct {
	s         *Source
	base      aws.CredentialsProvider
	by        string        // base, for people
	duration  time.Duration // 0: an hour
	mfa       *mfa          // nil: no code is asked
	asTheyAre bool          // keys stay keys (NoSession)
	warned    bool
}

func (w *withoutRole) Retrieve(ctx context.Context) (aws.Credentials, error) {
	if w.mfa != nil {
		return w.withMFA(ctx)
	}
	creds, err := w.base.Retrieve(ctx)
	switch {
	case err != nil || w.asTheyAre:
		return creds, err
	case creds.SessionToken != "" && w.duration != 0:
		return aws.Credentials{}, w.hasOwnLife()
	case creds.SessionToken != "":
		return creds, nil
	}
	if !w.warned {
		w.warned = true
		w.s.log.Warn("long-term keys are served as a session, which can't call IAM nor most of STS")
	}
	return w.s.sessionToken(ctx, stsapi.Caller{Keys: creds}, w.by, w.duration)
}

// hasOwnLife refuses a duration for what is a session already.
func (w *withoutRole) hasOwnLife() error {
	names := w.s.names
	return problem.Bad(names.Hint("drop it, or add %v ARN", problem.RoleARN),
		"%s: %s yields a session, which has its own life", names.Input(problem.Duration), w.by)
}

func (w *withoutRole) withMFA(ctx context.Context) (aws.Credentials, error) {
	caller, err := w.mfa.caller(ctx, w.base)
	if err == nil && caller.Code != "" {
		hint := w.s.names.Hint("add %v: AssumeRole takes the code", problem.RoleARN)
		err = problem.Bad(hint, "only long-term keys can buy a session with MFA, and %s yields a session already", w.by)
	}
	return caller.Keys, err
}

// sessionToken buys a session with the caller's keys, and an MFA code if there is one. by names
// the keys.
func (s *Source) sessionToken(
	ctx context.Context, caller stsapi.Caller, by string, life time.Duration,
) (aws.Credentials, error) {
	done := s.startStep(Step{Kind: SessionStep, What: "get session token"})
	creds, err := s.sts.SessionToken(ctx, caller, life)
	if err != nil {
		err = s.explain(call{op: "get session token with " + by, by: by, keys: caller.Keys}, err)
	}
	done(err)
	return creds, err
}
