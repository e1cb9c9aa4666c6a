//go:build unix

package prompt

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

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

// openTTY has the descriptor not block, so that closing it ends a read. Fd leaves it so: it was
// opened so.
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

// readLine reads a line, or ends with ctx; closing the terminal frees the reader. On a system that
// can't wait for a terminal and for that at once (macOS) it stays behind until the process ends, as
// it does soon after ctx.
func readLine(ctx context.Context, tty *os.File) (string, error) {
	type typed struct {
		line string
		err  error
	}
	done := make(chan typed, 1)
	go func() {
		line, err := bufio.NewReaderSize(io.LimitReader(tty, 1024), 1024).ReadString('\n')
		done <- typed{strings.TrimSpace(line), err}
	}()
	select {
	case t := <-done:
		return t.line, t.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// silence switches the echo off and returns what switches it on again. What was typed before goes,
// as with getpass(3): it was meant for a shell.
func silence(tty *os.File) (restore func(), err error) {
	fd := int(tty.Fd())
	before, err := unix.IoctlGetTermios(fd, getTermios)
	if err != nil {
		return nil, fmt.Errorf("terminal: %w", err)
	}
	quiet := *before
	quiet.Lflag &^= unix.ECHO
	quiet.Lflag |= unix.ICANON | unix.ISIG
	quiet.Iflag |= unix.ICRNL
	if err := unix.IoctlSetTermios(fd, flushTermios, &quiet); err != nil {
		return nil, fmt.Errorf("terminal: %w", err)
	}
	return func() { unix.IoctlSetTermios(fd, setTermios, before) }, nil
}

func foreground(tty *os.File) bool {
	group, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	return err != nil || group == unix.Getpgrp() // err: not our controlling terminal (a test's)
}
