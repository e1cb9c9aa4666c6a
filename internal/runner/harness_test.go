//go:build linux && (amd64 || arm64)

package runner

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"brs-exec/internal/sandbox"
	"brs-exec/need"
)

// The rows of the test table are tests named by the row's id (TestS05…). Each runs its situation
// bare, with env(1) under the name w, and then wrapped; what must be the same is compared. Plain
// `go test` runs the smoke set.
//
//	go test ./internal/runner -all                            every row
//	go test ./internal/runner -all -wrapper brs-exec          … with the real binary
//	internal/runner/testdata/stress 200                       signals, jobs and terminals 200 times, all processors busy
//	internal/runner/testdata/arm64                            every row, on an emulated arm64 machine
var (
	all         = flag.Bool("all", false, "run every row, not only the smoke set")
	wrapperName = flag.String("wrapper", "w", "what is tested: w (the runner with the early entry point), plain (without), brs-exec")
	built       = flag.String("built", "", "build nothing: take -wrapper and count from this directory")
	busy        = flag.Bool("busy", false, "something else keeps the processors busy: no row that needs them")
)

// patience is how long anything may take that must happen.
var patience = 60 * time.Second

func init() {
	flag.DurationVar(&patience, "patience", patience, "how long anything may take that must happen")
}

// TestMain makes the test binary, under other names, what the tests run.
func TestMain(m *testing.M) {
	if helper, ok := helpers[filepath.Base(os.Args[0])]; ok {
		helper()
		return
	}
	flag.Parse()
	os.Exit(setUp(m))
}

func setUp(m *testing.M) int {
	dir, err := os.MkdirTemp("", "runner-test-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	os.Chmod(dir, 0o711) // for tests that run the wrapper as somebody else
	if err := install(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for _, sig := range []os.Signal{syscall.SIGINT, syscall.SIGHUP} {
		if signal.Ignored(sig) { // by nohup, or a script's &: our children shall not inherit that
			signal.Notify(make(chan os.Signal, 1), sig)
		}
	}
	return need.Run(m)
}

// A side is bare or wrapped: on its PATH w is env(1) or the wrapper.
type side struct {
	dir  string
	env  []string
	bare bool
}

var bare, wrapped side

func (s side) w() string { return filepath.Join(s.dir, "w") }

// install builds the wrapper and fills both sides' directories.
func install(dir string) error {
	bare = side{dir: filepath.Join(dir, "bare"), bare: true}
	wrapped = side{dir: filepath.Join(dir, "wrapped")}
	bare.env, wrapped.env = environment(bare.dir, dir), environment(wrapped.dir, dir)
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for _, s := range []side{bare, wrapped} {
		if err := os.MkdirAll(s.dir, 0o755); err != nil {
			return err
		}
		for name := range helpers {
			if err := os.Symlink(self, filepath.Join(s.dir, name)); err != nil {
				return err
			}
		}
	}
	if err := os.Symlink("/usr/bin/env", bare.w()); err != nil {
		return err
	}
	if err := buildCount(); err != nil {
		return err
	}
	return buildWrapper()
}

// buildCount leaves the helper away where there is no C compiler; see newJournal.
func buildCount() error {
	if *built != "" {
		return errors.Join(os.Symlink(filepath.Join(*built, "count"), filepath.Join(bare.dir, "count")),
			os.Symlink(filepath.Join(*built, "count"), filepath.Join(wrapped.dir, "count")))
	}
	if _, err := exec.LookPath("cc"); err != nil {
		return nil
	}
	for _, s := range []side{bare, wrapped} {
		if out, err := exec.Command("cc", "-o", filepath.Join(s.dir, "count"), "testdata/count.c").CombinedOutput(); err != nil {
			return fmt.Errorf("cc count.c: %v\n%s", err, out)
		}
	}
	return nil
}

func buildWrapper() error {
	pkg, args := "brs-exec/internal/runner/testdata/w", []string{"-ldflags=-E brs_exec_entry"}
	switch *wrapperName {
	case "w":
	case "plain":
		args = nil
	case "brs-exec":
		pkg = "brs-exec/cmd/brs-exec"
		sts := sandbox.New(sandbox.Options{})
		base := sts.BaseCredentials()
		wrapped.env = append(wrapped.env,
			"AWS_ENDPOINT_URL_STS="+httptest.NewServer(sts).URL,
			"AWS_ACCESS_KEY_ID="+base.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+base.SecretAccessKey,
			"AWS_REGION=us-east-1", "BRS_EXEC_ROLE_ARN=arn:aws:iam::123456789012:role/etl",
			"BRS_EXEC_LOG_LEVEL=error") // it warns of processes that go on without the endpoint
	default:
		return fmt.Errorf("-wrapper %s: want w, plain or brs-exec", *wrapperName)
	}
	if *built != "" {
		return os.Symlink(filepath.Join(*built, *wrapperName), wrapped.w())
	}
	cgo := "0" // as it is released
	if raceEnabled {
		args, cgo = append(args, "-race"), "1"
	}
	build := exec.Command("go", append(append([]string{"build", "-o", wrapped.w()}, args...), pkg)...)
	build.Env = append(os.Environ(), "CGO_ENABLED="+cgo)
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %v\n%s", pkg, err, out)
	}
	return nil
}

func environment(bin, home string) []string {
	return []string{
		"PATH=" + bin + ":/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
		"HOME=" + home, "LC_ALL=C.UTF-8", "TERM=xterm", "PS1=P> ", "ENV=/dev/null", "HISTFILE=/dev/null",
		"AWS_EC2_METADATA_DISABLED=true",
		"GORACE=atexit_sleep_ms=0", // a second at each exit
	}
}

// row begins a row that isn't in the smoke set.
func row(t *testing.T) {
	t.Helper()
	need.Asked(t, *all, "-all")
}

// same compares what f sees bare and wrapped, and returns the latter.
func same(t *testing.T, f func(s side) string) string {
	t.Helper()
	want := f(bare)
	got := f(wrapped)
	if got != want {
		t.Errorf("wrapped:\n%s\nbare:\n%s", got, want)
	}
	return got
}

// result is what a command left.
type result struct {
	out, err string
	ws       syscall.WaitStatus
}

func (r result) String() string { return fmt.Sprintf("%s[%s]", r.out, ending(r.ws)) }

func ending(ws syscall.WaitStatus) string {
	if ws.Signaled() {
		return "signal " + strconv.Itoa(int(ws.Signal()))
	}
	return "exit " + strconv.Itoa(ws.ExitStatus())
}

// script runs a bash script in a session and a new directory of its own.
func (s side) script(t testing.TB, text string) result {
	t.Helper()
	return s.run(t, "bash", "-c", text)
}

func (s side) run(t testing.TB, argv ...string) result {
	t.Helper()
	c := s.command(t, argv...)
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	err := c.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatalf("%q: %v", argv, err)
	}
	return result{out.String(), errs.String(), c.ProcessState.Sys().(syscall.WaitStatus)}
}

