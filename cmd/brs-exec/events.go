package main

import (
	"context"
	"log/slog"
	"path/filepath"
	"time"

	"brs-exec/internal/runner"
)

// A record with an attribute "event" is of those that docs/EVENTS.md promises to
// machines: name, level and fields stay. A test holds that table to what a run
// says. These two are of the command; the others are made where they happen.

// started tells of the command by its name alone: arguments may hold secrets.
func (s *session) started(pid int, began time.Time) {
	s.began = began
	if s.log.Enabled(context.Background(), slog.LevelInfo) {
		s.log.Info("command started", "event", "started", "command", filepath.Base(s.Command[0]), "pid", pid,
			"source", s.src.Describe(), "version", version())
	}
}

func (s *session) exited(status runner.Status) {
	if s.began.IsZero() {
		return // it could not be started
	}
	attrs := []slog.Attr{slog.String("event", "child_exited"), slog.Int("status", status.Code())}
	if status < 0 {
		attrs = append(attrs, slog.Int("signal", -int(status)))
	}
	attrs = append(attrs, slog.Duration("ran", time.Since(s.began).Round(time.Millisecond)))
	s.log.LogAttrs(context.Background(), slog.LevelInfo, "command ended", attrs...)
}
