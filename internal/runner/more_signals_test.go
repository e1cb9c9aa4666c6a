//go:build linux && (amd64 || arm64)

package runner

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"brs-exec/internal/runner/siginfo"
	"brs-exec/internal/runner/witness"
	"brs-exec/need"
)

// Rows S17 to S28.

func TestS17Nested(t *testing.T) {
	row(t)
	probeRow(t)
	for _, event := range []struct {
		name string
		do   func(term *terminal, w int)
		want string
	}{
		{"Ctrl-C", key("\x03"), "INT"},
		{"kill w", sends(t, "TERM"), "TERM"},
		{"kill group", sendsGroup(t, "USR1"), "USR1"},
	} {
		for depth := 2; depth <= 3; depth++ {
			got := same(t, func(s side) string {
				j := newJournal(t)
				term := s.terminal(t, append(strings.Split(strings.Repeat("w ", depth), " ")[:depth], "count", string(j))...)
				c := j.ready(t)
				for n := 1; n <= depth; n++ {
					s.probed(t, s.wrapperOf(t, c, n))
				}
				event.do(term, term.proc.Process.Pid)
				return j.finish(t, term.proc.Process.Pid, event.want)
			})
			if got != event.want {
				t.Errorf("%s, %d wrappers: got %q; want one %s", event.name, depth, got, event.want)
			}
		}
	}
}

// TestS18TermAtStart: TERM comes at any moment after the start.
func TestS18TermAtStart(t *testing.T) {
	runs := 50
	if *all && !*busy {
		runs = 500
	}
	for i := range runs {
		c := wrapped.command(t, "w", "sleep", "600")
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(i%50) * 100 * time.Microsecond)
		c.Process.Signal(syscall.SIGTERM)
		c.Wait()
		if ws := c.ProcessState.Sys().(syscall.WaitStatus); !ws.Signaled() || ws.Signal() != syscall.SIGTERM {
			t.Fatalf("run %d: %s; want death by TERM", i, ending(ws))
		}
		eventually(t, "nothing of the session is left", func() bool { return syscall.Kill(-c.Process.Pid, 0) == syscall.ESRCH })
	}
}

func TestS20Many(t *testing.T) {
	row(t)
	const rt, n = 35, 200
	got := same(t, func(s side) string {
		j := newJournal(t)
		w := s.start(t, "w", "count", string(j))
		for range n {
			sigqueue(t, w, rt, 0)
			time.Sleep(time.Millisecond)
		}
		// Two threads of the wrapper may write down the last one and what ends count in either
		// order.
		eventually(t, "as many as were sent", func() bool { return len(j.lines()) > n })
		return strconv.Itoa(strings.Count(j.finish(t, w), "35"))
	})
	if got != strconv.Itoa(n) {
		t.Errorf("got %s; want %d", got, n)
	}
	for range 20 { // USR1 may merge, but the last one comes
		j := newJournal(t)
		w := wrapped.start(t, "w", "count", string(j))
		j.ready(t)
		syscall.Kill(w, syscall.SIGINT)
		j.has(t, "INT")
		for range 10 {
			syscall.Kill(w, syscall.SIGUSR1)
		}
		got := strings.Fields(j.finish(t, w, "USR1"))
		if len(got) > 11 || got[0] != "INT" || got[len(got)-1] != "USR1" {
			t.Errorf("got %q; want INT and 1 to 10 USR1", got)
		}
	}
}

// start starts a command as the leader of a session, to be ended by the test.
func (s side) start(t *testing.T, argv ...string) (pid int) {
	t.Helper()
	c := s.command(t, argv...)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Process.Kill()
		c.Wait()
	})
	if i := len(argv) - 1; argv[i-1] == "count" {
		journal(argv[i]).ready(t)
	}
	return c.Process.Pid
}

// sigqueue sends a signal with a value, as sigqueue(3) does.
func sigqueue(t *testing.T, pid int, sig syscall.Signal, value uint32) {
	t.Helper()
	info := siginfo.Info{Signo: int32(sig), Code: siginfo.Queued, PID: int32(syscall.Getpid()), Value: uint64(value)}
	if err := info.Send(pid); err != nil {
		t.Fatal(err)
	}
}

func TestS21RealTime(t *testing.T) {
	row(t)
	same(t, func(s side) string {
		j := newJournal(t)
		w := s.start(t, "w", "count", string(j))
		for sig := syscall.Signal(34); sig < lastSignal; sig++ {
			syscall.Kill(w, sig)
			j.has(t, strconv.Itoa(int(sig)))
		}
		return j.finish(t, w)
	})
	same(t, func(s side) string { // what sigqueue(3) sends along
		j := newJournal(t)
		w := s.start(t, "w", "count", string(j))
		sigqueue(t, w, 40, 4711)
		return j.finish(t, w, "40=4711")
	})
}

