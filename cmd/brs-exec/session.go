package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec/internal/childenv"
	"brs-exec/internal/ecsserver"
	"brs-exec/internal/refresh"
	"brs-exec/internal/rehearse"
	"brs-exec/internal/source"
)

// session is one run: who the command is to be, and for how long.
type session struct {
	*cli
	began time.Time // the command's start; zero before
	src   *source.Source
	creds *refresh.Refresher
	log   *slog.Logger

	profile string          // the chosen one, perhaps without credentials of its own
	keys    aws.Credentials // for variables; zero: none
	file    []byte          // what the credentials file says
	watch   *rehearse.Watch // nil but under --rehearse
}

// begin asks what only a person can tell, and then, unless the command is to
// start early, for the first credentials.
func (s *session) begin(ctx context.Context) error {
	if err := s.src.Prepare(ctx); err != nil || s.StartEarly {
		return err
	}
	return s.start(ctx)
}

// start gets the first credentials and looks at them: are they whose they should
// be, and will they last?
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
	case left < s.MustLast:
		err := fmt.Errorf("%s can be renewed unattended for %s; --must-last asks %s", s.src.Describe(), left.Round(time.Second), s.MustLast)
		return hinted(err, "log in anew first, or use a source that renews itself")
	case left < time.Hour:
		s.log.Warn("the credentials can't be renewed unattended for an hour", "until", end, "source", s.src.Describe())
	}
	return nil
}

func (s *session) expectAccount(ctx context.Context) error {
	if s.ExpectAccount == "" {
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
	if account != s.ExpectAccount {
		err := fmt.Errorf("the credentials are of account %s; --expect-account asks %s", account, s.ExpectAccount)
		return hinted(err, "check --role-arn and --profile: "+s.src.Describe())
	}
	return nil
}

// identity is the JSON of --whoami; the first three are those of
// `aws sts get-caller-identity`.
type identity struct {
	Account, Arn, UserId string //nolint:revive // AWS's spelling
	Source               string
	Expiration           *time.Time `json:",omitempty"` // absent: never, as far as is known
	RenewableUntil       *time.Time `json:",omitempty"` // without a person's help; absent: no end is known
}

// whoami tells who the command would be.
func (s *session) whoami(ctx context.Context, w io.Writer) error {
	s.StartEarly = false
	if err := s.begin(ctx); err != nil {
		return err
	}
	creds, err := s.creds.Retrieve(ctx)
	if err != nil {
		return err
	}
	id := identity{Source: s.src.Describe()}
	if id.Account, id.Arn, id.UserId, err = s.src.CallerIdentity(ctx, creds); err != nil {
		return err
	}
	if creds.CanExpire {
		id.Expiration = wholeSeconds(creds.Expires)
	}
	if end := s.src.RenewableUntil(); !end.IsZero() {
		id.RenewableUntil = wholeSeconds(end)
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "    ")
	return e.Encode(id)
}

func wholeSeconds(t time.Time) *time.Time {
	t = t.UTC().Truncate(time.Second)
	return &t
}

// environment is the command's.
func (s *session) environment(parent []string, srv *ecsserver.Server, files childenv.Files) []string {
	e := childenv.Endpoint{
		Keys:           s.keys,
		Region:         s.src.Region(),
		RegionExplicit: s.Region != "",
		TokenIn:        s.TokenIn,
		AllowIMDS:      s.AllowIMDS,
		NoIsolation:    s.NoIsolation,
		RoleARN:        s.src.RoleARN(),
	}
	if srv != nil && !s.unserved() {
		e.URL, e.Token = srv.URL(), srv.Token()
	}
	if s.sandbox != nil {
		e.STSURL = s.sandbox.url
		if e.Region == "" {
			e.Region = sandboxRegion
		}
	}
	return childenv.Build(parent, e, files)
}

// background does what goes on beside the command: fetching, serving, keeping
// the private directory. stop ends it all and leaves nothing behind.
func (s *session) background(srv *ecsserver.Server, dir *childenv.Dir) (refused *refusal, stop func()) {
	ctx, end := context.WithCancel(context.Background())
	refused = &refusal{done: make(chan struct{})}
	var wg sync.WaitGroup
	wg.Go(func() {
		if s.StartEarly {
			if err := s.start(ctx); err != nil && ctx.Err() == nil {
				refused.because(err)
				return
			}
		}
		logError(s.log, s.creds.Run(ctx))
	})
	if srv != nil {
		wg.Go(func() { logError(s.log, srv.Serve(ctx)) })
	}
	if s.delivery.file {
		wg.Go(func() { s.keepFile(ctx, dir) })
	}
	wg.Go(func() { dir.Keep(ctx) })
	wg.Go(func() { settle(ctx, s.log) })
	if s.watch != nil {
		wg.Go(func() { s.watch.Run(ctx, srv.Addr()) })
	}
	return refused, func() { // in this order: late grandchildren then send no token to whoever has the port next
		logError(s.log, dir.RemoveToken())
		end()
		wg.Wait()
		logError(s.log, dir.Remove())
	}
}

// refusal is why, under --start-early, there will be no credentials after all.
type refusal struct {
	done chan struct{} // closed when there is an err
	err  error
}

func (r *refusal) because(err error) {
	r.err = err
	close(r.done)
}

func (r *refusal) why() error {
	select {
	case <-r.done:
		return r.err
	default:
		return nil // the command's own status happens to be ours
	}
}