// command is ended with the test, or when it takes far too long.
func (s side) command(t testing.TB, argv ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	t.Cleanup(cancel)
	c := exec.CommandContext(ctx, s.find(argv[0]), argv[1:]...)
	c.Args[0] = argv[0]
	c.Env, c.Dir = s.env, t.TempDir()
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	c.WaitDelay = time.Second
	return c
}

func (s side) find(name string) string {
	if path := filepath.Join(s.dir, name); !strings.Contains(name, "/") && exists(path) {
		return path
	}
	return name
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// eventually waits until f is true.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// A journal is the file in which the helper "count" writes down its signals.
type journal string

func newJournal(t *testing.T) journal {
	t.Helper()
	if *built == "" {
		need.Tools(t, "cc")
	}
	j := journal(filepath.Join(t.TempDir(), "journal"))
	t.Cleanup(j.kill)
	return j
}

// kill ends the helper, if it has outlived its shell or its wrapper.
func (j journal) kill() {
	pid := 0
	fmt.Sscanf(j.lines()[0], "ready %d", &pid)
	if line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); err == nil && strings.Contains(string(line), string(j)) {
		syscall.Kill(pid, syscall.SIGKILL)
	}
}

func (j journal) lines() []string {
	data, _ := os.ReadFile(string(j))
	whole := data[:bytes.LastIndexByte(data, '\n')+1]
	return strings.Split(strings.TrimSuffix(string(whole), "\n"), "\n")
}

// ready waits for the helper's first line, and returns its process id.
func (j journal) ready(t *testing.T) int {
	t.Helper()
	pid := 0
	eventually(t, "count is ready", func() bool {
		_, err := fmt.Sscanf(j.lines()[0], "ready %d", &pid)
		return err == nil
	})
	return pid
}

