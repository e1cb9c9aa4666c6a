//go:build unix

package runner

import (
	"os"
	"syscall"
	"time"
)

// The only question about a signal that arrives is whether the command has had it,
// too. What the kernel sends to a whole group, it has; what a process sent, the
// probe knows, and without a probe it is taken to be for us alone.

const (
	// probeDelay is how long a command lives before it gets a probe. Until then
	// a signal that went to the group comes twice.
	probeDelay = 20 * time.Millisecond

	// groupWindow is how long after us the probe may get a signal that some killer
	// sends to the processes one by one.
	groupWindow = 20 * time.Millisecond

	// lateReports is how long after a signal was passed on the probe is asked once
	// more: what a slow killer has sent it by then isn't to be taken for a part of
	// what comes next.
	lateReports = time.Second
)

// waiter is a signal that is passed on when due, unless the probe gets it until then.
type waiter struct {
	event
	due   time.Time
	maybe bool // the probe may still get it
}

func (c *child) handle(e event) {
	if e.from != unknown && e.sig != syscall.SIGCHLD {
		c.probe.ask() // for each, so that what is pending there is never an old one
	}
	switch {
	case e.sig == 0:
		c.young = false
	case e.sig == syscall.SIGCHLD:
		c.wait()
		if e.from == byProcess {
			c.sent(e)
		}
	case e.own():
	case e.sig == syscall.SIGCONT && c.resume(e):
	case stops(e.sig) && (c.stops > 0 || e.at < c.awake):
		// It came before the CONT that we have yet to read, or have read already, which
		// has undone it.
	case c.young && (!stops(e.sig) || c.missedStop(e)) || c.elsewhere():
		// What is read before the mark may have been sent before there was a
		// command (but for the kernel's TTIN and TTOU, which are its own doing).
		// One that has left our group has nothing of what comes to us.
		c.pass(e, 0)
	case e.from == byProcess:
		c.sent(e)
	case !fromTerminal(e.sig) || e.from == unknown && (e.sig == syscall.SIGHUP || !foreground()):
		c.pass(e, 0)
	}
}

// stops reports whether a signal's default action is to stop.
func stops(sig syscall.Signal) bool {
	switch sig {
	case syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU:
		return true
	}
	return false
}

// sent deals with a signal that a process sent.
func (c *child) sent(e event) {
	switch {
	case stops(e.sig) && e.pid == c.pid:
		// It stops with its whole group, as vim does (kill 0).
	case c.probe == nil:
		c.pass(e, 0)
	case c.probe.got(e):
		c.hadEnough(e.sig)
	default:
		c.pass(e, groupWindow)
	}
}

// pass passes a signal on after a while, behind those that wait already.
func (c *child) pass(e event, after time.Duration) {
	if after == 0 && len(c.waiting) == 0 {
		c.send(e)
		return
	}
	c.waiting = append(c.waiting, waiter{e, time.Now().Add(after), after > 0})
}

// settle passes on what is due, but what the probe has got meanwhile.
func (c *child) settle() {
	c.probe.ask()
	for len(c.waiting) > 0 && !time.Now().Before(c.waiting[0].due) {
		w := c.waiting[0]
		c.waiting = c.waiting[1:]
		if w.maybe && c.probe.got(w.event) {
			c.hadEnough(w.sig)
			continue
		}
		if w.maybe {
			c.late = time.After(lateReports)
		}
		c.send(w.event)
	}
}

// elsewhere reports whether the command has left our process group (an interactive
// shell does).
func (c *child) elsewhere() bool {
	g, err := syscall.Getpgid(c.pid)
	return err == nil && g != syscall.Getpgrp()
}

// fromTerminal reports whether a signal that the kernel made is one that it sends
// to whole process groups. Of a hang-up it tells the session's leader alone; what
// timers and limits bring (an alarm(2) set before our exec) is for one process.
func fromTerminal(sig syscall.Signal) bool {
	switch sig {
	case syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU, syscall.SIGWINCH:
		return true
	case syscall.SIGHUP, syscall.SIGCONT:
		return !sessionLeader()
	}
	return false
}

func sessionLeader() bool {
	sid, err := getsid()
	return err == nil && sid == os.Getpid()
}

// send signals the command. That it can fail (EPERM: it runs as another user now)
// is as it would be without us.
func (c *child) send(e event) {
	if c.ended {
		return
	}
	if c.relay == nil {
		e.deliver(c.pid)
	} else {
		c.deliverInside(e)
	}
	c.hadEnough(e.sig)
}

// deliverInside signals what has the inner terminal, for the signals that terminals
// send, and the command for others.
func (c *child) deliverInside(e event) {
	switch e.sig {
	case syscall.SIGWINCH:
		c.relay.resize() // the kernel tells those inside
	case syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTSTP:
		if group := c.relay.group(); group > 0 {
			syscall.Kill(-group, e.sig)
			return
		}
		e.deliver(c.pid)
	case syscall.SIGCONT:
		syscall.Kill(-c.pid, e.sig)
	case syscall.SIGHUP:
		e.deliver(c.pid)
		if e.from == byKernel {
			c.relay.hangUp()
		}
	default:
		e.deliver(c.pid)
	}
}

// hadEnough starts KillAfter's clock, if the command has been asked to end. What came
// in ignored doesn't ask it (nohup, and a HUP at logout).
func (c *child) hadEnough(sig syscall.Signal) {
	if !asksToEnd(sig) || ignoredAtEntry(sig) {
		return
	}
	c.asked = true
	if c.KillAfter > 0 && c.killer == nil {
		c.killer = time.After(c.KillAfter)
	}
}

func asksToEnd(sig syscall.Signal) bool {
	switch sig {
	case syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT:
		return true
	}
	return false
}

// resume deals with a CONT, if it can be seen what it did. One that ended a stop
// has mostly gone to the whole group (a shell's fg, bg), where kill(2) comes to
// the command a moment after us; it gets another only if it stays stopped.
//
// A stop may have had several: where we come so late to give TSTP its handler back
// that another Ctrl-Z stops us once more.
func (c *child) resume(e event) bool {
	c.wait()
	if c.relay != nil {
		c.relay.enter() // a shell's fg may have given our terminal back
	}
	waker := c.stops > 0 || c.resumed || e.at < c.awake
	c.goOn()
	c.stops, c.resumed = max(0, c.stops-1), false
	return waker
}

// goOn continues a stopped command, unless that is done by who continued us.
func (c *child) goOn() {
	for end := time.Now().Add(groupWindow); c.stopped && !c.ended; {
		late := c.elsewhere() || time.Now().After(end)
		time.Sleep(time.Millisecond)
		c.wait() // after the clock: we may have slept for long
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
