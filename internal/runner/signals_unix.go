//go:build unix

package runner

import (
	"context"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"
)

// event is one signal that arrived.
type event struct {
	sig  syscall.Signal
	from origin
	pid  int           // of the sender, when from is byProcess; 0 from outside of our PID namespace
	at   time.Duration // on the system's monotonic clock; 0 where there is no siginfo

	payload // what sigqueue(3) sent along
}

// own reports whether the signal is of our own doing: PIPE or XFSZ of a write of ours, which gets
// an error as well, or a stop.
func (e event) own() bool { return e.from == byProcess && e.pid == os.Getpid() }

// origin is who sent a signal, as far as sigaction(2)'s si_code tells.
type origin int

const (
	unknown   origin = iota // no siginfo on this platform
	byKernel                // a terminal, a timer: si_code > 0
	byProcess               // kill(2), sigqueue(3), tgkill(2)
)

// Signals is everything that is sent to this process from Catch on.
type Signals struct {
	events chan event // what arrives after handOver
	source

	mu      sync.Mutex
	serving bool           // there is no command
	hangup  func()         // what a HUP calls; nil: it ends the wrapper
	asked   chan struct{}  // what AskedToEnd returned; nil: nobody wants to know, or it is closed
	running bool           // the command is being started, or runs: signals are its
	over    bool           // it has ended
	ended   syscall.Signal // what ended the context; 0: nothing yet
	ctx     context.Context
	cancel  context.CancelCauseFunc
}

// Catch catches every signal that can be caught, but for two kinds that Run adds: those of the
// terminal's job control, and those that came in ignored (nohup(1) and the like mean it). Until
// then Ctrl-Z stops the wrapper alone, and an ignored HUP stays ignored.
func Catch() *Signals {
	s := &Signals{events: make(chan event, 64)}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	s.source.open()
	go s.read()
	return s
}

// Context ends when a signal arrives that ends the wrapper before it has a command to pass it to.
// Its cause names the signal.
func (s *Signals) Context() context.Context { return s.ctx }

// Ended reports the signal that ended the context, as a status: death by it, unless we serve.
func (s *Signals) Ended() (Status, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.serving && (s.ended == syscall.SIGINT || s.ended == syscall.SIGTERM) {
		return 0, true
	}
	return Status(-int(s.ended)), s.ended != 0
}

// Serve says that there will be no command: INT and TERM are how this process is ended, with status
// 0. A HUP calls hangup if there is no terminal now; else it is that one's end, and ours. One that
// came in ignored stays ignored.
func (s *Signals) Serve(hangup func()) {
	if hasTerminal() {
		hangup = nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serving, s.hangup = true, hangup
}

// AskedToEnd returns a channel that the first TERM, INT, HUP or QUIT from now on closes. It is for
// the time after the command's end.
func (s *Signals) AskedToEnd() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = make(chan struct{})
	return s.asked
}

// handOver hands the signals over to Run. It is false if one has ended us already.
func (s *Signals) handOver() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended != 0 {
		return false
	}
	s.takeJobSignals()
	s.running = true
	return true
}

// drop drops what arrives from now on: the command is gone, and the wrapper's status stands.
func (s *Signals) drop() {
	s.mu.Lock()
	s.running, s.over = false, true
	s.mu.Unlock()
	for len(s.events) > 0 { // read may wait to send the last one
		<-s.events
	}
}

// read moves what arrives to where it belongs, as long as the process lives (like the loop of
// os/signal, it has nobody who could wait for it).
func (s *Signals) read() {
	s.source.each(func(e event) {
		if s.dispatch(e) {
			s.events <- e
		}
	})
}

// dispatch does what e means before the command, and after it. It reports whether e is Run's.
func (s *Signals) dispatch(e event) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.sig == syscall.SIGHUP && s.hangup != nil && !s.running && !ignoredAtEntry(e.sig) {
		go s.hangup()
		return false
	}
	if !s.running && !s.over && s.ended == 0 && deadly(e.sig) && !e.own() && !ignoredAtEntry(e.sig) {
		s.ended = e.sig
		s.cancel(fmt.Errorf("ended by signal: %v", e.sig))
	}
	if s.over && s.asked != nil && asksToEnd(e.sig) && !ignoredAtEntry(e.sig) {
		close(s.asked)
		s.asked = nil
	}
	return s.running
}

// deadly reports whether the default action of a signal that we catch is the process's end
// (signal(7)).
func deadly(sig syscall.Signal) bool {
	switch sig {
	case syscall.SIGCHLD, syscall.SIGCONT, syscall.SIGURG, syscall.SIGWINCH:
		return false
	}
	return !isStop(sig)
}