// wrapperOf is the process id that a parent of the command sees: the command's own when bare, else
// that of the outermost of depth wrappers.
func (s side) wrapperOf(t *testing.T, pid, depth int) int {
	t.Helper()
	for range depth {
		if !s.bare {
			pid = parentOf(t, pid)
		}
	}
	return pid
}

func parentOf(t *testing.T, pid int) int {
	t.Helper()
	ppid, err := strconv.Atoi(procStat(pid, 1))
	if err != nil {
		t.Fatalf("process %d is gone", pid)
	}
	return ppid
}

// lastSignal ends the helper "count".
const lastSignal = syscall.Signal(64)

// finish waits until the helper has had the signals that it must get, sends it the last one by way
// of its wrapper, and returns all that came before that.
func (j journal) finish(t *testing.T, target int, must ...string) string {
	t.Helper()
	for _, sig := range must {
		j.has(t, sig)
	}
	if err := syscall.Kill(target, lastSignal); err != nil {
		t.Fatalf("kill %d: %v; journal %q", target, err, j.lines())
	}
	return j.end(t)
}

func (j journal) end(t *testing.T) string {
	t.Helper()
	eventually(t, "count has ended", func() bool {
		l := j.lines()
		return l[len(l)-1] == "end"
	})
	l := j.lines()
	return strings.Join(l[1:len(l)-1], " ")
}

// has waits until the journal holds a line.
func (j journal) has(t *testing.T, line string) {
	t.Helper()
	eventually(t, line+" in the journal", func() bool {
		for _, l := range j.lines() {
			if l == line {
				return true
			}
		}
		return false
	})
}

// A terminal is a pseudo-terminal with a program in it, seen from outside.
type terminal struct {
	t    *testing.T
	pty  *os.File
	proc *exec.Cmd

	mu   sync.Mutex
	text []byte // all output
	seen int    // how much of it expect has consumed
	eof  bool
}

// terminal starts a program as the leader of a session with a new terminal.
func (s side) terminal(t *testing.T, argv ...string) *terminal {
	t.Helper()
	c := s.command(t, argv...)
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Pdeathsig: syscall.SIGKILL}
	p, err := pty.StartWithAttrs(c, &pty.Winsize{Rows: 24, Cols: 80}, c.SysProcAttr)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.FcntlInt(p.Fd(), unix.F_DUPFD_CLOEXEC, 3) // a Close must end a Read
	if err != nil {
		t.Fatal(err)
	}
	p.Close()
	syscall.SetNonblock(fd, true)
	p = os.NewFile(uintptr(fd), "terminal")
	term := &terminal{t: t, pty: p, proc: c}
	var wg sync.WaitGroup
	wg.Go(term.read)
	t.Cleanup(func() {
		if t.Failed() {
			ps, _ := exec.Command("ps", "-o", "pid,ppid,pgid,tpgid,stat,wchan:20,pending,args", "-s", strconv.Itoa(c.Process.Pid)).Output()
			t.Logf("terminal:\n%s\n%s", term.all(), ps)
		}
		c.Process.Kill()
		p.Close()
		c.Wait()
		wg.Wait()
	})
	return term
}

// shell is a terminal with an interactive shell that has shown its prompt.
func (s side) shell(t *testing.T, name string) *terminal {
	t.Helper()
	argv := map[string][]string{
		"bash": {"bash", "--norc", "--noediting", "-i"},
		"dash": {"dash", "-i"},
		"zsh":  {"zsh", "-f", "-i", "+Z", "-V"},
		"ksh":  {"ksh", "+o", "emacs", "+o", "gmacs", "+o", "vi", "+o", "multiline", "-i"},
	}[name]
	term := s.terminal(t, argv...)
	term.expect(`P> `)
	return term
}

