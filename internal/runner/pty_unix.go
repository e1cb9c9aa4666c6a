//go:build unix

package runner

import (
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// relay carries bytes between our stdin and stdout and a terminal of the
// command's own.
//
// With a terminal on both, ours goes raw: each key, Ctrl-C and Ctrl-Z among them,
// is the inner terminal's affair. Else stdin is copied and its end becomes the
// inner terminal's end-of-file character, as script(1) does it. Ours is touched
// only while our process group is in its foreground.
type relay struct {
	master *os.File
	outer  bool          // stdin and stdout are terminals
	cooked *unix.Termios // what ours was, while it is raw

	unsettled *unix.Termios // what the inner one was when it was opened; nil: it has got our settings

	wake *os.File // a byte: look again; closed: end
	look *os.File // the other end

	written atomic.Int64  // bytes that have gone to stdout
	copied  chan struct{} // closed: no more will

	mu    sync.Mutex
	until time.Time // when the rest of the output is given up; zero: the command runs
}

const (
	// idleDrain is how long the inner terminal may be silent, after the command's
	// end, before what a grandchild holds open is given up.
	idleDrain = 200 * time.Millisecond

	// longestDrain is how long what a grandchild writes meanwhile is copied, and
	// maxDrain how much there may be left then: more than a terminal buffers, so that
	// the command's own is among it.
	longestDrain = time.Second
	maxDrain     = 64 << 10

	// askedDrain is how long somebody who asks us to end waits for a reader who takes
	// nothing.
	askedDrain = time.Second
)

// newRelay opens the terminal, with the size and the settings of ours.
func newRelay() (*relay, *os.File, error) {
	master, tty, err := pty.Open()
	if err != nil {
		return nil, nil, err
	}
	r := &relay{outer: isTerminal(0) && isTerminal(1)}
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

// pollable replaces a file that creack/pty has made blocking by one whose reads
// have deadlines.
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

func isTerminal(fd int) bool {
	_, err := getTermios(fd)
	return err == nil
}

// settle gives the inner terminal the settings of ours. In the background ours has
// those of whoever has it at present (a shell that edits a line): enter does it then.
func (r *relay) settle(tty int) {
	if g := terminalGroup(); g != 0 && !foreground() {
		r.unsettled, _ = getTermios(tty)
	} else {
		r.copySettings(tty)
	}
	if !r.outer { // the echo is that of the terminal where it was typed, if any
		if t, err := getTermios(tty); err == nil {
			t.Lflag &^= unix.ECHO
			setTermios(tty, t)
		}
	}
	r.resize()
}

func (r *relay) copySettings(tty int) {
	for fd := range 3 {
		if t, err := getTermios(fd); err == nil {
			setTermios(tty, t)
			return
		}
	}
}

// resize gives the inner terminal the size of ours.
func (r *relay) resize() {
	for fd := range 3 {
		if size, err := unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ); err == nil {
			r.control(func(master int) { unix.IoctlSetWinsize(master, unix.TIOCSWINSZ, size) })
			return
		}
	}
}

func (r *relay) control(f func(master int)) {
	if conn, err := r.master.SyscallConn(); err == nil {
		conn.Control(func(fd uintptr) { f(int(fd)) })
	}
}

// group is the inner terminal's foreground process group, 0 if there is none.
func (r *relay) group() (group int) {
	r.control(func(fd int) { group, _ = unix.IoctlGetInt(fd, unix.TIOCGPGRP) })
	return group
}

func (r *relay) start() {
	r.enter()
	r.copied = make(chan struct{})
	go r.input()
	go func() { r.output(1); close(r.copied) }()
}

// enter makes our terminal raw, if it is ours to change.
func (r *relay) enter() {
	if !r.outer || !foreground() {
		return
	}
	cooked, err := getTermios(0)
	if err != nil {
		return
	}
	if r.cooked == nil {
		r.cooked = cooked
		r.control(r.settleLate)
	}
	raw := *r.cooked
	makeRaw(&raw)
	setTermios(0, &raw)
	r.resize()
	r.wake.Write([]byte{0}) // there may be input again
}

// settleLate is settle's part, unless the command has made settings of its own.
func (r *relay) settleLate(master int) {
	if r.unsettled == nil {
		return
	}
	if t, err := getTermios(master); err == nil && *t == *r.unsettled {
		setTermios(master, r.cooked)
	}
	r.unsettled = nil
}

// waits reports whether our terminal is another's at present. A shell that brings
// a running job into the foreground doesn't tell it: we have to look.
func (r *relay) waits() bool { return r != nil && r.outer && r.cooked == nil }

// foregroundPoll is how often we look.
const foregroundPoll = 200 * time.Millisecond

// leave puts our terminal back.
func (r *relay) leave() {
	if r.cooked != nil && foreground() {
		setTermios(0, r.cooked)
	}
	r.cooked = nil
}

// makeRaw is cfmakeraw(3).
func makeRaw(t *unix.Termios) {
	t.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	t.Oflag &^= unix.OPOST
	t.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	t.Cflag = t.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
}

// hangUp is what the end of our terminal means for the inner one.
func (r *relay) hangUp() { r.master.Close() }

// finish copies what the command has left, ends the copying and puts our terminal back.
// A reader that stands still is waited for, also through a Ctrl-Z, but not by one who
// was asked to end, or is asked now.
func (r *relay) finish(asked bool, events <-chan event) {
	r.mu.Lock()
	r.until = time.Now().Add(longestDrain)
	r.awaitMore()
	r.mu.Unlock()
	r.wake.Close()
	var enough <-chan time.Time
	var written int64
	for waiting := true; waiting; {
		if asked && enough == nil {
			enough, written = time.After(askedDrain), r.written.Load()
		}
		select {
		case <-r.copied:
			waiting = false
		case <-enough:
			waiting, enough = r.written.Load() > written, nil // what blocks there ends with the process
		case e := <-events:
			asked = asked || asksToEnd(e.sig)
			if stops(e.sig) && !e.own() {
				r.leave()
				raise(e.sig)
				r.enter()
			}
		}
	}
	r.master.Close() // and whoever is still typing into it gets an error
	r.leave()
}

// awaitMore lets the next read wait, but not too long.
func (r *relay) awaitMore() {
	idle := time.Now().Add(idleDrain)
	if idle.After(r.until) {
		idle = r.until
	}
	r.master.SetReadDeadline(idle)
}

// output copies from the inner terminal to stdout.
func (r *relay) output(stdout int) {
	defer calm()()
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
		if !writeAll(stdout, buf[:n]) {
			r.hangUp() // nobody reads: the terminal is gone, for the command
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

// left reads what is there after an error. A Read doesn't look when its time is over,
// which may have been before we had a processor to begin it. And Linux says EIO where the
// last writer writes and closes between its looks, first for input and then for a writer.
func (r *relay) left(buf []byte) (n int) {
	r.control(func(master int) { n, _ = syscall.Read(master, buf) })
	return n
}

// writeAll writes to a descriptor that may be non-blocking, and past os.Stdout,
// which ends the process where the reader has gone.
func writeAll(fd int, p []byte) bool {
	for len(p) > 0 {
		n, err := syscall.Write(fd, p)
		switch err {
		case nil:
			p = p[n:]
		case syscall.EINTR:
		case syscall.EAGAIN:
			unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, -1)
		default:
			return false
		}
	}
	return true
}

// input copies stdin to the inner terminal.
func (r *relay) input() {
	defer calm()()
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
			r.hangUp()
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

// endOfFile types the end-of-file character: once for a line that is not empty,
// which it only ends, and once for the end.
func (r *relay) endOfFile(last byte) {
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
