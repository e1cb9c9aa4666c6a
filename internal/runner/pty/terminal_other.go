//go:build unix && !linux

package pty

import "golang.org/x/sys/unix"

// NeverStopped does nothing here: x/sys has no signal masks for these systems.
func NeverStopped() (undo func()) { return func() {} }

func getTermios(fd int) (*unix.Termios, error) { return unix.IoctlGetTermios(fd, unix.TIOCGETA) }

func setTermios(fd int, t *unix.Termios) { unix.IoctlSetTermios(fd, unix.TIOCSETAW, t) }
