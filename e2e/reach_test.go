//go:build linux

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"brs-exec/internal/sandbox"
	"brs-exec/need"
)

// needTool finds a program that a test is about.
func needTool(t *testing.T, name string) string {
	t.Helper()
	need.Tools(t, name)
	path, _ := exec.LookPath(name)
	return path
}

const me = "arn:aws:sts::000000000000:assumed-role/etl/me\n"

// wantHint: the command failed, out of reach, and one line says so.
func (w *world) wantHint(t *testing.T, name string, command ...string) {
	t.Helper()
	_, stderr, status := w.run(t, asRole(command...)...)
	last := stderr[strings.LastIndex(strings.TrimSuffix(stderr, "\n"), "\n")+1:]
	if status == 0 || !strings.HasPrefix(last, "brs-exec: hint: nobody asked for credentials, perhaps because of "+name+": ") {
		t.Errorf("%q: status %d, stderr %q", command, status, stderr)
	}
}

// wantReached: the command is the role.
func (w *world) wantReached(t *testing.T, command ...string) {
	t.Helper()
	if out, stderr, status := w.run(t, asRole(command...)...); out != me || stderr != "" || status != 0 {
		t.Errorf("%q: status %d, stdout %q, stderr %q", command, status, out, stderr)
	}
}

// hasEndpoint fails where the environment has not come.
const hasEndpoint = `test -n "$AWS_CONTAINER_CREDENTIALS_FULL_URI"`

// sudo drops the environment; brs-exec after it, or sudo -E, doesn't.
func TestReachSudo(t *testing.T) {
	sudo := needTool(t, "sudo")
	need.That(t, exec.Command(sudo, "-n", "true").Run() == nil, "sudo without a password", "run the tests as root")
	w := newWorld(t, sandbox.Options{}).base()
	w.wantHint(t, "sudo", sudo, "-n", "sh", "-c", hasEndpoint)
	w.wantReached(t, sudo, "-n", "-E", tools.whois)
	inner := slices.Concat([]string{"-n", "env"}, w.env, []string{tools.brsExec}, asRole(tools.whois))
	out, err := exec.CommandContext(t.Context(), sudo, inner...).Output()
	if string(out) != me || err != nil {
		t.Errorf("brs-exec behind sudo: %q, %v", out, err)
	}
}

// A login shell drops the environment, runuser without -l doesn't.
func TestReachLoginShell(t *testing.T) {
	need.That(t, os.Getuid() == 0, "root", "run the tests as root")
	runuser := needTool(t, "runuser")
	w := newWorld(t, sandbox.Options{}).base()
	w.wantHint(t, "runuser", runuser, "-l", "root", "-c", hasEndpoint)
	w.wantReached(t, runuser, "-u", "root", tools.whois)
}

// In a network namespace of its own a program has another loopback.
func TestReachNetworkNamespace(t *testing.T) {
	unshare := needTool(t, "unshare")
	need.That(t, exec.Command(unshare, "-n", "true").Run() == nil, "network namespaces", "run the tests as root")
	w := newWorld(t, sandbox.Options{}).base()
	w.wantHint(t, "unshare", unshare, "-n", tools.whois)
}

// A tmux server that runs already gives its windows the environment of its own start. Inside a window, or with a server of
// its own, brs-exec reaches the program.
func TestReachTmux(t *testing.T) {
	tmux := needTool(t, "tmux")
	need.Tools(t, "script")
	w := newWorld(t, sandbox.Options{}).base()
	out := filepath.Join(w.home, "out")
	w.set("TMUX_TMPDIR="+w.home, "SHELL=/bin/sh", "TERM=dumb")
	call := func(args ...string) {
		t.Helper()
		cmd := exec.Command(tmux, args...)
		cmd.Env = w.env
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("tmux %q: %v: %s", args, err, text)
		}
	}
	wrote := func(want string) {
		t.Helper()
		var text []byte
		for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
			if text, _ = os.ReadFile(out); strings.HasSuffix(string(text), "\n") {
				break
			}
		}
		if string(text) != want {
			t.Errorf("the window wrote %q; want %q", text, want)
		}
		os.Remove(out)
	}
	call("-L", "running", "new-session", "-d", "sleep 600")
	t.Cleanup(func() { call("-L", "running", "kill-server") })
	if _, stderr, status := w.run(t, asRole(tmux, "-L", "running", "new-window", hasEndpoint+` && echo yes >`+out+` || echo no >`+out)...); status != 0 || stderr != "" {
		t.Errorf("status %d, stderr %q", status, stderr)
	}
	wrote("no\n")
	w.wantHint(t, "tmux", tmux, "-L", "running", "attach-session", "-t", "nobody")
	call("-L", "running", "new-window", tools.brsExec+" "+strings.Join(asRole(tools.whois), " ")+" >"+out)
	wrote(me)
	// The session outlives its signal: a server that ends just then leaves the one who waits for it waiting.
	w.run(t, asRole("sh", "-c", tmux+` -L own new-session -d "`+tools.whois+` >`+out+`; `+tmux+` -L own wait-for -S done; sleep 600"; `+
		tmux+` -L own wait-for done; `+tmux+` -L own kill-server`)...)
	wrote(me)

	command := filepath.Join(w.home, "command") // it ends when somebody has attached
	standIn(t, command, "until "+tmux+" list-clients | grep -q .; do sleep 0.05; done; "+tools.whois+" >"+out)
	ours := tools.brsExec + " --role-session-name me --role-arn " + role
	line := strings.NewReplacer("brs-exec …", ours, "COMMAND", command).Replace(documented(t, "REACH.md", "tmux -L job"))
	typed := exec.Command("script", "-qec", line, "/dev/null")
	typed.Env = append(w.env, "TERM=vt100", "PATH="+os.Getenv("PATH"))
	if text, err := typed.CombinedOutput(); err != nil {
		t.Errorf("%s: %v: %s", line, err, text)
	}
	wrote(me)
}

// GNU parallel on this machine passes the environment on.
func TestReachParallel(t *testing.T) {
	parallel := needTool(t, "parallel")
	w := newWorld(t, sandbox.Options{}).base()
	out, stderr, status := w.run(t, asRole(parallel, "--will-cite", tools.whois, ":::", "", "")...)
	if out != me+me || status != 0 {
		t.Errorf("status %d, stdout %q, stderr %q", status, out, stderr)
	}
}

var goesOn = regexp.MustCompile(`^brs-exec: warning: .* on without the endpoint\nbrs-exec: hint: --linger 1h .*\n$`)

// A daemon outlives the command, and with it the endpoint: the port is refused, and not served by anybody else.
func TestDaemonOutlivesTheEndpoint(t *testing.T) {
	w := newWorld(t, sandbox.Options{}).base()
	out, goOn := filepath.Join(w.home, "out"), filepath.Join(w.home, "go-on")
	daemon := `(while [ ! -e "$1" ]; do sleep 0.05; done; "$2" >"$3.part" 2>&1; mv "$3.part" "$3") >/dev/null 2>&1 &`
	if _, stderr, status := w.run(t, asRole("sh", "-c", daemon, "sh", goOn, tools.whois, out)...); status != 0 || !goesOn.MatchString(stderr) {
		t.Fatalf("status %d, stderr %q", status, stderr)
	}
	if err := os.WriteFile(goOn, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if text, err := os.ReadFile(out); err == nil {
			if !strings.Contains(string(text), "connection refused") && !strings.Contains(string(text), "no such file or directory") {
				t.Errorf("the daemon wrote %q", text)
			}
			return
		}
	}
	t.Error("the daemon wrote nothing in a minute")
}
