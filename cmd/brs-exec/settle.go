package main

import (
	"context"
	"runtime/debug"
	"time"
)

// settle gives the memory of the start (the command line, TLS, XML) back to the
// system once a command has proved to be no short one.
func settle(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(time.Second):
		debug.FreeOSMemory()
		dropCode()
	}
}
