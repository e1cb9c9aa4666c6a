package main

import (
	"context"
	"log/slog"
	"runtime"
	"runtime/debug"
	"time"
)

// settle gives the memory of the start (the command line, TLS, XML) back to the
// system once a command has proved to be no short one. Then, for those who debug,
// it tells every ten seconds how much is going on.
func settle(ctx context.Context, log *slog.Logger) {
	select {
	case <-ctx.Done():
		return
	case <-time.After(time.Second):
		debug.FreeOSMemory()
		dropCode()
	}
	for log.Enabled(ctx, slog.LevelDebug) {
		log.Debug("state", "goroutines", runtime.NumGoroutine())
		select {
		case <-ctx.Done():
			return
		case <-time.After(10 * time.Second):
		}
	}
}
