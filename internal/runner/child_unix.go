//go:build unix

package runner

import (
	"errors"
	"os"
	"runtime"
	"syscall"
	"time"
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
	pid, s, err := start(c, nil)
	if err != nil {
		return s, err
	}
	sigs.mark()
	if c.Started != nil {
		c.Started(pid)
	}
	return (&child{Command: c, sigs: sigs, pid: pid, young: true}).run(), nil
}

// start runs the command, on the terminal tty if that isn't nil. A file that the
// kernel doesn't know how to run is a script for /bin/sh, as it is for execvp(3).
func start(c Command, tty *os.File) (int, Status, error) {
	pid, err := fork(c.Path, c.Args, c, tty)
	if errors.Is(err, syscall.ENOEXEC) {
		pid, err = fork("/bin/sh", append([]string{"/bin/sh", c.Path}, c.Args[1:]...), c, tty)
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

// child is the running command. Run's goroutine owns it.
type child struct {
	Command
	sigs *Signals
	pid  int

	young   bool // the mark that follows its start has not been read
	stopped bool // as last waited for
	resumed bool // continued, and the CONT that did it has not been read
	stops   int  // how often we stopped along, less the CONTs read since
	failed  bool // Stop was closed
	killer  <-chan time.Time

	ended  bool
	status Status
}

func (c *child) run() Status {
	for !c.ended {
		select {
		case e := <-c.sigs.events:
			c.handle(e)
		case <-c.Stop:
			c.Stop, c.failed = nil, true
			c.send(syscall.SIGTERM)
		case <-c.killer:
			c.send(syscall.SIGKILL)
		}
	}
	if c.failed {
		return RunFailed
	}
	return c.status
}

func (c *child) handle(e event) {
	switch {
	case e.sig == 0:
		c.young = false
	case e.sig == syscall.SIGCHLD:
		c.wait()
	case e.from == byProcess && e.pid == os.Getpid():
		// our own doing: PIPE from a write of ours, a stop
	case e.sig == syscall.SIGCONT:
		c.wait()
		if !c.ended {
			c.resume(e)
		}
	case c.young || !c.reached(e):
		c.send(e.sig)
	}
}

// reached reports whether e went to the whole group, so that the command has it
// already. A command that has left our group has nothing that came to us.
// What is marked young may have been sent before there was a command at all.
func (c *child) reached(e event) bool {
	if g, err := syscall.Getpgid(c.pid); err == nil && g != syscall.Getpgrp() {
		return false
	}
	switch e.from {
	case byProcess:
		return false
	case byKernel:
		return fromTerminal(e.sig)
	}
	return fromTerminal(e.sig) && e.sig != syscall.SIGHUP && foreground()
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
func (c *child) send(sig syscall.Signal) {
	if c.ended {
		return
	}
	syscall.Kill(c.pid, sig)
	switch sig {
	case syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT:
		if c.KillAfter > 0 && c.killer == nil {
			c.killer = time.After(c.KillAfter)
		}
	}
}

// resumeGrace is how long a CONT that was sent to the whole group may take from
// us to the command (kill(2) goes through the group one by one).
const resumeGrace = 20 * time.Millisecond

// resume deals with a CONT. The one that ended a stop has mostly gone to the
// whole group (a shell's fg, bg); the command gets another only if it is still
// stopped.
func (c *child) resume(e event) {
	waker := c.stops > 0 || c.resumed
	c.stops, c.resumed = max(0, c.stops-1), false
	for end := time.Now().Add(resumeGrace); c.stopped && !c.ended; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			c.send(syscall.SIGCONT)
			return
		}
		c.wait()
		c.resumed = false
	}
	if !waker && (c.young || !c.reached(e)) {
		c.send(syscall.SIGCONT)
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
		c.stopped, c.resumed = true, false
		c.stops++
		raise(ws.StopSignal()) // returns when we are continued
	case ws.Continued():
		c.stopped, c.resumed = false, true
	}
}
