//go:build unix

package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/creack/pty"
)

// person is someone at a terminal. `person LINES COMMAND…` gives the command a terminal of its own
// beside the standard streams, and types the next line of the file LINES whenever a question (": ")
// stands there. A first line that begins with "early " is typed before anything is asked. The file
// "shown" has what the terminal showed.
//
// (testscript's ttyin types all at once, before the first prompt: a prompt throws that away.)
func person() {
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		panic(err)
	}
	user, tty, err := pty.Open()
	if err != nil {
		panic(err)
	}
	lines := strings.SplitAfter(string(text), "\n")
	if early, is := strings.CutPrefix(lines[0], "early "); is {
		user.WriteString(early)
		lines = lines[1:]
	}
	cmd := exec.Command(os.Args[2], os.Args[3:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{tty} // descriptor 3
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 3}
	if err := cmd.Start(); err != nil {
		panic(err)
	}
	tty.Close()
	var shown bytes.Buffer
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for buf := make([]byte, 4096); ; {
			n, err := user.Read(buf)
			shown.Write(buf[:n])
			if err != nil {
				return
			}
			if bytes.HasSuffix(shown.Bytes(), []byte(": ")) && len(lines) > 0 {
				user.WriteString(lines[0])
				lines = lines[1:]
			}
		}
	}()
	err = cmd.Wait()
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		panic("something holds the terminal")
	}
	if err := os.WriteFile("shown", shown.Bytes(), 0o600); err != nil {
		panic(err)
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		os.Exit(exit.ExitCode())
	}
}
