package prompt

import (
	"context"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/windows"
	"golang.org/x/term"
)

// Terminal is the console's input, whatever stdin is; its screen is CONOUT$.
// https://learn.microsoft.com/en-us/windows/console/console-handles
const Terminal = "CONIN$"

// ask prints the prompt on the console and reads a line from it, without echo. If ctx ends first,
// the reader stays behind until the process ends, as it does soon after.
func ask(ctx context.Context, name, prompt string) (string, error) {
	in, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return "", err
	}
	defer in.Close()
	out, err := os.OpenFile("CONOUT$", os.O_RDWR, 0)
	if err != nil {
		return "", err
	}
	defer out.Close()
	before, err := term.GetState(int(in.Fd()))
	if err != nil {
		return "", err
	}
	defer term.Restore(int(in.Fd()), before)
	windows.FlushConsoleInputBuffer(windows.Handle(in.Fd())) // what was typed before was meant for a shell
	if _, err := io.WriteString(out, prompt); err != nil {
		return "", err
	}
	defer io.WriteString(out, "\r\n") // the user's own was not echoed
	type typed struct {
		line []byte
		err  error
	}
	done := make(chan typed, 1)
	go func() {
		line, err := term.ReadPassword(int(in.Fd()))
		done <- typed{line, err}
	}()
	select {
	case t := <-done:
		return strings.TrimSpace(string(t.line)), t.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// Available says whether a prompt would find the console.
func Available(name string) bool {
	in, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return false
	}
	in.Close()
	return true
}
