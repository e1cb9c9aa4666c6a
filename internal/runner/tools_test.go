//go:build linux && (amd64 || arm64)

package runner

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"brs-exec/need"
)

// The programs that people put around a wrapper, and that no row names.

// TestTmux: the terminal of a tmux pane, with its keys, its size and its end.
func TestTmux(t *testing.T) {
	row(t)
	need.Tools(t, "tmux")
	got := same(t, func(s side) string {
		j := newJournal(t)
		tmux := s.tmux(t)
		tmux("new-session", "-d", "-x", "80", "-y", "24", s.find("w"), "count", string(j))
		c := j.ready(t)
		s.probed(t, s.wrapperOf(t, c, 1))
		tmux("send-keys", "C-c")
		j.has(t, "INT")
		tmux("resize-window", "-x", "100")
		j.has(t, "WINCH")
		tmux("kill-session")
		last := strings.Fields(j.finish(t, c, "HUP", "CONT"))
		slices.Sort(last[2:]) // what is sent at one moment may be handled by two threads of the wrapper
		return strings.Join(last, " ")
	})
	if want := "INT WINCH CONT HUP"; got != want { // the kernel sends the last two: the terminal is gone
		t.Errorf("got %q; want %s", got, want)
	}
}

// TestTmuxStop: Ctrl-Z, jobs and fg in a pane with a shell.
func TestTmuxStop(t *testing.T) {
	row(t)
	need.Tools(t, "tmux")
	same(t, func(s side) string {
		j := newJournal(t)
		tmux := s.tmux(t)
		shows := func(text string) {
			eventually(t, "the pane shows "+text, func() bool { return strings.Contains(tmux("capture-pane", "-p"), text) })
		}
		tmux("new-session", "-d", "-x", "200", "-y", "24", "bash", "--norc", "-i")
		shows("P>")
		tmux("send-keys", "w count "+string(j)+stoppable, "Enter")
		c := j.ready(t)
		w := s.wrapperOf(t, c, 1)
		tmux("send-keys", "C-z")
		stopped(t, w, c)
		shows("Stopped")
		tmux("send-keys", "fg", "Enter")
		running(t, w, c)
		kill(t, "TERM", w)
		j.has(t, "TERM")
		kill(t, "KILL", c)
		shows("Killed")
		tmux("send-keys", "echo rc $?", "Enter")
		shows("rc 137")
		return strings.Join(j.lines()[1:], " ")
	})
}

// tmux is a server of its own, which ends with the test.
func (s side) tmux(t *testing.T) func(args ...string) string {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "tmux")
	run := func(args ...string) (string, error) {
		c := s.command(t, append([]string{"tmux", "-f", "/dev/null", "-S", socket}, args...)...)
		out, err := c.CombinedOutput()
		return string(out), err
	}
	t.Cleanup(func() { exec.Command("tmux", "-S", socket, "kill-server").Run() }) // none is left: an error
	return func(args ...string) string {
		t.Helper()
		out, err := run(args...)
		if err != nil {
			t.Fatalf("tmux %q: %v: %s", args, err, out)
		}
		return out
	}
}

// TestScript: script(1) gives what it runs a terminal.
func TestScript(t *testing.T) {
	row(t)
	need.Tools(t, "script")
	got := same(t, func(s side) string {
		j := newJournal(t)
		term := s.terminal(t, "script", "-qec", "w count "+string(j), "/dev/null")
		c := j.ready(t)
		w := s.wrapperOf(t, c, 1)
		s.probed(t, w)
		term.send("\x03")
		j.has(t, "INT")
		return j.finish(t, w, "INT")
	})
	if got != "INT" {
		t.Errorf("got %q; want one INT", got)
	}
	for _, end := range []string{"exit 3", "kill -TERM $$", "tty >/dev/null"} {
		same(t, func(s side) string { return s.script(t, `script -qec "w sh -c '`+end+`'" /dev/null`).String() })
	}
}

// TestSetsid: in a session of its own, without a terminal.
func TestSetsid(t *testing.T) {
	row(t)
	need.Tools(t, "setsid")
	for _, end := range []string{"exit 3", "kill -TERM $$", "test -t 0; echo $?; tty", "exec 3</dev/tty"} {
		same(t, func(s side) string { return s.script(t, `setsid --wait w sh -c '`+end+`' </dev/null`).String() })
	}
	probeRow(t) // the group's HUP
	got := same(t, func(s side) string {
		j := newJournal(t)
		s.script(t, `setsid w count `+string(j)+` >/dev/null 2>&1 &`)
		c := j.ready(t)
		w := s.wrapperOf(t, c, 1)
		s.probed(t, w)
		kill(t, "TERM", w)
		j.has(t, "TERM")
		kill(t, "HUP", -w)
		return j.finish(t, w, "TERM", "HUP")
	})
	if got != "TERM HUP" {
		t.Errorf("got %q; want TERM and HUP, once", got)
	}
}

// TestChain: a chain of the programs that exec what follows, on both sides of w.
func TestChain(t *testing.T) {
	row(t)
	need.Tools(t, "nice", "stdbuf", "setpriv")
	ours, err := exec.Command("nice").Output() // the tests' own: CI may run them by nice -n 10
	if err != nil {
		t.Fatal(err)
	}
	base, err := strconv.Atoi(strings.TrimSpace(string(ours)))
	if err != nil {
		t.Fatal(err)
	}
	got := same(t, func(s side) string {
		return s.script(t, `nohup nice -n 5 timeout 60 w stdbuf -oL setpriv --no-new-privs sh -c 'nice; sed -n /NoNewPrivs/p /proc/self/status; exit 6' 2>/dev/null`).String()
	})
	if want := fmt.Sprintf("%d\nNoNewPrivs:\t1\n[exit 6]", min(base+5, 19)); got != want {
		t.Errorf("got %q; want %q", got, want)
	}
}

// TestQemuUser: an image for another processor, as docker and binfmt_misc run it. There /proc/self/exe may be something
// else, and CLONE_PARENT is refused.
func TestQemuUser(t *testing.T) {
	row(t)
	qemu := map[string]string{"amd64": "qemu-x86_64-static", "arm64": "qemu-aarch64-static"}[runtime.GOARCH]
	need.Tools(t, qemu)
	path, _ := exec.LookPath(qemu)
	for _, c := range []struct{ script, want string }{
		{path + ` w sh -c 'echo out; exit 7'`, "out\n[exit 7]"},
		{path + ` w nosuch`, "[exit 127]"},
		{`printf 'exit 9\n' >script; chmod +x script; ` + path + ` w ./script`, "[exit 9]"},
		{path + ` w --pty sh -c 'test -t 1 && exit 3' </dev/null`, "[exit 3]"},
	} {
		got := wrapped.script(t, strings.Replace(c.script, " w ", " "+wrapped.w()+" ", 1)).String()
		if got != c.want {
			t.Errorf("%s: got %q; want %q", c.script, got, c.want)
		}
	}
}
