//go:build unix

package pty

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// InForeground reports whether our process group has the controlling terminal.
func InForeground() bool { return ForegroundGroup() == syscall.Getpgrp() }

// ForegroundGroup is the foreground process group of our controlling terminal, 0 without one.
func ForegroundGroup() (group int) {
	withTerminal(func(fd int) { group, _ = unix.IoctlGetInt(fd, unix.TIOCGPGRP) })
	return group
}

// SetForegroundGroup gives our controlling terminal to a process group.
func SetForegroundGroup(group int) {
	withTerminal(func(fd int) { unix.IoctlSetPointerInt(fd, unix.TIOCSPGRP, group) })
}

func withTerminal(f func(fd int)) {
	fd, err := syscall.Open("/dev/tty", syscall.O_RDWR|syscall.O_NOCTTY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	f(fd)
	syscall.Close(fd)
}

// WriteAll writes to a descriptor that may be non-blocking, and past os.Stdout, which ends the
// process where the reader has gone. It returns how much was taken.
func WriteAll(fd int, p []byte) (n int) {
	for n < len(p) {
		more, err := syscall.Write(fd, p[n:])
		switch err {
		case nil:
			n += more
		case syscall.EINTR:
		case syscall.EAGAIN:
			unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, -1)
		default:
			return n
		}
	}
	return n
}
