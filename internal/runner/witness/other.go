//go:build !(linux && (amd64 || arm64))

package witness

import (
	"syscall"
	"time"
)

// Witness needs the early entry point and siginfo: there is none here.
type Witness struct{ PID int }

// Collected is never called here.
func (*Witness) Collected() {}

// Gone is false here.
func (*Witness) Gone() bool { return false }

// Ask does nothing here.
func (*Witness) Ask() {}

// Saw is false here.
func (*Witness) Saw(syscall.Signal, int, time.Duration) bool { return false }

// Stop does nothing here.
func (*Witness) Stop() {}
