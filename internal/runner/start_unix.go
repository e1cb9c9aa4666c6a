//go:build unix

package runner

import (
	"errors"
	"os"
	"syscall"

	"brs-exec/internal/runner/entry"
	"brs-exec/internal/runner/pty"
)

// start starts the command, on a terminal of its own if it is to have one.
func (c *child) start() error {
	var tty *os.File
	if c.PTY {
		c.status = Failed
		var err error
		if c.relay, tty, err = pty.New(); err != nil {
			return err
		}
		defer tty.Close()
	}
	pid, status, err := c.exec(tty)
	if c.pid = pid; !c.ended || err != nil {
		c.status = status
	}
	if c.relay != nil {
		c.relay.Start()
		if err != nil {
			c.drain()
		}
	}
	c.starting = true
	return err
}

// exec runs the command, on the terminal tty if that isn't nil. A file that the kernel doesn't know
// how to run is a script for /bin/sh, as it is for execvp(3).
func (c *child) exec(tty *os.File) (int, Status, error) {
	pid, err := c.launch(c.Path, c.Args, tty)
	if errors.Is(err, syscall.ENOEXEC) {
		c.ended, c.stopped, c.resumed = false, false, false // that was the first process
		pid, err = c.launch("/bin/sh", append([]string{"/bin/sh", c.Path}, c.Args[1:]...), tty)
	}
	if err == nil {
		return pid, 0, nil
	}
	s := statusOf(err)
	if _, ok := errors.AsType[*forkError](err); ok {
		s = Failed
	}
	return 0, s, startError(c.Args[0], err)
}

// forkError is the system's refusal of one more process, not the command's fault.
type forkError struct{ syscall.Errno }

func (e *forkError) Error() string { return "fork: " + e.Errno.Error() }

// launch starts the process as package entry does it, or else as the syscall package does.
func (c *child) launch(path string, argv []string, tty *os.File) (int, error) {
	p, err := entry.Launch(entry.Command{
		Path: path, Argv: argv, Env: c.Env, TTY: tty,
		Death: deathSignal(c.OnWrapperDeath), Stopped: c.startStopped,
	})
	if errors.Is(err, entry.ErrUnavailable) {
		return c.forkExec(path, argv, tty)
	}
	if err != nil {
		return 0, err
	}
	c.process = p
	return p.Pid, nil
}

// forkExec starts the process by the syscall package. fds 0 to 2 go as numbers; others that we
// inherited stay open, ours are close-on-exec. Signals that came in ignored or blocked are as the
// Go runtime has left them, and a command on a terminal of its own leads that one's session: Ctrl-Z
// in it does nothing, as under script(1).
func (c *child) forkExec(path string, argv []string, tty *os.File) (int, error) {
	attr := &syscall.ProcAttr{Env: c.Env, Files: []uintptr{0, 1, 2}, Sys: &syscall.SysProcAttr{}}
	setDeathSignal(attr.Sys, c.OnWrapperDeath)
	if tty != nil {
		attr.Files = []uintptr{tty.Fd(), tty.Fd(), tty.Fd()}
		attr.Sys.Setsid, attr.Sys.Setctty = true, true
	}
	pid, err := syscall.ForkExec(path, argv, attr)
	switch err {
	case syscall.EAGAIN, syscall.ENOMEM, syscall.EMFILE, syscall.ENFILE: // the last two: of ForkExec's pipe
		err = &forkError{err.(syscall.Errno)}
	}
	return pid, err
}

// startStopped stops us with a process that has stopped before it was the command.
func (c *child) startStopped(pid int, sig syscall.Signal) {
	c.pid = pid
	c.stopAlong(sig)
	c.resume()
}
