// Package runner runs one command as if the wrapper weren't there: same
// terminal, same signals, same end.
//
// The command runs in the wrapper's own session, process group, terminal,
// directory and limits, with file descriptors 0, 1 and 2 passed as numbers: no
// byte goes through the wrapper. What the kernel sends to the whole group has
// reached the command by itself; what somebody sends to the wrapper's process id
// is handed on, once. When the command stops, the wrapper stops with the same
// signal, so that a shell sees a stopped job; when it dies of a signal, so does
// the wrapper.
//
// # Order
//
// [Harden] and [Catch] come first in main. [Find] looks the command up before
// anything costly is done for it. [Run] starts it and returns how it ended, and
// [Status.Exit] ends the wrapper the same way.
//
// # Concurrency
//
// Run's goroutine owns the child: it alone waits for it and signals it, so that a
// process id is never signalled after it was reaped. It stays locked to its
// operating system thread for good: on Linux the end of that thread is what tells
// the child of the wrapper's death (prctl(2), PR_SET_PDEATHSIG).
//
// # Errors
//
// A command that can't be started is a Status (126, 127, or 125 when the system
// has no room for another process) with an error that names the command. The
// statuses are those of env(1), nohup(1) and timeout(1).
package runner

import "time"

// Command is what to run, and how.
type Command struct {
	Path string   // the file, from Find
	Args []string // argv; Args[0] as the user typed it
	Env  []string

	// PTY gives the command a terminal of its own.
	PTY bool

	// KillAfter is how long after the first TERM, INT, HUP or QUIT that was
	// handed on the command gets KILL. 0: never.
	KillAfter time.Duration

	// OnWrapperDeath is the name of the signal that the kernel sends the command when the
	// wrapper itself is killed: "term", "hup", "kill" or "none". "" is "term".
	// Linux only.
	OnWrapperDeath string

	// KeepOpen keeps the wrapper's own copies of descriptors 0, 1 and those from 3 on
	// open, which it lets go else: for one that is to read /dev/fd/N again.
	KeepOpen bool

	// Stop, when closed, asks the command to end (TERM); Run then returns
	// RunFailed. nil: never.
	Stop <-chan struct{}

	// Started, if not nil, is called once, when the command runs, with its process id and
	// when its start began.
	Started func(pid int, began time.Time)
}
