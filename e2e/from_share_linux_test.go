package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"brs-exec/internal/sandbox"
	"brs-exec/need"
)

// A socket that somebody else serves never makes us his account: another user's, and one whose owner is outside of our
// user namespace, where the kernel says "overflow uid" of him and perhaps of us. With --expect-account STS is asked, and
// the account decides.
func TestFromShareOfAnother(t *testing.T) {
	need.That(t, os.Getuid() == 0, "root", "run the tests as root")
	need.Tools(t, "setpriv", "unshare")
	const mallory, victim = "--reuid=4242", "--reuid=4343"
	w := newWorld(t, sandbox.Options{}).base()
	w.set("HOME="+openDir(t, 0o755), "TMPDIR="+openDir(t, 0o777))
	dir := openDir(t, 0o777) // mallory makes his share there
	sharer := exec.CommandContext(t.Context(), "setpriv", mallory, "--clear-groups", "--",
		tools.brsExec, "--role-arn", role, "--serve", "--share", filepath.Join(dir, "aws"), "--log-level", "info")
	sharer.Env = w.env
	s := &server{Cmd: sharer, dir: filepath.Join(dir, "aws"), log: filepath.Join(t.TempDir(), "log")}
	s.run(t)
	open(t, s.dir)

	as := func(how ...string) func(flags ...string) (string, error) {
		return func(flags ...string) (string, error) {
			args := append(append(how, tools.brsExec, "--from-share", s.dir), flags...)
			cmd := exec.CommandContext(t.Context(), args[0], append(args[1:], "--", tools.whois)...)
			cmd.Env = append(w.env, "AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=")
			out, err := cmd.CombinedOutput()
			return string(out), err
		}
	}
	user := as("setpriv", victim, "--clear-groups", "--")
	refused := "is served by user 4242, who is neither you nor root"
	for name, c := range map[string]struct {
		run  func(...string) (string, error)
		says string
	}{
		"user":              {user, refused},
		"root":              {as("env"), refused},
		"unmapped user":     {as("setpriv", victim, "--clear-groups", "--", "unshare", "-U", "--"), "is served by user 65534"},
		"root of a userns":  {as("setpriv", victim, "--clear-groups", "--", "unshare", "-Ur", "--"), "is served by user 65534"},
		"the overflow user": {as("setpriv", "--reuid=65534", "--clear-groups", "--", "unshare", "-U", "--"), "is served by user 65534"},
	} {
		out, err := c.run()
		if err == nil || !strings.Contains(out, c.says) || !strings.Contains(out, `docker run --user "$(id -u)"`) ||
			!strings.Contains(out, "--expect-account ID") || strings.Count(out, "\n") != 2 {
			t.Errorf("%s: %v: %s", name, err, out)
		}
	}
	if out, err := user("--expect-account", "000000000000"); err != nil || !strings.Contains(out, "assumed-role/etl/") {
		t.Errorf("--expect-account of the right account: %v: %s", err, out)
	}
	if out, err := user("--expect-account", "999999999999"); err == nil || strings.Contains(out, "assumed-role") {
		t.Errorf("--expect-account of another account: %v: %s", err, out)
	}
	if out, err := as("setpriv", mallory, "--clear-groups", "--")(); err != nil || !strings.Contains(out, "assumed-role/etl/") {
		t.Errorf("he himself: %v: %s", err, out)
	}
	if err := os.Chmod(filepath.Join(s.dir, "aws.sock"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := user(); err == nil || !strings.Contains(out, "aws.sock may not be opened by user 4343") || strings.Count(out, "\n") != 2 {
		t.Errorf("a socket of 0600: %v: %s", err, out)
	}
}

// run starts a server that logs to stderr, and waits until it serves.
func (s *server) run(t *testing.T) {
	t.Helper()
	log, err := os.Create(s.log)
	if err != nil {
		t.Fatal(err)
	}
	s.Stderr = log
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Process.Kill(); s.Wait(); log.Close() })
	s.await(t, "serving")
}

