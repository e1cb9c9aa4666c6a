package runner

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/windows"

	"brs-exec/internal/hint"
	"brs-exec/internal/winproc"
)

// Deaths are what OnWrapperDeath can be here: a job object knows one end. The default, "term",
// means that, too.
var Deaths = []string{"kill", "none"}

// Harden has Windows end us after the command at a logoff or shutdown: it ends processes of a
// higher level first, and 0x280 is the command's.
// https://learn.microsoft.com/en-us/windows/win32/api/processthreadsapi/nf-processthreadsapi-setprocessshutdownparameters
func Harden() { windows.SetProcessShutdownParameters(0x27f, 0) }

// interrupted is how a program ends that Ctrl-C ends.
const interrupted = Status(windows.STATUS_CONTROL_C_EXIT)

// Signals takes what the console tells: Ctrl-C and Ctrl-Break, its closing, a logoff, a shutdown.
// The whole console is told; once the command runs, what it does decides. Go holds the last three
// up for as long as we run, so that the command has all the time that Windows gives.
type Signals struct {
	ctx     context.Context
	cancel  context.CancelCauseFunc
	running atomic.Bool // the command is
}

// Catch catches them all.
func Catch() *Signals {
	s := &Signals{}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	c := make(chan os.Signal, 1)
	signal.Notify(c, os.Interrupt, syscall.SIGTERM)
	go func() {
		for range c {
			if !s.running.Load() {
				s.cancel(errors.New("interrupted"))
			}
		}
	}()
	return s
}

// Context ends when the console tells us to end before the command runs.
func (s *Signals) Context() context.Context { return s.ctx }

// Serve does nothing: nothing is served here without a command.
func (s *Signals) Serve(func()) {}

// Ended reports whether that has happened.
func (s *Signals) Ended() (Status, bool) { return interrupted, s.ctx.Err() != nil }

// handOver says whether the command may still be started.
func (s *Signals) handOver() bool {
	s.running.Store(true)
	return s.ctx.Err() == nil
}

func (s *Signals) mark() {}
func (s *Signals) drop() {}

// Find looks the command up in PATH, which is the same in env, with the extensions of PATHEXT.
func Find(argv, _ []string) (path string, s Status, err error) {
	path, err = exec.LookPath(argv[0])
	switch {
	case err == nil:
		return path, 0, nil
	case script(argv[0]) != "":
		return "", NotExecutable, hint.Errorf(script(argv[0])+" "+argv[0], "%s: Windows can't run it by itself", argv[0])
	case errors.Is(err, exec.ErrDot):
		return "", NotExecutable, hint.Errorf(`.\`+argv[0]+" runs it", "%s: it is in the current folder only", argv[0])
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		return "", NotFound, hint.Errorf("is it in PATH? where.exe "+argv[0], "%s: no such command", argv[0])
	}
	return "", NotExecutable, err
}

// script is what runs a file that is there and has no program's extension.
func script(name string) string {
	by := map[string]string{".ps1": "powershell -File", ".sh": "bash", ".py": "py"}[strings.ToLower(filepath.Ext(name))]
	if info, err := os.Stat(name); err != nil || info.IsDir() {
		return ""
	}
	return by
}

// child is the running command, in our console.
type child struct {
	Command
	sigs    *Signals
	process *os.Process
	tree    *winproc.Tree // nil: it is in no job of ours
	pid     int
	status  Status
}

func (c *child) start() (err error) {
	attributes := &os.ProcAttr{
		Env: c.Env, Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}, Sys: &syscall.SysProcAttr{CmdLine: c.line()},
	}
	inJob := c.OnWrapperDeath != "none"
	if inJob {
		winproc.Suspended(attributes.Sys)
	}
	if c.process, err = os.StartProcess(c.Path, c.Args, attributes); err != nil {
		c.status = NotExecutable
		return err
	}
	c.pid = c.process.Pid
	if inJob {
		c.tree = winproc.Adopt(c.process)
	}
	return nil
}

// line is the command's command line as it was typed, if its arguments came with ours: cmd.exe,
// msiexec and batch files read a line in ways of their own. "": it is made of Args.
func (c *child) line() string {
	n := len(os.Args) - len(c.Args)
	if n < 0 || !slices.Equal(os.Args[n:], c.Args) {
		return ""
	}
	return winproc.Tail(winproc.Line(), n)
}

// finish lets what the command has left behind live on.
func (c *child) finish() { c.tree.Release() }

func (c *child) run() Status {
	ended := make(chan Status, 1)
	go func() {
		status := Failed
		if st, err := c.process.Wait(); err == nil {
			status = Status(st.ExitCode())
		}
		ended <- status
	}()
	select {
	case status := <-ended:
		return status
	case <-c.Stop:
		c.process.Kill()
		<-ended
		return RunFailed
	}
}

// Stderr is where a wrapper says something while its command runs.
var Stderr io.Writer = os.Stderr

// OpenLog opens a file for messages, to append them.
func OpenLog(path string) (io.Writer, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
}

// ReopenLog does nothing: there is no HUP.
func ReopenLog(io.Writer, string) error { return nil }

// Exit ends the process with the command's code, all 32 bits of it.
func (s Status) Exit() { os.Exit(int(s)) }

// AskedToEnd never tells.
func (s *Signals) AskedToEnd() <-chan struct{} { return nil }

// Reap has nothing to do here.
func Reap() {}