func TestS22KillAfter(t *testing.T) {
	row(t)
	j := newJournal(t)
	c := wrapped.command(t, "w", "--kill-after", "1s", "count", string(j))
	c.Start()
	j.ready(t)
	c.Process.Signal(syscall.SIGTERM)
	c.Wait()
	if ws := c.ProcessState.Sys().(syscall.WaitStatus); ws.Signal() != syscall.SIGKILL {
		t.Errorf("%s; want death by KILL", ending(ws))
	}
	if got := strings.Join(j.lines()[1:], " "); got != "TERM" {
		t.Errorf("got %q; want one TERM", got)
	}
	j = newJournal(t)
	w := wrapped.start(t, "w", "count", string(j))
	syscall.Kill(w, syscall.SIGTERM)
	j.has(t, "TERM")
	time.Sleep(1500 * time.Millisecond) // nothing to wait for: nothing may happen
	if got := j.finish(t, w); got != "TERM" {
		t.Errorf("without --kill-after: got %q; want one TERM", got)
	}
}

// TestS22Nohup: what came in ignored is no wish that the command end.
func TestS22Nohup(t *testing.T) {
	got := wrapped.script(t, `trap '' HUP; w --kill-after 10ms sh -c 'touch ready; exec sleep 600' & until [ -e ready ]; do sleep .01; done
kill -HUP $!; sleep .5; kill -TERM $!; wait $!`)
	if got.String() != "[exit 143]" {
		t.Errorf("got %v; want death by TERM, not KILL", got)
	}
}

func TestS23KillParent(t *testing.T) {
	row(t)
	got := wrapped.run(t, "w", "sh", "-c", `trap 'echo got TERM; exit 3' TERM; kill -TERM $PPID; while :; do sleep .01; done`).String()
	if want := "got TERM\n[exit 3]"; got != want {
		t.Errorf("got %q; want %q", got, want)
	}
}

func TestS24HupToInnerShell(t *testing.T) {
	row(t)
	for _, s := range []side{bare, wrapped} {
		term := s.shell(t, "bash")
		j := newJournal(t)
		term.line(`w bash --norc --noediting -i`)
		term.expect(`P> `)
		term.line(`echo ready $$ >` + string(j) + `; PS1=inner-`)
		inner := j.ready(t)
		term.expect(`inner-`)
		term.line(`trap 'echo HUP >>` + string(j) + `; exit 9' HUP`)
		term.expect(`inner-`)
		w := s.wrapperOf(t, inner, 1)
		group, _ := syscall.Getpgid(w)
		kill(t, "HUP", -group)
		eventually(t, "HUP in the journal", func() bool {
			term.send("\r") // bash runs traps when its prompt is answered
			time.Sleep(20 * time.Millisecond)
			return slices.Contains(j.lines(), "HUP")
		})
		term.expect(`P> `)
		term.line(`echo rc $?`)
		term.expect(`rc 9`)
	}
}

func TestS25EveryProcess(t *testing.T) {
	row(t)
	probeRow(t)
	for range 20 {
		j := newJournal(t)
		w := wrapped.start(t, "w", "count", string(j))
		pids := []int{w, j.ready(t), wrapped.probed(t, w)}
		begin := time.Now()
		for _, pid := range pids {
			syscall.Kill(pid, syscall.SIGTERM)
			time.Sleep(3 * time.Millisecond)
		}
		held := time.Since(begin) > witness.Window/2 // this machine is too busy to be systemd
		got := j.finish(t, w, "TERM")
		if held {
			continue
		}
		if got != "TERM" {
			t.Errorf("got %q; want one TERM", got)
		}
		return
	}
	need.Calm(t, "no try was quick enough")
}

func TestS26Pkill(t *testing.T) {
	row(t)
	need.Tools(t, "pkill")
	j := newJournal(t)
	name := "brs-exec-test"
	link := filepath.Join(t.TempDir(), name)
	if err := exec.Command("cp", wrapped.w(), link).Run(); err != nil {
		t.Fatal(err)
	}
	w := wrapped.start(t, link, "count", string(j))
	wrapped.probed(t, w)
	if out, err := exec.Command("pkill", "-TERM", "-s", strconv.Itoa(w), name).CombinedOutput(); err != nil {
		t.Fatalf("pkill: %v: %s", err, out)
	}
	if got := j.finish(t, w, "TERM"); got != "TERM" {
		t.Errorf("got %q; want one TERM", got)
	}
}

func TestS27Idle(t *testing.T) {
	need.Asked(t, *all && !*busy, "-all") // it takes 60 idle seconds
	t.Parallel()
	j := newJournal(t)
	w := wrapped.start(t, "w", "count", string(j))
	time.Sleep(60 * time.Second)
	if got := j.finish(t, w); got != "" {
		t.Errorf("got %q; want nothing", got)
	}
}

