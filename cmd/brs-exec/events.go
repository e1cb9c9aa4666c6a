package main

import (
	"context"
	"log/slog"
	"path/filepath"
	"runtime"
	"time"

	"brs-exec/internal/ecsserver"
	"brs-exec/internal/runner"
)

// A record with an attribute "event" is of those that docs/MACHINE.md promises to machines: name,
// level and fields stay. A test holds that table to what a run says. The events of the command are
// here; the others are logged where they happen.

// tellStart tells of the command by its name alone: arguments may hold secrets.
func (s *session) tellStart(program string, pid int) {
	if s.log.Enabled(context.Background(), slog.LevelInfo) {
		s.log.Info("command started", "event", "started", "command", filepath.Base(program), "pid", pid,
			"source", s.src.Describe(), "version", version())
	}
}

func (s *session) tellEnd(status runner.Status, began time.Time) {
	attrs := []slog.Attr{slog.String("event", "child_exited"), slog.Int("status", status.Code())}
	if status < 0 {
		attrs = append(attrs, slog.Int("signal", -int(status)))
	}
	attrs = append(attrs, slog.Duration("ran", time.Since(began).Round(time.Millisecond)))
	s.log.LogAttrs(context.Background(), slog.LevelInfo, "command ended", attrs...)
}

// tellSummary is the run in one line. srv is nil if there was no endpoint.
func (s *session) tellSummary(srv *ecsserver.Server) {
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

// tellState tells how much is going on, for those who debug: the soak reads it.
func (s *session) tellState(ctx context.Context) {
	for ticks := time.Tick(10 * time.Second); ; {
		s.log.Debug("state", "goroutines", runtime.NumGoroutine())
		select {
		case <-ctx.Done():
			return
		case <-ticks:
		}
	}
}
