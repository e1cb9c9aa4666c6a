//go:build linux && (amd64 || arm64)

package runner

import (
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"brs-exec/need"
)

// Row N01: what applies of the tests of dumb-init and tini, and no other row has.

// TestN01ExitCodes is dumb-init's exit_status_test.
func TestN01ExitCodes(t *testing.T) {
	row(t)
	same(t, func(s side) string {
		return s.script(t, `for i in $(seq 0 255); do w sh -c "exit $i"; echo $?; done`).String()
	})
}

// TestN01EverySignal is dumb-init's proxies_signals_test: all but those that the Go runtime keeps.
func TestN01EverySignal(t *testing.T) {
	row(t)
	got := same(t, func(s side) string {
		j := newJournal(t)
		w := s.start(t, "w", "count", string(j))
		j.ready(t)
		for sig := syscall.Signal(1); sig < 32; sig++ {
			if !caught(sig) {
				continue
			}
			syscall.Kill(w, sig)
			name := strings.TrimPrefix(unix.SignalName(sig), "SIG")
			if sig == syscall.SIGIO {
				name = "POLL" // glibc's name for it
			}
			j.has(t, name)
		}
		return j.finish(t, w)
	})
	const want = "HUP INT QUIT ILL TRAP ABRT BUS FPE USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT TSTP TTIN TTOU " +
		"XCPU XFSZ VTALRM WINCH POLL PWR SYS"
	if got != want {
		t.Errorf("got %q; want %q", got, want)
	}
}

// TestN01Terminal is dumb-init's tty_test: tac(1) on a terminal, ended by Ctrl-D.
func TestN01Terminal(t *testing.T) {
	row(t)
	same(t, func(s side) string {
		term := s.terminal(t, "w", "tac")
		term.line("one")
		term.line("two")
		term.send("\x04")
		return term.expect(`two\s*\n(.*)\s*\n`)[1]
	})
}

// TestN01Orphans is tini's reaping_test beneath a subreaper that is not PID 1.
func TestN01Orphans(t *testing.T) {
	row(t)
	needsNamespace(t)
	r := wrapped.run(t, namespace("sh", "-c", `subreaper "$@"; exit $?`, "sh", wrapped.w(), "bash", "-c", daemons)...)
	if want := "0\n[exit 9]"; r.String() != want {
		t.Errorf("got %v; want %s\n%s", r, want, r.err)
	}
}

// TestPythonRunsIt: subprocess's own ways to start and to end what it runs.
func TestPythonRunsIt(t *testing.T) {
	row(t)
	need.Tools(t, "python3")
	same(t, func(s side) string {
		return s.run(t, "python3", "-c", `
import subprocess
p = subprocess.Popen(["w", "sleep", "60"], start_new_session=True); p.terminate(); print(p.wait())
print(subprocess.run(["w", "sh", "-c", "exit 9"]).returncode, subprocess.run(["w", "sh", "-c", "kill -PIPE $$"]).returncode)
print(subprocess.run(["w", "cat"], input=b"in", stdout=subprocess.PIPE).stdout)
try: subprocess.run(["w", "sleep", "60"], timeout=.3)
except subprocess.TimeoutExpired: print("expired")
`).String()
	})
}
