package entry

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// State is what the process was started with.
type State struct {
	Ignored uint64 // bit n-1: signal n was ignored
	Blocked uint64 // the signal mask, likewise
	Closed  uint64 // bit n: file descriptor n, of 0 to 2, was closed
}

// ErrUnavailable says that the program can't be started again in another role.
var ErrUnavailable = errors.New("no early entry point")

// Command is what Launch starts.
type Command struct {
	Path      string
	Argv, Env []string
	Death     syscall.Signal // comes when the thread that launches it ends; 0: none
	TTY       *os.File       // its terminal, for which it gets a session; nil: ours

	// Stopped is called when the process has stopped before it was the command, and is to return
	// when it may go on.
	Stopped func(pid int, sig syscall.Signal)
}

// Process is a command that runs.
type Process struct {
	Pid int

	// Released is a moment before its signals were unblocked, on the system's monotonic clock. What
	// came to it sooner has taken effect before it was the command.
	Released time.Duration

	// Leader leads its session; 0: it has ours.
	Leader int

	socket int // the other end is the command's, until its exec, and then the member's
}
