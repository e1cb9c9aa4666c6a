package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"brs-exec/internal/message"
	"brs-exec/internal/refresh"
	"brs-exec/internal/source"
)

// session is who the command is to be: the source of its credentials, and what keeps them valid.
type session struct {
	flags *cli
	sts   *sandboxSTS // nil without --sandbox
	log   *slog.Logger
	src   *source.Source
	creds *refresh.Refresher
}

func newSession(
	ctx context.Context, flags *cli, sts *sandboxSTS, env []string, log *slog.Logger,
) (*session, error) {
	src, err := source.New(ctx, sourceOptions(flags, sts, env, log))
	if err != nil {
		return nil, err
	}
	return &session{flags, sts, log, src, refresh.New(src, refreshOptions(flags, src, log))}, nil
}

// firstCredentials asks what only a person can tell, and then the source.
func (s *session) firstCredentials(ctx context.Context) error {
	if err := s.src.Prepare(ctx); err != nil {
		return err
	}
	return s.start(ctx)
}

// start gets the first credentials and looks at them: are they whose they should be, and will they
// last?
func (s *session) start(ctx context.Context) error {
	if err := s.creds.Start(ctx); err != nil {
		return err
	}
	if err := s.expectAccount(ctx); err != nil {
		return err
	}
	end := s.src.RenewableUntil()
	if end.IsZero() {
		return nil
	}
	left := time.Until(end)
	switch {
	case left < s.flags.mustLast:
		return message.Errorf("log in anew first, or use a source that renews itself",
			"%s can be renewed unattended for %s; --must-last asks %s",
			s.src.Describe(), left.Round(time.Second), s.flags.mustLast)
	case left < time.Hour:
		s.log.Warn("the credentials can't be renewed unattended for an hour", "until", end, "source", s.src.Describe())
	}
	return nil
}

func (s *session) expectAccount(ctx context.Context) error {
	expected := s.flags.expectAccount
	if expected == "" {
		return nil
	}
	creds, err := s.creds.Retrieve(ctx)
	if err != nil {
		return err
	}
	account := creds.AccountID
	if account == "" {
		if account, _, _, err = s.src.CallerIdentity(ctx, creds); err != nil {
			return fmt.Errorf("--expect-account: %w", err)
		}
	}
	if account != expected {
		return message.Errorf("check --role-arn and --profile: "+s.src.Describe(),
			"the credentials are of account %s; --expect-account asks %s", account, expected)
	}
	return nil
}
