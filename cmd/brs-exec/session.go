package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec/internal/bypass"
	"brs-exec/internal/gate"
	"brs-exec/internal/hint"
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
	files *bypass.Watch // of the user's, that the command may open; nil: none is watched

	inherited []net.Listener   // from the service manager, under --serve
	further   *furtherProfiles // nil without --with-profile
}

func newSession(
	ctx context.Context, flags *cli, sts *sandboxSTS, env []string, log *slog.Logger,
) (*session, error) {
	// What New reads may be a FIFO that nobody writes to.
	limited, cancel := context.WithTimeout(ctx, flags.startTimeout())
	defer cancel()
	o := sourceOptions(flags, sts, env, log)
	if flags.withProfile != nil {
		o.Shared = source.NewShared()
	}
	src, err := source.New(limited, o)
	if err != nil {
		return nil, err
	}
	s := &session{flags: flags, sts: sts, log: log, src: src}
	if s.further, err = s.openProfiles(limited, env, o.Shared); err != nil {
		src.Close()
		return nil, err
	}
	s.creds = refresh.New(s.unwatched(onlyOurs(flags, src)), refreshOptions(flags, src, log))
	return s, nil
}

// onlyOurs lets pass of the source's credentials those that are whose they should be (DESIGN §9).
func onlyOurs(flags *cli, src *source.Source) aws.CredentialsProvider {
	return guarded(src, flags.expectAccount, flags.allowIdentityChange,
		func(err error) error { return refusal(flags, src, err) })
}

// guarded puts the gate before a source. tell adds to an error what to type.
func guarded(
	src *source.Source, account string, allowChange bool, tell func(error) error,
) aws.CredentialsProvider {
	g := gate.New(src, gate.Options{
		Account: account, AllowChange: allowChange,
		Said: src.Owner, Refused: source.Permanent,
		Ask: func(ctx context.Context, creds aws.Credentials) (string, error) {
			_, arn, _, err := src.CallerIdentity(ctx, creds)
			return arn, err
		},
		Now: func() time.Time { return time.Now().Add(-src.Skew()) },
	})
	return aws.CredentialsProviderFunc(func(ctx context.Context) (creds aws.Credentials, err error) {
		defer recovered(func(bug error) { creds, err = aws.Credentials{}, bug })
		creds, err = g.Retrieve(ctx)
		return creds, tell(err)
	})
}

// refusal adds to an error of the gate what to type.
func refusal(flags *cli, src *source.Source, err error) error {
	if e, ok := errors.AsType[*gate.AccountError](err); ok {
		return hint.Errorf("check --role-arn and --profile: "+src.Describe(),
			"%w; %s asks %s", err, flags.given("expect-account"), e.Want)
	}
	if _, ok := errors.AsType[*gate.PrincipalError](err); ok {
		return hint.Errorf("--allow-identity-change, if they may change", "%s: %w", src.Describe(), err)
	}
	if e, ok := errors.AsType[*gate.UnusableError](err); ok && e.Control {
		return hint.Errorf("take it out where they come from: printf, not echo, ends no line",
			"%s: %w", src.Describe(), err)
	}
	if _, ok := errors.AsType[*gate.UnusableError](err); ok {
		return hint.Errorf("it is asked again; check this machine's clock (date -u) and what hands them out",
			"%s: %w", src.Describe(), err)
	}
	return err
}

// permanent says that no retry heals err, of the source or of the gate.
func permanent(err error) bool { return source.Permanent(err) || gate.Permanent(err) }

// firstCredentials asks what only a person can tell, and then the source.
func (s *session) firstCredentials(ctx context.Context) error {
	if err := s.prepare(ctx); err != nil {
		return err
	}
	return s.start(ctx)
}

// prepare asks all that only a person can tell.
func (s *session) prepare(ctx context.Context) error {
	if err := s.src.Prepare(ctx); err != nil {
		return err
	}
	return s.further.prepare(ctx)
}

func (s *session) close() {
	s.further.close()
	s.src.Close()
}

// start gets the first credentials. Will they last?
func (s *session) start(ctx context.Context) error {
	if err := s.creds.Start(ctx); err != nil {
		return err
	}
	const anew = "log in anew first, or use a source that needs no person"
	end, must := s.src.RenewableUntil(), s.flags.mustLast
	left := time.Until(end)
	switch {
	case must > 0 && s.src.Doubt(time.Now().Add(must)) != "":
		return hint.Errorf(anew, "%s; --must-last asks %s", s.src.Doubt(time.Now().Add(must)), must)
	case end.IsZero():
	case left < must:
		return hint.Errorf(anew, "%s can be refreshed unattended for %s; --must-last asks %s",
			s.src.Describe(), left.Round(time.Second), must)
	case left < time.Hour:
		s.log.Warn("the credentials can be refreshed unattended for less than an hour",
			"until", end, "source", s.src.Describe())
	}
	return nil
}
