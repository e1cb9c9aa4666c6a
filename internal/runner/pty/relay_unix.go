//go:build unix

package pty

import (
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// Relay is the inner terminal, and the copying to and from it.
type Relay struct {
	master *os.File
	outer  bool        // stdin and stdout are terminals
	cooked *term.State // what ours was, while it is raw

	unsettled *term.State // what the inner one was when it was opened; nil: it has got our settings

	wake *os.File // a byte: look again; closed: end
	look *os.File // the other end

	written atomic.Int64  // bytes that have gone to stdout
	Copied  chan struct{} // closed: no more will

	mu    sync.Mutex
	until time.Time // when the rest of the output is given up; zero: the command runs
}

const (
	// idleDrain is how long the inner terminal may be silent, after the command's end, before it is
	// given up: a grandchild may hold it open.
	idleDrain = 200 * time.Millisecond

	// longestDrain is how long we copy what a grandchild writes meanwhile. Of what is left then,
	// maxDrain is copied: more than a terminal buffers, so that the command's own output is among
	// it.
	longestDrain = time.Second
	maxDrain     = 64 << 10
)

// New opens the terminal, with the size and the settings of ours.
func New() (*Relay, *os.File, error) {
	master, tty, err := pty.Open()
	if err != nil {
		return nil, nil, err
	}
	r := &Relay{outer: term.IsTerminal(0) && term.IsTerminal(1)}
	if r.master, err = pollable(master); err != nil {
		tty.Close()
		return nil, nil, err
	}
	if r.look, r.wake, err = os.Pipe(); err != nil {
		tty.Close()
		r.master.Close()
		return nil, nil, err
	}
	r.settle(int(tty.Fd()))
	return r, tty, nil
}

// pollable replaces a file that creack/pty has made blocking by one whose reads have deadlines.
func pollable(f *os.File) (*os.File, error) {
	defer f.Close()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, err
	}
	if err := syscall.SetNonblock(fd, true); err != nil {
		syscall.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}

// settle gives the inner terminal the settings of ours. While we are in the background, ours has
// the settings of whoever uses it now (a shell that edits a line). Then Enter settles the inner one
// later.
func (r *Relay) settle(tty int) {
	if g := ForegroundGroup(); g != 0 && !InForeground() {
		r.unsettled, _ = term.GetState(tty)
	} else {
		r.copySettings(tty)
	}
	if !r.outer { // the echo is that of the terminal where it was typed, if any
		if t, err := getTermios(tty); err == nil {
			t.Lflag &^= unix.ECHO
			setTermios(tty, t)
		}
	}
	r.Resize()
}

func (r *Relay) copySettings(tty int) {
	for fd := range 3 {
		if ours, err := term.GetState(fd); err == nil {
			term.Restore(tty, ours)
			return
		}
	}
}

// Resize gives the inner terminal the size of ours.
func (r *Relay) Resize() {
	for fd := range 3 {
		if size, err := unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ); err == nil {
			r.control(func(master int) { unix.IoctlSetWinsize(master, unix.TIOCSWINSZ, size) })
			return
		}
	}
}

func (r *Relay) control(f func(master int)) {
	if conn, err := r.master.SyscallConn(); err == nil {
		conn.Control(func(fd uintptr) { f(int(fd)) })
	}
}

// Group is the inner terminal's foreground process group, 0 if there is none.
func (r *Relay) Group() (group int) {
	r.control(func(fd int) { group, _ = unix.IoctlGetInt(fd, unix.TIOCGPGRP) })
	return group
}

// Start begins the copying.
func (r *Relay) Start() {
	r.Enter()
	r.Copied = make(chan struct{})
	go r.input()
	go func() { r.output(1); close(r.Copied) }()
}

// Enter makes our terminal raw, if it is ours to change.
func (r *Relay) Enter() {
	if !r.outer || !InForeground() {
		return
	}
	cooked, err := term.MakeRaw(0)
	if err != nil {
		return
	}
	if r.cooked == nil {
		r.cooked = cooked
		r.control(r.settleLate)
	}
	r.Resize()
	r.wake.Write([]byte{0}) // there may be input again
}

