//go:build unix && !(linux && (amd64 || arm64))

package runner

import (
	"os"
	"os/signal"
	"syscall"
	"time"
)

// source is os/signal, which doesn't say who sent a signal.
type source struct{ c chan os.Signal }

// payload can't be had here.
type payload struct{}

// handlersDone is before every event: they have no time.
func handlersDone() time.Duration { return -1 }

func (e event) deliver(pid int) { syscall.Kill(pid, e.sig) }

func (s *source) open() {
	s.c = make(chan os.Signal, 256)
	for sig := syscall.Signal(1); sig < 32; sig++ {
		if caught(sig) && !ignoredAtEntry(sig) {
			signal.Notify(s.c, sig)
		}
	}
}

func (s *source) takeJobSignals() { signal.Notify(s.c, syscall.SIGTSTP, syscall.SIGCONT) }

// terminalStopsUs: os/signal has system calls begun anew, so with a handler for TTIN a read from
// the background would be begun for ever.
const terminalStopsUs = true

// mark is what mark is elsewhere, as well as os/signal allows: a signal that is on its way is taken
// for a later one.
func (s *source) mark() { s.c <- syscall.Signal(0) }

func (s *source) each(do func(event)) {
	for sig := range s.c {
		do(event{sig: sig.(syscall.Signal)})
	}
}

func caught(sig syscall.Signal) bool {
	switch sig {
	case syscall.SIGKILL, syscall.SIGSTOP,
		syscall.SIGURG, syscall.SIGPROF, syscall.SIGPIPE, syscall.SIGXFSZ, // the last two: of our own writes
		syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU, syscall.SIGCONT:
		return false
	}
	return true
}

// ignoredAtEntry knows HUP and INT; a shell without job control ignores QUIT along with INT.
func ignoredAtEntry(sig syscall.Signal) bool {
	switch sig {
	case syscall.SIGQUIT:
		return signal.Ignored(syscall.SIGINT)
	case syscall.SIGTERM:
		return os.Getpid() != 1 && signal.Ignored(sig)
	}
	return signal.Ignored(sig)
}

// raise gives sig its default action: a stop (always by STOP: the runtime keeps its handler for
// TSTP, golang/go#41996), or death.
func raise(sig syscall.Signal) {
	switch sig {
	case syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU:
		sig = syscall.SIGSTOP
	case syscall.SIGQUIT, syscall.SIGILL, syscall.SIGTRAP, syscall.SIGABRT, syscall.SIGSYS,
		syscall.SIGSEGV, syscall.SIGBUS, syscall.SIGFPE:
		return // the runtime would print a trace, and the kernel leave a second core
	}
	signal.Reset(sig)
	syscall.Kill(syscall.Getpid(), sig)
}