// open lets everybody connect.
func open(t *testing.T, dir string) {
	t.Helper()
	for name, mode := range map[string]os.FileMode{"": 0o755, "aws.sock": 0o666} {
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
}

// In a network namespace with nothing but lo, where no STS is reached by brs-exec: boto3, aws cli v1 and Go's SDK under
// --from-share, while the outer one is killed and started again. (The clients' own STS is the sandbox at that lo: it
// knows an expired credential, and whose each is.)
func TestFromShareInNamespace(t *testing.T) {
	needPython(t)
	need.Tools(t, "nsenter", "unshare")
	w := newWorld(t, sandbox.Options{TTL: 10 * time.Second}).base()
	n := newNetns(t)
	n.serveSTS(t, w, "127.0.0.1:8080")
	dir := filepath.Join(t.TempDir(), "aws")
	s := w.start(t, dir, nil)
	seconds, rotations := "18", 3
	if os.Getenv("REPEAT") != "" {
		seconds, rotations = "45", 6
	}
	inside := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "TMPDIR=" + openDir(t, 0o711), "AWS_ENDPOINT_URL_STS=http://127.0.0.1:8080"}
	run := func(argv ...string) *exec.Cmd {
		return n.command(t, inside, append([]string{tools.brsExec, "--from-share", dir, "--"}, argv...)...)
	}
	loop := run(tools.python, script("identity_loop.py"), seconds, "0.1")
	var out, errs strings.Builder
	loop.Stdout, loop.Stderr = &out, &errs
	if err := loop.Start(); err != nil {
		t.Fatal(err)
	}
	for _, argv := range [][]string{{tools.whois}, {tools.python, "-m", "awscli", "sts", "get-caller-identity"}} {
		if out, err := run(argv...).CombinedOutput(); err != nil || !strings.Contains(string(out), "assumed-role/etl/") {
			t.Errorf("%s: %v: %s", argv[0], err, out)
		}
	}
	time.Sleep(4 * time.Second) // the loop's: it is to ask before, and after
	s.end(t, syscall.SIGKILL)
	w.start(t, dir, nil)
	if err := loop.Wait(); err != nil {
		t.Fatalf("%v: %s", err, &errs)
	}
	if l := parseLoop(t, out.String()); len(l.Errors) > 0 || l.Calls < 50 || l.Keys < rotations || len(l.Arns) != 1 ||
		!strings.Contains(l.Arns[0], "assumed-role/etl/") {
		t.Errorf("%+v; stderr %s", l, &errs)
	}
}

// Many at once under one outer, by the line of docs/REACH.md: one AssumeRole call in all, and the outer's memory stays.
func TestFromShareMany(t *testing.T) {
	need.Tools(t, "xargs")
	w := newWorld(t, sandbox.Options{}).base()
	many := "60"
	if os.Getenv("REPEAT") != "" {
		many = "200"
	}
	dir := filepath.Join(t.TempDir(), "aws")
	s := w.start(t, dir, nil)
	before := rss(t, s.Process.Pid)
	_, row, _ := strings.Cut(read(t, filepath.Join("..", "docs", "REACH.md")), "| many processes at once, one AssumeRole call in all | ")
	line, _, _ := strings.Cut(row, " |\n")
	line = strings.NewReplacer(`\|`, "|", "200", many, "DIR", dir, "COMMAND", tools.whois, "brs-exec", tools.brsExec).Replace(line)
	cmd := exec.CommandContext(t.Context(), "sh", "-c", line)
	cmd.Env = append(w.env, "AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=")
	begun := time.Now()
	out, err := cmd.CombinedOutput()
	if got := strings.Count(string(out), "assumed-role/etl/"); err != nil || strconv.Itoa(got) != many {
		t.Errorf("%d of %s are the role: %v: %.2000s", got, many, err, out)
	}
	grown := rss(t, s.Process.Pid) - before
	t.Logf("%s at once took %v, and the outer grew by %d KiB", many, time.Since(begun).Round(time.Millisecond), grown)
	if grown > 10<<10 {
		t.Errorf("the outer has grown by %d KiB", grown)
	}
	if got := w.count("AssumeRole"); got != 1 {
		t.Errorf("%d AssumeRole calls; want 1", got)
	}
}

// rss is a process's resident memory, in KiB.
func rss(t *testing.T, pid int) (kib int) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(status), "VmRSS:")
	if _, err := fmt.Sscanf(after, "%d kB", &kib); err != nil {
		t.Fatal(err)
	}
	return kib
}