// settleLate does what settle has put off, unless the command has made settings of its own.
func (r *Relay) settleLate(master int) {
	if r.unsettled == nil {
		return
	}
	if now, err := term.GetState(master); err == nil && *now == *r.unsettled {
		term.Restore(master, r.cooked)
	}
	r.unsettled = nil
}

// Waits reports whether our terminal is another's at present. A shell that brings a running job
// into the foreground doesn't tell it: call Enter now and then.
func (r *Relay) Waits() bool { return r != nil && r.outer && r.cooked == nil }

// Leave puts our terminal back.
func (r *Relay) Leave() {
	if r.cooked != nil && InForeground() {
		term.Restore(0, r.cooked)
	}
	r.cooked = nil
}

// HangUp is what the end of our terminal means for the inner one.
func (r *Relay) HangUp() { r.master.Close() }

// Drain ends the copying when what the command has left is copied. Copied is closed then.
func (r *Relay) Drain() {
	r.mu.Lock()
	r.until = time.Now().Add(longestDrain)
	r.awaitMore()
	r.mu.Unlock()
	r.wake.Close()
}

// Written is how many bytes have gone to stdout.
func (r *Relay) Written() int64 { return r.written.Load() }

// Close gives up what isn't copied, and puts our terminal back.
func (r *Relay) Close() {
	r.master.Close() // whoever is still typing into it gets an error
	r.Leave()
}

// awaitMore lets the next read wait, but not too long.
func (r *Relay) awaitMore() {
	idle := time.Now().Add(idleDrain)
	if idle.After(r.until) {
		idle = r.until
	}
	r.master.SetReadDeadline(idle)
}

// output copies from the inner terminal to stdout.
func (r *Relay) output(stdout int) {
	defer NeverStopped()()
	buf, late := make([]byte, 32<<10), 0
	for late < maxDrain {
		n, err := r.master.Read(buf)
		if err != nil {
			n = r.left(buf)
			late += n
		}
		if n <= 0 {
			return // EIO: nobody has the inner terminal open any more
		}
		if WriteAll(stdout, buf[:n]) < n {
			r.HangUp() // nobody reads: the terminal is gone, for the command
			return
		}
		r.written.Add(int64(n))
		r.mu.Lock()
		if !r.until.IsZero() {
			r.awaitMore()
		}
		r.mu.Unlock()
	}
}

// left reads what is there after an error. There may be something for two reasons. A Read whose
// deadline has passed doesn't look, and it may have passed before we got a processor. And Linux
// looks first for input and then for a writer: it says EIO if the last writer writes and closes in
// between.
func (r *Relay) left(buf []byte) (n int) {
	r.control(func(master int) { n, _ = syscall.Read(master, buf) })
	return n
}

// input copies stdin to the inner terminal.
func (r *Relay) input() {
	defer NeverStopped()()
	stdin := []unix.PollFd{{Fd: int32(r.look.Fd()), Events: unix.POLLIN}, {Fd: 0, Events: unix.POLLIN}}
	fds, buf, last := stdin, make([]byte, 4<<10), byte('\n')
	for {
		if _, err := unix.Poll(fds, -1); err != nil && err != syscall.EINTR {
			return
		}
		if stdin[0].Revents != 0 {
			if n, _ := syscall.Read(int(stdin[0].Fd), buf); n == 0 {
				return
			}
			fds = stdin
		}
		if len(fds) < 2 || stdin[1].Revents == 0 {
			continue
		}
		n, err := syscall.Read(0, buf)
		switch {
		case n > 0:
			last = buf[n-1]
			if _, err := r.master.Write(buf[:n]); err != nil {
				return
			}
		case err == syscall.EINTR:
		case err == syscall.EAGAIN:
		case n == 0 && r.outer:
			r.HangUp()
			return
		case err == syscall.EIO && r.outer: // the background: wait until we are woken
			fds = stdin[:1]
			stdin[1].Revents = 0
		default:
			r.endOfFile(last)
			return
		}
	}
}

// endOfFile types the end-of-file character: once for a line that is not empty, which it only ends,
// and once for the end.
func (r *Relay) endOfFile(last byte) {
	eof := byte(4)
	r.control(func(fd int) {
		if t, err := getTermios(fd); err == nil {
			eof = t.Cc[unix.VEOF]
		}
	})
	if last != '\n' {
		r.master.Write([]byte{eof})
	}
	r.master.Write([]byte{eof})
}
