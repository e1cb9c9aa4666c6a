package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

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
