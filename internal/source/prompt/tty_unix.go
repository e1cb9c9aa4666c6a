//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package prompt

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Terminal is the one that this process belongs to, whatever its stdin is.
const Terminal = "/dev/tty"

// ask prints the prompt on the terminal and reads a line from it.
func ask(ctx context.Context, name, prompt string) (string, error) {
	tty, err := openTTY(name)
	if err != nil {
		return "", err
	}
	defer tty.Close()
	if !foreground(tty) {
		return "", ErrBackground
	}
	restore, err := silence(tty)
	if err != nil {
		return "", err
	}
	defer restore()
	if _, err := io.WriteString(tty, prompt); err != nil {
		return "", err
	}
	defer io.WriteString(tty, "\n") // the user's own was not echoed
	return readLine(ctx, tty)
}

func openTTY(name string) (*os.File, error) {
	return os.OpenFile(name, os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
}

// Available says whether a prompt would find the terminal.
func Available(name string) bool {
	tty, err := openTTY(name)
	if err != nil {
		return false
	}
	tty.Close()
	return true
}

// readLine reads a line, or ends with ctx. On a system that can't wait for a terminal and a
// deadline at once (macOS) the reader stays behind until the process ends, as it does soon after
// ctx.
func readLine(ctx context.Context, tty *os.File) (string, error) {
	line := make(chan string, 1)
	fail := make(chan error, 1)
	go func() {
		s, err := bufio.NewReaderSize(io.LimitReader(tty, 1024), 1024).ReadString('\n')
		if err != nil {
			fail <- err
			return
		}
		line <- strings.TrimSpace(s)
	}()
	select {
	case s := <-line:
		return s, nil
	case err := <-fail:
		return "", err
	case <-ctx.Done():
	}
	if tty.SetReadDeadline(time.Now()) == nil {
		select {
		case <-line:
		case <-fail:
		}
	}
	return "", ctx.Err()
}

// silence switches the echo off and returns what switches it on again. What was typed before goes,
// as with getpass(3): it was meant for a shell.
func silence(tty *os.File) (restore func(), err error) {
	var before *unix.Termios
	err = control(tty, func(fd int) (err error) {
		if before, err = unix.IoctlGetTermios(fd, getTermios); err != nil {
			return err
		}
		quiet := *before
		quiet.Lflag &^= unix.ECHO
		quiet.Lflag |= unix.ICANON | unix.ISIG
		quiet.Iflag |= unix.ICRNL
		return unix.IoctlSetTermios(fd, flushTermios, &quiet)
	})
	if err != nil {
		return nil, fmt.Errorf("terminal: %w", err)
	}
	return func() {
		control(tty, func(fd int) error { return unix.IoctlSetTermios(fd, setTermios, before) })
	}, nil
}

func foreground(tty *os.File) bool {
	ours := false
	err := control(tty, func(fd int) error {
		group, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP)
		ours = err == nil && group == unix.Getpgrp()
		return err
	})
	return ours || err != nil // not our controlling terminal (a test's): nobody stops us
}

// control runs fn on the descriptor without making it a blocking one, which File.Fd would.
func control(tty *os.File, fn func(fd int) error) error {
	raw, err := tty.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := raw.Control(func(fd uintptr) { inner = fn(int(fd)) }); err != nil {
		return err
	}
	return inner
}
