//go:build unix

package runner

import (
	"os"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"brs-exec/internal/runner/entry"
)

// Run starts the command and waits for its end, handing on what is sent to the
// wrapper meanwhile. If a signal came before the command could be started, Run
// returns that one's status and starts nothing.
func Run(sigs *Signals, c Command) (Status, error) {
	runtime.LockOSThread() // for good: see "Concurrency"
	if !sigs.begin() {
		s, _ := sigs.Ended()
		return s, nil
	}
	defer sigs.end()
	r := &child{Command: c, sigs: sigs, young: true}
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

// finish ends what start and run have begun.
func (c *child) finish() {
	c.probe.stop()
	if c.process != nil {
		c.process.Close()
	}
	if c.relay != nil {
		c.relay.finish(c.asked, c.sigs.events)
	}
}

// child is the running command. Run's goroutine owns it.
type child struct {
	Command
	sigs *Signals
	pid  int

	process *entry.Process   // nil: by the syscall package
	young   bool             // the mark that follows its start has not been read
	waiting []waiter         // signals that may yet turn out to have reached it
	probe   *probe           // nil: none
	relay   *relay           // nil: no terminal of its own
	late    <-chan time.Time // the probe may have got by now what was passed on
	killer  <-chan time.Time

	stopped bool          // as last waited for
	resumed bool          // continued, and the CONT that did it has not been read
	stops   int           // how often we stopped along, less the CONTs read since
	awake   time.Duration // when the last of these stops was over, on the clock of event.at
	failed  bool          // Stop was closed
	asked   bool          // it has been asked to end

	ended  bool
	status Status
}

func (c *child) run() Status {
	c.wait() // for a child from before our exec, whose CHLD came before we listened
	var probeTime <-chan time.Time
	if c.relay == nil {
		probeTime = time.After(probeDelay)
	}
	for !c.ended {
		var due <-chan time.Time
		if len(c.waiting) > 0 {
			due = time.After(time.Until(c.waiting[0].due))
		}
		var again <-chan time.Time
		if c.relay.waits() {
			again = time.After(foregroundPoll)
		}
		select {
		case e := <-c.sigs.events:
			c.handle(e)
		case <-again:
			c.relay.enter()
		case <-due:
			c.settle()
		case <-c.late:
			c.probe.ask()
		case <-probeTime:
			c.probe = startProbe()
			if !c.KeepOpen {
				letGo()
			}
		case <-c.Stop:
			c.Stop, c.failed = nil, true
			c.send(event{sig: syscall.SIGTERM})
		case <-c.killer:
			c.send(event{sig: syscall.SIGKILL})
		}
	}
	if c.failed {
		return RunFailed
	}
	return c.status
}

// letGo closes what we inherited: what the command alone has open ends when it closes
// it. That is done when it has lived for a moment, and is nothing to those that haven't.
// Messages still go to 2. Ours are close-on-exec, what came to us can't have been.
func letGo() {
	null, err := syscall.Open("/dev/null", syscall.O_RDWR|syscall.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer syscall.Close(null)
	for fd := range 2 {
		unix.Dup2(null, fd)
	}
	files, _ := os.ReadDir("/proc/self/fd")
	for _, f := range files {
		fd, err := strconv.Atoi(f.Name())
		if err != nil || fd < 3 {
			continue
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			syscall.Close(fd)
		}
	}
}

// wait collects what became of the command, and of other children of this thread:
// orphans that came to us as PID 1 or by an inherited PR_SET_CHILD_SUBREAPER, and
// children that we had before our exec. See waitOptions.
func (c *child) wait() {
	for !c.ended {
		var ws syscall.WaitStatus
		pid, err := syscall.Wait4(waitFor(c.pid), &ws, syscall.WNOHANG|syscall.WUNTRACED|syscall.WCONTINUED|waitOptions, nil)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			c.ended, c.status = true, Failed // somebody else has taken its status
		case pid == 0:
			return
		case pid == c.pid:
			c.became(ws)
		case c.probe != nil && pid == c.probe.pid && !ws.Stopped() && !ws.Continued():
			c.probe.pid = 0
		case c.process != nil && pid == c.process.Leader && !ws.Stopped() && !ws.Continued():
			c.process.Leader = 0
		}
	}
}

func (c *child) became(ws syscall.WaitStatus) {
	switch {
	case ws.Exited():
		c.ended, c.status = true, Status(ws.ExitStatus())
	case ws.Signaled():
		c.ended, c.status = true, Status(-int(ws.Signal()))
	case ws.Stopped():
		c.stopAlong(ws.StopSignal())
	case ws.Continued():
		c.stopped, c.resumed = false, true
	}
}

// goesOn reports whether a stopped command is continued within a moment. The terminal's
// TTIN and TTOU stop us, too, who don't catch them, perhaps just here: once continued,
// we must not stop again.
func (c *child) goesOn() bool {
	for end := time.Now().Add(groupWindow); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if c.wait(); !c.stopped || c.ended {
			return true
		}
	}
	return false
}

// stopAlong stops us with the signal that the command stopped with, so that the
// kernel's rule for orphaned groups is the same for both. It returns when we are
// continued. A command with a process group of its own, a shell, may have left the
// terminal to that group; ours has it after a shell's fg, and it gets it back.
func (c *child) stopAlong(sig syscall.Signal) {
	c.stopped, c.resumed = true, false
	c.stops++
	c.waiting = slices.DeleteFunc(c.waiting, func(w waiter) bool { return stops(w.sig) })
	defer func() {
		handlersDone()
		c.awake = monotonic()
	}()
	if c.relay != nil {
		c.relay.leave()
		raise(sig)
		c.relay.enter()
		if sig == syscall.SIGTSTP {
			// Nobody else may do it: a TSTP is nothing to an orphaned group (ours, under
			// ssh -t or setsid), nor to PID 1.
			syscall.Kill(-c.pid, syscall.SIGCONT)
		}
		return
	}
	if !c.elsewhere() {
		if (sig == syscall.SIGTTIN || sig == syscall.SIGTTOU) && c.goesOn() {
			return
		}
		raise(sig)
		return
	}
	theirs, _ := syscall.Getpgid(c.pid)
	had := terminalGroup() == theirs
	raise(sig)
	if had && terminalGroup() == syscall.Getpgrp() {
		setTerminalGroup(theirs)
	}
}
