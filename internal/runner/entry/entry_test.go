//go:build linux && (amd64 || arm64)

package entry

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// TestMain runs the tests in a binary that was linked with the entry point. That binary is also the
// command that most of them launch, which prints what it has inherited.
func TestMain(m *testing.M) {
	switch {
	case os.Getenv("ENTRY_TEST") != "":
		report()
	case Seen():
		runtime.LockOSThread() // a child is its thread's
		os.Exit(m.Run())
	default:
		os.Exit(linked())
	}
}

// linked builds this test with the entry point, and runs it.
func linked() int {
	dir, err := os.MkdirTemp("", "entry-test-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	test := filepath.Join(dir, "entry.test")
	build := exec.Command("go", "test", "-c", "-o", test, "-ldflags=-E brs_exec_entry", ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=") // CI sets -race there, which wants cgo
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v\n%s", err, out)
		return 1
	}
	c := exec.Command(test, os.Args[1:]...)
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	if c.Run() != nil {
		return 1
	}
	return 0
}

// report prints what this process was started with, as far as ENTRY_TEST asks for it.
func report() {
	f := os.NewFile(1, "stdout")
	switch os.Getenv("ENTRY_TEST") {
	case "state":
		fmt.Fprintf(f, "%+v", Inherited())
	case "descriptors":
		for fd := range 64 {
			if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
				fmt.Fprint(f, fd, " ")
			}
		}
	case "variables":
		fmt.Fprint(f, os.Getpid(), os.Getenv("LISTEN_PID"), os.Getenv("WATCHDOG_PID"), os.Getenv("LISTEN_PIDFDID"))
	case "session":
		sid, _ := unix.Getsid(0)
		group, _ := unix.IoctlGetInt(0, unix.TIOCGPGRP)
		fmt.Fprint(f, sid == os.Getppid(), syscall.Getpgrp() == os.Getpid(), group == os.Getpid(), sid != os.Getpid())
	}
}

// output launches this binary to report something, and returns what it prints and its process id.
func output(t *testing.T, c Command, what string, vars ...string) (string, int) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	stdout, err := syscall.Dup(1)
	if err != nil {
		t.Fatal(err)
	}
	syscall.CloseOnExec(stdout)
	syscall.Dup3(int(w.Fd()), 1, 0)
	w.Close()
	c.Path, c.Argv, c.Env = "/proc/self/exe", []string{"report"}, append(vars, "ENTRY_TEST="+what)
	p, err := Launch(c)
	syscall.Dup3(stdout, 1, 0)
	syscall.Close(stdout)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(r)
	if ws := ended(t, p.Pid); ws != 0 {
		t.Errorf("status %x; want 0", ws)
	}
	return string(text), p.Pid
}

// inherit makes it that this process was started in another state.
func inherit(t *testing.T, s State) {
	was := Inherited()
	t.Cleanup(func() { ignored, blocked, closed = was.Ignored, was.Blocked, was.Closed })
	ignored, blocked, closed = s.Ignored, s.Blocked, s.Closed
}

func TestInherited(t *testing.T) {
	for _, want := range []State{
		{},
		{Ignored: 1<<(syscall.SIGHUP-1) | 1<<(syscall.SIGSEGV-1) | 1<<63},
		{Blocked: 1<<(syscall.SIGTERM-1) | 1<<(syscall.SIGURG-1) | 1<<62},
		{Closed: 1},
		{Closed: 4},
	} {
		inherit(t, want)
		if got, _ := output(t, Command{}, "state"); got != fmt.Sprintf("%+v", want) {
			t.Errorf("got %s; want %+v", got, want)
		}
	}
}

func TestDescriptors(t *testing.T) {
	before, _ := output(t, Command{}, "descriptors")
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	for fd := 3; fd < 10; fd++ {
		if !inherited(fd) && unix.Access(fmt.Sprintf("/proc/self/fd/%d", fd), unix.F_OK) != nil {
			syscall.Dup3(int(null.Fd()), fd, 0)
			defer syscall.Close(fd)
			before += strconv.Itoa(fd) + " "
		}
	}
	got, _ := output(t, Command{}, "descriptors")
	for _, fd := range strings.Fields(before) {
		if !slices.Contains(strings.Fields(got), fd) {
			t.Errorf("%s is not open", fd)
		}
	}
	if len(strings.Fields(got)) != len(strings.Fields(before)) {
		t.Errorf("got %s; want %s", got, before)
	}
}

