package runner

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"unsafe"

	"golang.org/x/sys/windows"
)

// Deaths are what OnWrapperDeath can be here: a job object knows one end. The default, "term", means
// that, too.
var Deaths = []string{"kill", "none"}

// Harden does nothing here.
func Harden() {}

// Ended is never seen here: nothing but Ctrl-C arrives, and that is the context's end.
type Ended struct{}

func (e *Ended) Error() string  { return "interrupted" }
func (e *Ended) Status() Status { return Failed }

// Signals takes Ctrl-C, which the whole console gets, so that the command decides.
type Signals struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
}

// Catch catches Ctrl-C and Ctrl-Break.
func Catch() *Signals {
	s := &Signals{}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	c := make(chan os.Signal, 1)
	signal.Notify(c, os.Interrupt)
	go func() {
		for range c {
			s.cancel(&Ended{})
		}
	}()
	return s
}

// Context ends at Ctrl-C; Run doesn't look at it.
func (s *Signals) Context() context.Context { return s.ctx }

// Serve does nothing: nothing is served here without a command.
func (s *Signals) Serve(func()) {}

// Ended reports whether Ctrl-C came before the command was started.
func (s *Signals) Ended() (Status, bool) { return Failed, s.ctx.Err() != nil }

// Find looks the command up in env's PATH. The extensions of PATHEXT are ours.
func Find(argv, env []string) (path string, s Status, err error) {
	for _, kv := range env {
		if k, v, ok := strings.Cut(kv, "="); ok && strings.EqualFold(k, "PATH") {
			os.Setenv("PATH", v)
		}
	}
	path, err = exec.LookPath(argv[0])
	switch {
	case err == nil:
		return path, 0, nil
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		return "", NotFound, err
	}
	return "", NotExecutable, err
}

// There are no signals to hand on, nor one that would keep the command from being started.
func (s *Signals) handOver() bool { return true }
func (s *Signals) mark()          {}
func (s *Signals) drop()          {}

// child is the running command, in our console.
type child struct {
	Command
	sigs    *Signals
	process *os.Process
	pid     int
	status  Status
}

func (c *child) start() (err error) {
	files := []*os.File{os.Stdin, os.Stdout, os.Stderr}
	c.process, err = os.StartProcess(c.Path, c.Args, &os.ProcAttr{Env: c.Env, Files: files})
	if err != nil {
		c.status = NotExecutable
		return err
	}
	c.pid = c.process.Pid
	if c.OnWrapperDeath != "none" {
		endWithUs(c.pid)
	}
	return nil
}

func (c *child) finish() {}

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

// endWithUs puts the command into a job, which ends with our last handle of it, also if we are
// killed. If that fails, the command runs without.
func endWithUs(pid int) {
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return
	}
	limits := windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION{
		BasicLimitInformation: windows.JOBOBJECT_BASIC_LIMIT_INFORMATION{
			// Grandchildren may live on, as elsewhere.
			LimitFlags: windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE | windows.JOB_OBJECT_LIMIT_SILENT_BREAKAWAY_OK,
		},
	}
	_, err = windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation,
		uintptr(unsafe.Pointer(&limits)), uint32(unsafe.Sizeof(limits)))
	if err != nil {
		return
	}
	process, err := windows.OpenProcess(windows.PROCESS_SET_QUOTA|windows.PROCESS_TERMINATE, false, uint32(pid))
	if err != nil {
		return
	}
	defer windows.CloseHandle(process)
	windows.AssignProcessToJobObject(job, process) // job stays open as long as we live
}

// Stderr is where a wrapper says something while its command runs.
var Stderr io.Writer = os.Stderr

// OpenLog opens a file for messages, to append them.
func OpenLog(path string) (io.Writer, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
}

// ReopenLog does nothing: there is no HUP.
func ReopenLog(io.Writer, string) error { return nil }

// HasTerminal says that a HUP is nothing to wait for.
func HasTerminal() bool { return true }

// Exit ends the process with the command's code, all 32 bits of it.
func (s Status) Exit() { os.Exit(int(s)) }

// AskedToEnd never tells.
func (s *Signals) AskedToEnd() <-chan struct{} { return nil }

// Reap has nothing to do here.
func Reap() {}
