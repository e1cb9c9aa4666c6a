// Package command runs the commands that the user configured, and ends with brs-exec what they have
// begun.
//
// A command runs by /bin/sh -c, on Windows by cmd.exe as if it were typed at a prompt. It has
// brs-exec's environment without the user's AWS keys and an empty stdin, and is in our process
// group so that Ctrl-C reaches it. (Any process of the same user, the child too, can read a
// command's environment in /proc. brs-exec's own is closed to them.) What it prints is secret; what
// it says on stderr is shown as it comes. Its command line may hold a secret, too: errors don't
// name it, the caller says what ran.
package command

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"brs-exec/internal/source/problem"
)

const (
	maxOutput = 64 << 10
	// drain is how long children that a command left may hold its output.
	drain = 400 * time.Millisecond
)

// WaitsHint is for a command that was not done when somebody needed it.
const WaitsHint = "run it by hand to see what it waits for: it has no terminal to ask on, and its stdin is empty"

// A Runner runs commands.
type Runner struct {
	Env    []string // brs-exec's
	Keys   bool     // its AWS keys are the command's to use
	Stderr io.Writer
	Limit  time.Duration
	Names  problem.Names
}

// Run runs a command and returns its output. ctx ends with brs-exec.
func (r *Runner) Run(ctx context.Context, command string) ([]byte, error) {
	env, again := guarded(r.Env, command)
	if !r.Keys {
		env = slices.DeleteFunc(env, isKey)
	}
	if again {
		hint := r.Names.Hint("name the profile to begin with: brs-exec %v %v NAME", problem.Export, problem.Profile)
		return nil, problem.Bad(hint, "it runs a brs-exec that would run it again, and so on")
	}
	limited, cancel := context.WithTimeout(ctx, r.Limit)
	defer cancel()
	out := &bounded{full: cancel}
	cmd := shell(limited, command)
	cmd.Env = env
	cmd.Stdout, cmd.Stderr = out, r.Stderr
	cmd.WaitDelay = drain
	err := runTree(cmd)
	switch {
	case out.over:
		return nil, problem.Bad("only the answer belongs on stdout, the rest on stderr",
			"it printed more than %d KiB", maxOutput>>10)
	case err == nil, errors.Is(err, exec.ErrWaitDelay) && limited.Err() == nil: // a child that it left holds the pipe
		return out.buf.Bytes(), nil
	case ctx.Err() != nil:
		return nil, ErrClosed
	case limited.Err() != nil:
		text := fmt.Sprintf("no end after %v", r.Limit)
		return nil, &problem.Error{Text: text, Err: context.DeadlineExceeded, Hint: WaitsHint}
	}
	return nil, failure(err, command)
}

func failure(err error, command string) error {
	exit, exited := errors.AsType[*exec.ExitError](err)
	switch {
	case exited && exit.ExitCode() == 127 && lacksInterpreter(command):
		return problem.Bad(`has that line a Windows line end? sed -i 's/\r$//' takes it off`,
			"exit status 127: the interpreter that its first line names is not there")
	case exited && exit.ExitCode() == notThere:
		return problem.Bad("write its whole path: it is found by "+shellName+" in brs-exec's PATH",
			"exit status %d, no such command", notThere)
	case exited:
		return problem.Bad("run it by hand: what it said on stderr stands above", "%v", exit)
	}
	return &problem.Error{Text: problem.FirstLine(err.Error()), Err: err}
}

// lacksInterpreter says that the first word of a command is a script whose interpreter is not
// there, of which the shell says that the script isn't.
func lacksInterpreter(command string) bool {
	file, _, _ := strings.Cut(command, " ")
	f, err := os.Open(file)
	if err != nil || !strings.Contains(file, "/") {
		return false
	}
	defer f.Close()
	head := make([]byte, 256) // as far as the kernel reads it
	n, _ := f.Read(head)
	line, _, _ := strings.Cut(string(head[:n]), "\n")
	line, is := strings.CutPrefix(line, "#!")
	interpreter, _, _ := strings.Cut(strings.TrimLeft(line, " \t"), " ") // with its \r
	_, err = os.Stat(interpreter)
	return is && interpreter != "" && err != nil
}

// within is the variable that tells a brs-exec within a command which commands it is within. (It
// has no BRS_EXEC_ name: those are flags.)
const within = "BRS_COMMANDS"

// guarded is the environment of a command, without our own flags: a brs-exec in it would assume the
// role that this one is about to. again says that we are within that same command:
// `credential_process = brs-exec --export` in the profile that this brs-exec begins with would go
// on until the machine has no more processes.
func guarded(env []string, command string) (child []string, again bool) {
	sum := sha256.Sum256([]byte(command))
	marks := hex.EncodeToString(sum[:8])
	child = slices.DeleteFunc(slices.Clone(env), func(entry string) bool {
		outer, is := strings.CutPrefix(entry, within+"=")
		if is && outer != "" {
			again = again || strings.Contains(outer, marks)
			marks = outer + " " + marks
		}
		return is || strings.HasPrefix(entry, "BRS_EXEC_")
	})
	return append(child, within+"="+marks), again
}

// isKey says whether an entry of the environment is one of those that hold AWS keys.
func isKey(entry string) bool {
	name, _, _ := strings.Cut(entry, "=")
	switch name {
	case "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN",
		"AWS_CREDENTIAL_EXPIRATION", "AWS_ACCESS_KEY", "AWS_SECRET_KEY": // the last two are other tools'
		return true
	}
	return false
}

// bounded is a buffer that stops a command which prints too much. (Embedded, a bytes.Buffer would
// bring its ReadFrom, which knows no bounds.)
type bounded struct {
	buf  bytes.Buffer
	over bool
	full func()
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.buf.Len()+len(p) > maxOutput {
		b.over = true
		b.full()
		return 0, io.ErrShortWrite
	}
	return b.buf.Write(p)
}
