package source

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
	"runtime"
	"slices"
	"strings"
	"time"
)

// Commands that the user configured: /bin/sh -c in brs-exec's environment, stdin /dev/null, in our process group so that
// Ctrl-C reaches them. What they print is secret; what they say on stderr is shown as it comes.
const (
	maxOutput = 64 << 10
	// drain is how long children that a command left may hold its output.
	drain = 400 * time.Millisecond
)

// run runs a command and returns its output. what names it in errors: the command line itself may hold a secret.
func (s *Source) run(ctx context.Context, what, command string) ([]byte, error) {
	env, again := guarded(os.Environ(), command)
	if again {
		return nil, badInput("name the profile to begin with: brs-exec --export --profile NAME",
			"%s: it runs a brs-exec that would run it again, and so on", what)
	}
	ctx, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	out := &bounded{full: cancel}
	cmd := shell(ctx, command)
	cmd.Env = env
	cmd.Stdout, cmd.Stderr = out, s.stderr
	cmd.Cancel = func() error { return endTree(cmd.Process) }
	cmd.WaitDelay = drain
	err := cmd.Run()
	if err = s.commandError(ctx, what, out, err); err != nil {
		return nil, err
	}
	return out.buf.Bytes(), nil
}

// guard is the variable that tells a brs-exec within a command which commands it is within. (Not BRS_EXEC_…: those are
// flags.)
const guard = "BRS_COMMANDS"

// guarded is the environment of a command, without our own flags (a brs-exec in it would assume the role that this one is
// about to), and whether we are within that same command: `credential_process = brs-exec
// --export` in the profile that this brs-exec begins with would go on until the machine has no more processes.
func guarded(env []string, command string) (child []string, again bool) {
	sum := sha256.Sum256([]byte(command))
	mark := hex.EncodeToString(sum[:8])
	within := os.Getenv(guard)
	env = slices.DeleteFunc(env, func(entry string) bool { return strings.HasPrefix(entry, "BRS_EXEC_") })
	return append(env, guard+"="+strings.TrimSpace(within+" "+mark)), strings.Contains(within, mark)
}

func shell(ctx context.Context, command string) *exec.Cmd {
	if runtime.GOOS == "windows" {
		return exec.CommandContext(ctx, "cmd.exe", "/C", command)
	}
	return exec.CommandContext(ctx, "/bin/sh", "-c", command)
}

func (s *Source) commandError(ctx context.Context, what string, out *bounded, err error) error {
	exit, exited := errors.AsType[*exec.ExitError](err)
	switch {
	case out.over:
		return badInput("only the answer belongs on stdout, the rest on stderr", "%s: it printed more than %d KiB", what, maxOutput>>10)
	case err == nil, errors.Is(err, exec.ErrWaitDelay) && ctx.Err() == nil: // a child that it left holds the pipe; the answer is there
		return nil
	case s.life.Err() != nil:
		return &problem{text: what + ": ended with brs-exec", err: context.Canceled}
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return &problem{text: fmt.Sprintf("%s: no end after %v", what, s.patience), err: context.DeadlineExceeded,
			hints: []string{slowHint}}
	case exited && exit.ExitCode() == 127:
		return badInput("write its whole path: it is found by /bin/sh in brs-exec's PATH", "%s: exit status 127, no such command", what)
	case exited:
		return badInput("run it by hand: what it said on stderr stands above", "%s: %v", what, exit)
	}
	return &problem{text: what + ": " + firstLine(err.Error()), err: err}
}

// bounded is a buffer that stops a command which prints too much. (Embedded, a bytes.Buffer would bring its ReadFrom,
// which knows no bounds.)
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

func orStderr(w io.Writer) io.Writer {
	if w == nil {
		return os.Stderr // a file: the command writes to it itself
	}
	return w
}
