//go:build unix

package runner

import (
	"os"
	"slices"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"brs-exec/internal/procfs"
	"brs-exec/internal/runner/entry"
	"brs-exec/internal/runner/holder"
	"brs-exec/internal/runner/pty"
	"brs-exec/internal/runner/witness"
)

// child is the running command. Run's goroutine owns it.
type child struct {
	Command
	sigs *Signals
	pid  int

	process *entry.Process   // nil: started by the syscall package
	witness *witness.Witness // nil: none
	relay   *pty.Relay       // nil: no terminal of its own

	starting bool             // the mark that follows its start has not been read
	settling <-chan time.Time // when it is time for a witness
	waiting  []waiter         // signals that may yet turn out to have reached it
	askAgain <-chan time.Time // the witness may have got by now what was passed on
	kill     <-chan time.Time // KillAfter is over

	stopped  bool          // as last waited for
	resumed  bool          // continued, and the CONT that did it has not been read
	contsDue int           // stops of ours whose CONT has not been read yet
	woken    time.Duration // when the last of these stops was over, on the clock of event.at
	failed   bool          // Stop was closed
	asked    bool          // it has been asked to end

	ended  bool
	status Status
}

// foregroundPoll is how often we look whether a shell has brought us into the foreground, which it
// doesn't tell.
const foregroundPoll = 200 * time.Millisecond

// run is the loop around the running command.
func (c *child) run() Status {
	c.collect() // a child from before our exec may have ended before we listened for CHLD
	c.settling = time.After(witnessDelay)
	for !c.ended {
		if c.witness.Gone() && c.settling == nil { // somebody has killed it
			c.settling = time.After(witnessAgain)
		}
		var due, look <-chan time.Time
		if len(c.waiting) > 0 {
			due = time.After(time.Until(c.waiting[0].due))
		}
		if c.relay.Waits() {
			look = time.After(foregroundPoll)
		}
		select {
		case e := <-c.sigs.events:
			c.handle(e)
		case <-look:
			c.relay.Enter()
		case <-due:
			c.settle()
		case <-c.askAgain:
			c.witness.Ask()
		case <-c.settling:
			c.startWitness()
		case <-c.Stop:
			c.Stop, c.failed = nil, true
			c.send(event{sig: syscall.SIGTERM})
		case name := <-c.Send:
			syscall.Kill(c.pid, unix.SignalNum("SIG"+name)) // which asks for no end: KillAfter doesn't count
		case <-c.kill:
			c.send(event{sig: syscall.SIGKILL})
		}
	}
	if c.failed {
		return RunFailed
	}
	return c.status
}

// startWitness starts the witness and closes what we inherited: a command that ends at once needn't
// pay for that. There is no group above PID 1, and a command on a terminal of its own is in none of
// ours: its witness has only the port to keep.
func (c *child) startWitness() {
	c.settling = nil
	if os.Getpid() != 1 && (c.relay == nil || c.Port != nil) {
		c.witness = c.Port.witness(c.orders())
	}
	if !c.KeepOpen && c.relay == nil {
		closeInherited()
	}
}

// orders are the holder's, if we are killed.
func (c *child) orders() holder.Orders {
	command, _ := procfs.Of(c.pid)
	return holder.Orders{Command: command, Signal: deathSignal(c.OnWrapperDeath)}
}

// finish ends what start and run have begun.
func (c *child) finish() {
	c.witness.Stop()
	if c.process != nil {
		c.process.Close()
	}
	if c.relay != nil {
		c.drain()
	}
}

// askedDrain is how long we wait for a reader who takes nothing, once we were asked to end.
const askedDrain = time.Second

// drain copies what the command has left on its terminal, and closes that. It waits for a reader
// that stands still, also through a Ctrl-Z, unless we were asked to end or are asked now.
func (c *child) drain() {
	c.relay.Drain()
	defer c.relay.Close()
	var enough <-chan time.Time
	var written int64
	for {
		if c.asked && enough == nil {
			enough, written = time.After(askedDrain), c.relay.Written()
		}
		select {
		case <-c.relay.Copied:
			return
		case <-enough:
			if c.relay.Written() == written {
				return // what blocks there ends with the process
			}
			enough = nil
		case e := <-c.sigs.events:
			c.asked = c.asked || asksToEnd(e.sig)
			if isStop(e.sig) && !e.own() {
				c.relay.Leave()
				raise(e.sig)
				c.relay.Enter()
			}
		}
	}
}

// closeInherited closes our copies of what we inherited: a pipe, say, then ends when the command
// closes its own. Messages still go to 2. Our own descriptors are close-on-exec; what we inherited
// can't have been.
func closeInherited() {
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

// collect takes what became of the command and of other children of this thread: see reap_linux.go.
func (c *child) collect() {
	for !c.ended {
		var ws syscall.WaitStatus
		const options = syscall.WNOHANG | syscall.WUNTRACED | syscall.WCONTINUED | waitOptions
		pid, err := syscall.Wait4(waitFor(c.pid), &ws, options, nil)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			c.ended, c.status = true, Failed // somebody else has taken its status
		case pid == 0:
			return
		case pid == c.pid:
			c.became(ws)
		case ws.Stopped() || ws.Continued():
		case c.witness != nil && pid == c.witness.PID:
			c.witness.Collected()
		case c.process != nil && pid == c.process.Leader:
			c.process.Leader = 0
		}
	}
}

// became notes a change of the command's state. Where it has stopped, so have we when it returns.
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

// resumedSoon reports whether a stopped command is continued within a moment. Where we don't catch
// the terminal's TTIN and TTOU they have stopped us, too, and once continued we must not stop
// again.
func (c *child) resumedSoon() bool {
	for end := time.Now().Add(witness.Window); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if c.collect(); !c.stopped || c.ended {
			return true
		}
	}
	return false
}

// stopAlong stops us with the signal that the command stopped with, so that the kernel's rule for
// orphaned groups is the same for both. It returns when we are continued.
func (c *child) stopAlong(sig syscall.Signal) {
	c.stopped, c.resumed = true, false
	if os.Getpid() == 1 && isStop(sig) && c.relay == nil {
		// It doesn't stop PID 1, and so nobody would continue the command.
		c.resume()
		c.resumed = false
		return
	}
	c.contsDue++
	c.waiting = slices.DeleteFunc(c.waiting, func(w waiter) bool { return isStop(w.sig) })
	defer func() { c.woken = handlersDone() }()
	switch {
	case c.relay != nil:
		c.stopInside(sig)
	case c.inOtherGroup():
		c.stopBeside(sig)
	case terminalStopsUs && (sig == syscall.SIGTTIN || sig == syscall.SIGTTOU) && c.resumedSoon():
	default:
		raise(sig)
	}
}

// stopInside stops us with a command on a terminal of its own.
func (c *child) stopInside(sig syscall.Signal) {
	c.relay.Leave()
	raise(sig)
	c.relay.Enter()
	if isStop(sig) {
		// Perhaps nobody else does: it stops neither an orphaned group (ours, under ssh -t or
		// setsid) nor PID 1, and then no CONT comes.
		syscall.Kill(-c.pid, syscall.SIGCONT)
	}
}

// stopBeside stops us with a command that has a process group of its own: a shell. If that group
// had the terminal, a shell's fg gives the terminal to our group, and the command's gets it from
// us.
func (c *child) stopBeside(sig syscall.Signal) {
	theirs, _ := syscall.Getpgid(c.pid)
	had := pty.ForegroundGroup() == theirs
	raise(sig)
	if had && pty.InForeground() {
		pty.SetForegroundGroup(theirs)
	}
}
