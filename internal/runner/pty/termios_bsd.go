//go:build unix && !linux

package pty

import "golang.org/x/sys/unix"

func getTermios(fd int) (*unix.Termios, error) { return unix.IoctlGetTermios(fd, unix.TIOCGETA) }

func setTermios(fd int, t *unix.Termios) { unix.IoctlSetTermios(fd, unix.TIOCSETAW, t) }
