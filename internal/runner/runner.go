// Package runner runs one command as if the wrapper weren't there: same terminal, same signals,
// same end.
//
// The command runs in the wrapper's own session, process group, terminal, directory and limits,
// with file descriptors 0, 1 and 2 passed as numbers: no byte goes through the wrapper. What the
// kernel sends to the whole group has reached the command by itself; what somebody sends to the
// wrapper's process id is handed on, once. When the command stops, the wrapper stops with the same
// signal, so that a shell sees a stopped job; when it dies of a signal, so does the wrapper.
//
// # Order
//
// [Harden] and [Catch] come first in main. [Find] looks the command up before anything costly is
// done for it. [Run] starts it and returns how it ended, and [Status.Exit] ends the wrapper the
// same way.
//
// # Where to look
//
// Run is below, and what it runs is the type child: its start (start_unix.go), the loop and the
// stops (child_unix.go), what is handed on (forward_unix.go), the children of others that PID 1
// collects (reap_linux.go). What other systems lack is in other.go, and Windows has a file of its
// own. What must be assembly, or is a subject of its own, are packages that only this one imports:
//
//	entry    what the process was started with; starting a command with just that
//	siginfo  catching signals together with who sent them
//	witness  the second process, which knows whether the whole group got a signal
//	holder   what keeps the endpoint's port when the wrapper has ended (port_linux.go)
//	pty      the terminal, ours and (--pty) the command's own
//
// # Side effects
//
// Importing this package has one, on Linux: where orphans come to the process (PID 1, a subreaper),
// main's goroutine is locked to the main thread. Linked with -E brs_exec_entry, the program has two
// more before its first line of Go, for which see package entry. Signals are touched by Catch
// alone.
//
// # Concurrency
//
// Run's goroutine owns the child: it alone waits for it and signals it, so that a process id is
// never signalled after it was reaped. It stays locked to its operating system thread for good: on
// Linux the end of that thread is what tells the child of the wrapper's death (prctl(2),
// PR_SET_PDEATHSIG).
//
// # Errors
//
// A command that can't be started is a Status (126, 127, or 125 when the system has no room for
// another process) with an error that names the command. The statuses are those of env(1), nohup(1)
// and timeout(1).
package runner

import (
	"runtime"
	"time"
)

// Command is what to run, and how.
type Command struct {
	Path string   // the file, from Find
	Args []string // argv; Args[0] as the user typed it
	Env  []string

	// PTY gives the command a terminal of its own.
	PTY bool

	// KillAfter is how long after the first TERM, INT, HUP or QUIT that was handed on the command
	// gets KILL. 0: never.
	KillAfter time.Duration

	// OnWrapperDeath is the name of the signal that the kernel sends the command when the wrapper
	// itself is killed: "term", "hup" or "kill"; "none": no signal. Linux only, but that Windows
	// ends the command with the wrapper unless it is "none".
	OnWrapperDeath string

	// KeepOpen leaves the wrapper's own copies of descriptors 0, 1 and from 3 on open, for a
	// wrapper that is to read /dev/fd/N again. Without it they are closed.
	KeepOpen bool

	// Port is kept if the wrapper is killed. nil: there is none.
	Port *Port

	// Stop, when closed, asks the command to end (TERM); Run then returns RunFailed. nil: never.
	Stop <-chan struct{}

	// Send brings the names of signals ("HUP") for the command alone. nil: none come. Not on
	// Windows.
	Send <-chan string

	// Started, if not nil, is called once, when the command runs, with its process id and when its
	// start began.
	Started func(pid int, began time.Time)
}

// Run starts the command and waits for its end, handing on what is sent to the wrapper meanwhile.
// If a signal came before the command could be started, Run returns that one's status and starts
// nothing.
func Run(sigs *Signals, c Command) (Status, error) {
	runtime.LockOSThread() // for good: see "Concurrency"
	if !sigs.handOver() {
		s, _ := sigs.Ended()
		return s, nil
	}
	defer sigs.drop()
	r := &child{Command: c, sigs: sigs}
	began := time.Now()
	if err := r.start(); err != nil {
		return r.status, err
	}
	defer r.finish() // after a panic, too: the terminal may be raw
	sigs.mark()
	if c.Started != nil {
		c.Started(r.pid, began)
	}
	return r.run(), nil
}
