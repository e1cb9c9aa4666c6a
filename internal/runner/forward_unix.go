//go:build unix

package runner

import (
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"brs-exec/internal/runner/pty"
	"brs-exec/internal/runner/witness"
)

// The only question about a signal that arrives is whether the command has had it, too. What the
// kernel sends to a whole group, it has; what a process sent, the witness knows, and without a
// witness it is taken to be for us alone.

const (
	// witnessDelay is how long a command lives before it gets a witness: a short one must not pay
	// for it. Until then a signal that went to the group comes twice.
	witnessDelay = 20 * time.Millisecond

	// witnessAgain is how long it stays without one that somebody has killed.
	witnessAgain = 50 * time.Millisecond

	// lateReports is how long after passing a signal on we ask the witness once more. What a slow
	// killer has sent it by then must not be taken for a part of what comes next.
	lateReports = time.Second
)

// waiter is a signal that is passed on when due, unless the witness gets it until then.
type waiter struct {
	event
	due   time.Time
	maybe bool // the witness may still get it
}

// handle decides what a signal is for the command.
func (c *child) handle(e event) {
	if e.from != unknown && e.sig != syscall.SIGCHLD {
		c.witness.Ask() // for each, so that what is pending there is never an old one
	}
	switch {
	case e.sig == 0:
		c.starting = false
	case e.sig == syscall.SIGCHLD:
		c.collect()
		if e.from == byProcess {
			c.sent(e)
		}
	case e.own():
	case e.sig == syscall.SIGCONT && c.continued(e):
	case e.from == byKernel && (e.sig == syscall.SIGTTIN || e.sig == syscall.SIGTTOU):
		// Somebody in our group used the terminal from the background. If that was the command, it
		// stops.
	case isStop(e.sig) && (c.contsDue > 0 || e.at < c.woken):
		// It belongs to a stop that is over: a CONT has come since, which undid it. That CONT may
		// still be on its way to us (contsDue), or have been read before this signal (woken).
	case c.starting && (!isStop(e.sig) || c.missedStop(e)) || c.inOtherGroup():
		// What is read before the mark may have been sent before there was a command. A command
		// that has left our group gets nothing of what comes to us.
		c.pass(e, 0)
	case e.from == byProcess:
		c.sent(e)
	case !fromTerminal(e.sig) || e.from == unknown && (e.sig == syscall.SIGHUP || !pty.InForeground()):
		c.pass(e, 0)
	}
}

// isStop reports whether a signal's default action is to stop.
func isStop(sig syscall.Signal) bool {
	switch sig {
	case syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU:
		return true
	}
	return false
}

// sent deals with a signal that a process sent.
func (c *child) sent(e event) {
	switch {
	case isStop(e.sig) && e.pid == c.pid:
		// It stops with its whole group, as vim does (kill 0).
	case c.witness == nil:
		c.pass(e, 0)
	case c.saw(e):
		c.noteAsked(e.sig)
	default:
		c.pass(e, witness.Window)
	}
}

// saw reports whether the witness has a signal, too: it went to the group.
func (c *child) saw(e event) bool { return c.witness.Saw(e.sig, e.pid, e.at) }

// pass passes a signal on after a while, behind those that wait already.
func (c *child) pass(e event, after time.Duration) {
	if after == 0 && len(c.waiting) == 0 {
		c.send(e)
		return
	}
	c.waiting = append(c.waiting, waiter{e, time.Now().Add(after), after > 0})
}

// settle passes on what is due, but what the witness has got meanwhile.
func (c *child) settle() {
	c.witness.Ask()
	for len(c.waiting) > 0 && !time.Now().Before(c.waiting[0].due) {
		w := c.waiting[0]
		c.waiting = c.waiting[1:]
		if w.maybe && c.saw(w.event) {
			c.noteAsked(w.sig)
			continue
		}
		if w.maybe {
			c.askAgain = time.After(lateReports)
		}
		c.send(w.event)
	}
}

// inOtherGroup reports whether the command has left our process group (an interactive shell does).
func (c *child) inOtherGroup() bool {
	g, err := syscall.Getpgid(c.pid)
	return err == nil && g != syscall.Getpgrp()
}

// fromTerminal reports whether a signal that the kernel made is one that it sends to whole process
// groups. Of a hang-up it tells the session's leader alone; what timers and limits bring (an
// alarm(2) set before our exec) is for one process.
func fromTerminal(sig syscall.Signal) bool {
	switch sig {
	case syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTSTP, syscall.SIGWINCH:
		return true
	case syscall.SIGHUP, syscall.SIGCONT:
		return !sessionLeader()
	}
	return false
}

func sessionLeader() bool {
	sid, err := unix.Getsid(0)
	return err == nil && sid == os.Getpid()
}

// send signals the command. It may fail (EPERM: the command runs as another user now), as the
// sender's own kill would without us.
func (c *child) send(e event) {
	if c.ended {
		return
	}
	if c.relay == nil {
		e.deliver(c.pid)
	} else {
		c.deliverInside(e)
	}
	c.noteAsked(e.sig)
}

// deliverInside signals what has the inner terminal, for the signals that terminals send, and the
// command for others.
func (c *child) deliverInside(e event) {
	switch e.sig {
	case syscall.SIGWINCH:
		c.relay.Resize() // the kernel tells those inside
	case syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTSTP:
		if group := c.relay.Group(); group > 0 {
			syscall.Kill(-group, e.sig)
			return
		}
		e.deliver(c.pid)
	case syscall.SIGCONT:
		syscall.Kill(-c.pid, e.sig)
	case syscall.SIGHUP:
		e.deliver(c.pid)
		if e.from == byKernel {
			c.relay.HangUp()
		}
	default:
		e.deliver(c.pid)
	}
}

// noteAsked starts KillAfter's clock, if the command has been asked to end. What came in ignored
// doesn't ask it (nohup, and a HUP at logout).
func (c *child) noteAsked(sig syscall.Signal) {
	if !asksToEnd(sig) || ignoredAtEntry(sig) {
		return
	}
	c.asked = true
	if c.KillAfter > 0 && c.kill == nil {
		c.kill = time.After(c.KillAfter)
	}
}

func asksToEnd(sig syscall.Signal) bool {
	switch sig {
	case syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT:
		return true
	}
	return false
}

// continued deals with a CONT, and reports whether it ended a stop. Such a CONT has mostly gone to
// the whole group (a shell's fg, bg), and comes to the command a moment after us. The command gets
// another only if it stays stopped.
//
// One stop may take several CONTs: another Ctrl-Z stops us once more if it comes before TSTP has
// its handler back.
func (c *child) continued(e event) bool {
	c.collect()
	if c.relay != nil {
		c.relay.Enter() // a shell's fg may have given our terminal back
	}
	endedStop := c.contsDue > 0 || c.resumed || e.at < c.woken
	c.resume()
	c.contsDue, c.resumed = max(0, c.contsDue-1), false
	return endedStop
}

// resume continues a stopped command, unless whoever continued us does that.
func (c *child) resume() {
	for end := time.Now().Add(witness.Window); c.stopped && !c.ended; {
		late := c.inOtherGroup() || time.Now().After(end)
		time.Sleep(time.Millisecond)
		c.collect() // after the clock: we may have slept for long
		if late && c.stopped {
			c.send(event{sig: syscall.SIGCONT})
			break
		}
	}
}

// missedStop reports whether a TSTP came to us before there was a process that becomes the command:
// one that came to that process, too, would have stopped it.
func (c *child) missedStop(e event) bool {
	return c.process != nil && e.sig == syscall.SIGTSTP && e.at <= c.process.Released
}
