package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"brs-exec/internal/ecsserver"
	"brs-exec/internal/rehearse"
	"brs-exec/internal/runner"
)

// shortestRehearsal: advertised expiries are whole seconds, so that a life may be one shorter than it was asked to be.
const shortestRehearsal = 2 * time.Second

// checkRehearsal refuses what could only end in a verdict that says nothing.
func (c *cli) checkRehearsal() error {
	switch {
	case c.Rehearse == 0:
		return hinted(errors.New("--rehearse-fail is for a rehearsal"), "add --rehearse 1m")
	case !rehearse.Supported:
		return hinted(errors.New("--rehearse: only Linux tells which process fetched"), "leave it out, or rehearse on Linux")
	case c.Rehearse < shortestRehearsal:
		return hinted(fmt.Errorf("--rehearse %v is too short: expiries are whole seconds", c.Rehearse), "--rehearse 1m; SDKs that fetch late need 10s or more")
	case c.runsNothing():
		return hinted(errors.New("--rehearse needs a command to watch"), "give one, or drop --rehearse")
	case !c.delivery.endpoint: // the process of --deliver process fetches in the program's place
		return hinted(errors.New("--rehearse watches who fetches from the endpoint, which this --deliver leaves out"), "drop --deliver, or --rehearse")
	case c.NoSession:
		return hinted(errors.New("--rehearse watches who fetches; --no-session hands the keys over as variables"), "drop --no-session, or --rehearse")
	}
	return nil
}

// serving are the server's options, a rehearsal included.
func (s *session) serving() ecsserver.Options {
	o := s.server(s.log)
	if s.Rehearse == 0 {
		return o
	}
	s.watch = rehearse.New()
	o.Watch = func(f ecsserver.Fetch) { s.watch.Fetched(f.PID, f.Expires, f.Ends) }
	if o.MaxTTL == 0 || s.Rehearse < o.MaxTTL {
		o.MaxTTL = s.Rehearse
	}
	return o
}

// verdicts prints what the rehearsal showed and returns the run's status.
func (s *session) verdicts(status runner.Status, w io.Writer) runner.Status {
	if s.watch == nil {
		return status
	}
	verdicts := s.watch.Verdicts()
	for _, v := range verdicts {
		fmt.Fprintf(w, "brs-exec: rehearsal: %s\n", oneLine(v.String()))
		if v.Kind == rehearse.WouldFail && s.RehearseFail {
			status = runner.RunFailed
		}
	}
	if len(verdicts) == 0 {
		fmt.Fprintf(w, "brs-exec: rehearsal: no process fetched credentials: not exercised: must run until it calls AWS, and then longer than %v\n", s.Rehearse)
	}
	return status
}

// summarize is the run in one line. srv is nil if there was no endpoint.
func (s *session) summarize(srv *ecsserver.Server) {
	if !s.log.Enabled(context.Background(), slog.LevelInfo) {
		return
	}
	fetched := s.creds.Stats()
	var served ecsserver.Stats
	if srv != nil {
		served = srv.Stats()
	}
	attrs := []slog.Attr{
		slog.String("event", "summary"),
		slog.Uint64("rotations", fetched.Rotations),
		slog.Uint64("gets", served.Served),
		slog.Uint64("unavailable", served.Unavailable),
		slog.Int("processes", served.Processes),
		slog.Uint64("sts_calls", fetched.Fetches),
		slog.Uint64("sts_failures", fetched.Failures),
		slog.Duration("longest_wait", served.LongestWait),
	}
	if served.Served > 0 {
		attrs = append(attrs, slog.Duration("least_left", served.LeastLeft))
	}
	s.log.LogAttrs(context.Background(), slog.LevelInfo, "summary of the run", attrs...)
}
