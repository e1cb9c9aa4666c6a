//go:build unix

package runner

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// foreground reports whether our process group has the controlling terminal.
func foreground() bool { return terminalGroup() == syscall.Getpgrp() }

// terminalGroup is the foreground process group of our controlling terminal, 0 without one.
func terminalGroup() (group int) {
	withTerminal(func(fd int) { group, _ = unix.IoctlGetInt(fd, unix.TIOCGPGRP) })
	return group
}

func setTerminalGroup(group int) {
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