func (p *terminal) read() {
	buf := make([]byte, 64<<10)
	for {
		n, err := p.pty.Read(buf)
		p.mu.Lock()
		p.text = append(p.text, buf[:n]...)
		p.eof = err != nil
		p.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (p *terminal) all() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return string(p.text)
}

func (p *terminal) send(text string) {
	p.t.Helper()
	if _, err := p.pty.WriteString(text); err != nil {
		p.t.Fatal(err)
	}
}

// line types a line and waits for its echo, which is consumed.
func (p *terminal) line(text string) {
	p.t.Helper()
	p.send(text + "\r")
	p.expect(regexp.QuoteMeta(text) + `\s*\n`)
}

// expect waits for output that matches, consumes it with all before it, and returns its groups.
func (p *terminal) expect(pattern string) []string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	var groups []string
	eventually(p.t, fmt.Sprintf("terminal shows %q", pattern), func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		loc := re.FindSubmatchIndex(p.text[p.seen:])
		if loc == nil {
			if p.eof {
				p.t.Fatalf("terminal closed before it showed %q", pattern)
			}
			return false
		}
		for i := 0; i < len(loc); i += 2 {
			groups = append(groups, string(p.text[p.seen:][max(0, loc[i]):max(0, loc[i+1])]))
		}
		p.seen += loc[1]
		return true
	})
	return groups
}

// sees waits for output that stays unconsumed. Of what nobody has read yet the kernel drops all at a Ctrl-C.
func (p *terminal) sees(text string) {
	p.t.Helper()
	eventually(p.t, fmt.Sprintf("terminal shows %q", text), func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return strings.Contains(string(p.text[p.seen:]), text)
	})
}

// shows is expect for what need not come: it waits so long.
func (p *terminal) shows(pattern string, within time.Duration) bool {
	re := regexp.MustCompile(pattern)
	for end := time.Now().Add(within); ; time.Sleep(time.Millisecond) {
		p.mu.Lock()
		loc := re.FindIndex(p.text[p.seen:])
		if loc != nil {
			p.seen += loc[1]
		}
		p.mu.Unlock()
		if loc != nil || time.Now().After(end) {
			return loc != nil
		}
	}
}

// foreground is the terminal's foreground process group.
func (p *terminal) foreground() int {
	group := 0
	if err := p.control(func(fd int) (err error) { group, err = unix.IoctlGetInt(fd, unix.TIOCGPGRP); return }); err != nil {
		p.t.Fatal(err)
	}
	return group
}

// control does an ioctl without Fd, which would make the file blocking.
func (p *terminal) control(f func(fd int) error) error {
	conn, err := p.pty.SyscallConn()
	if err != nil {
		return err
	}
	if e := conn.Control(func(fd uintptr) { err = f(int(fd)) }); e != nil {
		return e
	}
	return err
}

// waiting waits until the shell has nothing to do but wait for its job.
func (p *terminal) waiting() {
	p.t.Helper()
	shell := p.proc.Process.Pid
	eventually(p.t, "the shell waits", func() bool {
		where, _ := os.ReadFile(fmt.Sprintf("/proc/%d/wchan", shell))
		return procStat(shell, 0) == "S" && (strings.Contains(string(where), "do_wait") || strings.Contains(string(where), "sigsuspend"))
	})
}

// inForeground waits until pid's group has the terminal.
func (p *terminal) inForeground(pid int) {
	p.t.Helper()
	eventually(p.t, "in the foreground", func() bool {
		return procStat(pid, 2) == strconv.Itoa(p.foreground())
	})
}

// state waits until all threads of a process are in one of the states of proc(5) ("T": stopped).
// The parent is told of a stop when the last thread has stopped.
func state(t *testing.T, pid int, want string) {
	t.Helper()
	eventually(t, fmt.Sprintf("process %d in state %s", pid, want), func() bool {
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
		for _, task := range tasks {
			if s := statField(task+"/stat", 0); s == "" || !strings.Contains(want, s) {
				return false
			}
		}
		return len(tasks) > 0
	})
}

// procStat is a field of /proc/PID/stat, counted from the state; "" if there is no such process.
func procStat(pid, field int) string { return statField(fmt.Sprintf("/proc/%d/stat", pid), field) }

func statField(file string, field int) string {
	data, _ := os.ReadFile(file)
	_, rest, ok := strings.Cut(string(data), ") ")
	if !ok {
		return ""
	}
	return strings.Fields(rest)[field]
}

func (p *terminal) resize(rows, cols uint16) {
	if err := p.control(func(fd int) error {
		return unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: cols})
	}); err != nil {
		p.t.Fatal(err)
	}
}

// canonical reports whether the terminal's line discipline edits lines.
func (p *terminal) canonical() bool {
	p.t.Helper()
	var t *unix.Termios
	if err := p.control(func(fd int) (err error) { t, err = unix.IoctlGetTermios(fd, unix.TCGETS); return }); err != nil {
		p.t.Fatal(err)
	}
	return t.Lflag&unix.ICANON != 0
}