func TestVariables(t *testing.T) {
	self := strconv.Itoa(os.Getpid())
	for _, c := range []struct {
		vars []string
		want string // %d: the command's process id
	}{
		{[]string{"LISTEN_PID=" + self, "A=B", "WATCHDOG_PID=" + self, "LISTEN_PIDFDID=7"}, "%[1]d%[1]d%[1]d"},
		{[]string{"LISTEN_PID=1", "WATCHDOG_PID=" + self, "LISTEN_PIDFDID=7"}, "%[1]d1%[1]d7"},
		{nil, "%[1]d"},
	} {
		got, pid := output(t, Command{}, "variables", c.vars...)
		if want := fmt.Sprintf(c.want, pid); got != want {
			t.Errorf("%q: got %s; want %s", c.vars, got, want)
		}
	}
}

func TestErrors(t *testing.T) {
	script := filepath.Join(t.TempDir(), "script")
	os.WriteFile(script, []byte("exit 0\n"), 0o755)
	for path, want := range map[string]syscall.Errno{"/nosuch": syscall.ENOENT, "/": syscall.EACCES, script: syscall.ENOEXEC} {
		if _, err := Launch(Command{Path: path, Argv: []string{path}}); err != want {
			t.Errorf("%s: got %v; want %v", path, err, want)
		}
	}
	if _, err := Launch(Command{Path: "a\x00b"}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("a path that can't be passed: got %v; want %v", err, ErrUnavailable)
	}
	if _, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); err != syscall.ECHILD {
		t.Errorf("wait4: %v; want no child left", err)
	}
}

// waiting is a process that hasn't got its orders.
func waiting(t *testing.T) *Process {
	t.Helper()
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := seven.fork(pair[1], nil)
	if err != nil {
		t.Fatal(err)
	}
	p := &Process{Pid: pid, socket: pair[0]}
	t.Cleanup(p.Close)
	if w, _ := p.hear(nil); int(w.value) != pid {
		t.Fatalf("it says that it is %d; want %d", w.value, pid)
	}
	return p
}

var seven = &Command{Path: "/bin/sh", Argv: []string{"sh", "-c", "exit 7"}}

func ended(t *testing.T, pid int) syscall.WaitStatus {
	t.Helper()
	var ws syscall.WaitStatus
	if _, err := syscall.Wait4(pid, &ws, 0, nil); err != nil {
		t.Fatal(err)
	}
	return ws
}

// TestStopped: a process that stops before it is the command is not waited for in vain.
func TestStopped(t *testing.T) {
	p := waiting(t)
	syscall.Kill(p.Pid, syscall.SIGSTOP)
	p.order(seven, nil, nil)
	var stops []syscall.Signal
	p.hear(func(pid int, sig syscall.Signal) {
		stops = append(stops, sig)
		syscall.Kill(pid, syscall.SIGCONT)
	})
	if ws := ended(t, p.Pid); ws.ExitStatus() != 7 {
		t.Errorf("status %d; want 7", ws.ExitStatus())
	}
	if !slices.Equal(stops, []syscall.Signal{syscall.SIGSTOP}) {
		t.Errorf("stops %v; want one", stops)
	}
}

// TestPending: what comes before the mask is set takes effect when it is.
func TestPending(t *testing.T) {
	p := waiting(t)
	syscall.Kill(p.Pid, syscall.SIGTERM)
	p.order(seven, nil, nil)
	if _, said := p.hear(nil); said {
		t.Error("it has said something")
	}
	if ws := ended(t, p.Pid); ws.Signal() != syscall.SIGTERM {
		t.Errorf("status %x; want death by TERM", ws)
	}
}

// TestNoOrders: a process that gets no orders ends, and so does one whose parent is another.
func TestNoOrders(t *testing.T) {
	p := waiting(t)
	p.Close()
	q := waiting(t)
	syscall.Write(q.socket, bytes(&orders{parent: 1 << 40}))
	for _, pid := range []int{p.Pid, q.Pid} {
		if ws := ended(t, pid); ws.ExitStatus() != 253 {
			t.Errorf("status %d; want 253", ws.ExitStatus())
		}
	}
}

func TestSession(t *testing.T) {
	master, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	defer tty.Close()
	p, err := Launch(Command{Path: "/proc/self/exe", Argv: []string{"report"}, Env: []string{"ENTRY_TEST=session"}, TTY: tty})
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 100)
	n, _ := master.Read(b)
	if got, want := string(b[:n]), "false true true true"; got != want {
		t.Errorf("our session's, own group, in the foreground, session of another: got %s; want %s", got, want)
	}
	member := 0
	for end := time.Now().Add(time.Minute); member == 0 && time.Now().Before(end); {
		children, _ := os.ReadFile(fmt.Sprintf("/proc/%[1]d/task/%[1]d/children", p.Leader))
		fmt.Sscan(string(children), &member)
	}
	if group, err := syscall.Getpgid(member); group != p.Pid {
		t.Errorf("the member is in group %d, %v; want %d", group, err, p.Pid)
	}
	syscall.Wait4(p.Pid, nil, 0, nil)
	p.Close()
	for end := time.Now().Add(time.Minute); syscall.Kill(member, 0) == nil; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the member lives on")
		}
	}
}
