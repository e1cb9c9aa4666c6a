//go:build unix

package runner

import (
	"errors"
	"os"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
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

// exec runs the command, on the terminal tty if that isn't nil. A file that the
// kernel doesn't know how to run is a script for /bin/sh, as it is for execvp(3).
func (c *child) exec(tty *os.File) (int, Status, error) {
	pid, err := c.fork(c.Path, c.Args, tty)
	if errors.Is(err, syscall.ENOEXEC) {
		c.ended, c.stopped, c.resumed = false, false, false // that was the first process
		pid, err = c.fork("/bin/sh", append([]string{"/bin/sh", c.Path}, c.Args[1:]...), tty)
	}
	if err == nil {
		return pid, 0, nil
	}
	s := statusOf(err)
	if _, ok := errors.AsType[*forkError](err); ok {
		s = Failed
	}
	return 0, s, &startError{name: c.Args[0], err: err}
}

// forkError is the system's refusal of one more process, not the command's fault.
type forkError struct{ syscall.Errno }

func (e *forkError) Error() string { return "fork: " + e.Errno.Error() }

// forkExec is fork by the syscall package. fds 0 to 2 go as numbers; others that
// we inherited stay open, ours are close-on-exec.
func forkExec(path string, argv []string, c Command, tty *os.File) (int, error) {
	attr := &syscall.ProcAttr{Env: c.Env, Files: []uintptr{0, 1, 2}, Sys: &syscall.SysProcAttr{}}
	setDeathSignal(attr.Sys, c.OnWrapperDeath)
	if tty != nil {
		attr.Files = []uintptr{tty.Fd(), tty.Fd(), tty.Fd()}
		attr.Sys.Setsid, attr.Sys.Setctty = true, true
	}
	pid, err := syscall.ForkExec(path, argv, attr)
	if errno, ok := err.(syscall.Errno); ok && (errno == syscall.EAGAIN || errno == syscall.ENOMEM) {
		err = &forkError{errno}
	}
	return pid, err
}

// start starts the command, on a terminal of its own if it is to have one.
func (c *child) start() error {
	var tty *os.File
	if c.PTY {
		c.status = Failed
		var err error
		if c.relay, tty, err = newRelay(); err != nil {
			return err
		}
		defer tty.Close()
	}
	pid, status, err := c.exec(tty)
	if c.pid = pid; !c.ended || err != nil {
		c.status = status
	}
	if c.relay != nil {
		c.relay.start()
		if err != nil {
			c.relay.finish(false, c.sigs.events)
		}
	}
	return err
}

// finish ends what start and run have begun.
func (c *child) finish() {
	c.probe.stop()
	endSession()
	if c.relay != nil {
		c.relay.finish(c.asked, c.sigs.events)
	}
}

// child is the running command. Run's goroutine owns it.
type child struct {
	Command
	sigs *Signals
	pid  int

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

// startStopped stops us with a process that has stopped before it was the command.
func (c *child) startStopped(pid int, sig syscall.Signal) {
	c.pid = pid
	c.stopAlong(sig)
	c.goOn()
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
