//go:build !(linux && (amd64 || arm64))

package entry

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// ErrUnavailable is Launch's only answer here.
var ErrUnavailable = errors.New("no early entry point")

// State is what the process was started with: here, nobody knows.
type State struct{ Ignored, Blocked, Closed uint64 }

// Seen is false here.
func Seen() bool { return false }

// Inherited is empty here.
func Inherited() State { return State{} }

// Start fails here.
func Start(string, []string, []string, []uintptr, *syscall.SysProcAttr) (int, error) {
	return 0, ErrUnavailable
}

// Command is what Launch can't start here.
type Command struct {
	Path      string
	Argv, Env []string
	Death     syscall.Signal
	Subreaper bool
	TTY       *os.File
	Stopped   func(pid int, sig syscall.Signal)
}

// Process is never seen here.
type Process struct {
	Pid      int
	Released time.Duration
	Leader   int
}

// Launch fails here.
func Launch(Command) (*Process, error) { return nil, ErrUnavailable }

// Close is never called here.
func (*Process) Close() {}