// TestS28Faults: a fault's signal that somebody sends is a signal like others, with a witness and
// before there is one.
func TestS28Faults(t *testing.T) {
	for _, name := range []string{"SEGV", "BUS", "FPE", "ILL", "TRAP", "SYS"} {
		same(t, func(s side) string {
			j := newJournal(t)
			w := s.start(t, "w", "count", string(j))
			kill(t, name, w)
			j.has(t, name)
			if *wrapperName != "plain" {
				s.probed(t, w)
				kill(t, name, -w)
				eventually(t, "a second "+name, func() bool { return strings.Count(strings.Join(j.lines(), " "), name) > 1 })
			}
			return j.finish(t, w)
		})
		same(t, func(s side) string {
			r := s.script(t, `w sleep 600 & until pgrep -P $! -x sleep || [ $(ps -o comm= $!) = sleep ]; do :; done >/dev/null; kill -`+name+` $!; wait $!`)
			said := strings.ReplaceAll(r.err, " (core dumped)", "")
			return r.String() + regexp.MustCompile(`line 1: +\d+ `).ReplaceAllString(said, "")
		})
	}
}

// TestS28IgnoredFault: a fault's signal that came in ignored ends nobody.
func TestS28IgnoredFault(t *testing.T) {
	earlyRow(t)
	got := wrapped.script(t, `ignoring 11 w sh -c 'kill -SEGV $PPID $$; sleep .2; echo alive; exit 3'; exit $?`)
	if got.String() != "alive\n[exit 3]" || got.err != "" {
		t.Errorf("got %v, stderr %q; want alive, 3", got, got.err)
	}
}

// TestAlarm: an alarm(2) set before the exec is the kernel's signal, and the command's.
func TestAlarm(t *testing.T) {
	t.Parallel()
	need.Tools(t, "perl")
	same(t, func(s side) string {
		return s.run(t, "perl", "-e", fmt.Sprintf(`alarm 1; exec %q, "sleep", "600"`, s.w())).String()
	})
}

// TestStoppedProbe: a probe that somebody has stopped is continued, and answers.
func TestStoppedProbe(t *testing.T) {
	probeRow(t)
	j := newJournal(t)
	w := wrapped.start(t, "w", "count", string(j))
	j.ready(t)
	probe := wrapped.probed(t, w)
	kill(t, "STOP", probe)
	state(t, probe, "T")
	kill(t, "TERM", w)
	j.has(t, "TERM")
	kill(t, "STOP", probe)
	state(t, probe, "T")
	kill(t, "INT", -w)
	if got := j.finish(t, w, "INT"); got != "TERM INT" {
		t.Errorf("got %q; want one TERM, one INT", got)
	}
}

// TestSignalAfterKey: what the terminal sent doesn't stay in the probe, where it would hide the
// same signal when a process sends it to the group.
func TestSignalAfterKey(t *testing.T) {
	probeRow(t)
	got := same(t, func(s side) string {
		term := s.shell(t, "bash")
		j, w, c := s.journalled(t, term, "")
		all := []int{w, c}
		if !s.bare {
			all = append(all, s.probed(t, w))
		}
		term.send("\x03")
		j.has(t, "INT")
		for _, pid := range all { // two that meet there would be one
			eventually(t, "nothing is pending", func() bool { return !pending(t, pid) })
		}
		kill(t, "INT", -w)
		return j.finish(t, w)
	})
	if got != "INT INT" {
		t.Errorf("got %q; want INT, INT", got)
	}
}

// pending reports whether signals wait in a process (not in one of its threads).
func pending(t *testing.T, pid int) bool {
	t.Helper()
	mask, known := witness.Pending(pid)
	if !known {
		t.Fatalf("process %d is gone", pid)
	}
	return mask != 0
}

// TestSignalOfSlowKiller: a killer that comes to the probe long after the wrapper sends the wrapper
// the same signal again.
func TestSignalOfSlowKiller(t *testing.T) {
	probeRow(t)
	for range 20 {
		j := newJournal(t)
		w := wrapped.start(t, "w", "count", string(j))
		probe := wrapped.probed(t, w)
		begin := time.Now()
		syscall.Kill(w, syscall.SIGTERM)
		j.has(t, "TERM")
		syscall.Kill(probe, syscall.SIGTERM)
		if time.Since(begin) > lateReports {
			continue // on this busy machine the wrapper has asked already
		}
		eventually(t, "the wrapper has asked its probe", func() bool { return !pending(t, probe) })
		time.Sleep(2 * witness.Window)
		syscall.Kill(w, syscall.SIGTERM)
		eventually(t, "a second TERM", func() bool { return strings.Count(strings.Join(j.lines(), " "), "TERM") == 2 })
		return
	}
	need.Calm(t, "no try was quick enough")
}
