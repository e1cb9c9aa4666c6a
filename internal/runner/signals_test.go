//go:build linux && (amd64 || arm64)

package runner

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"brs-exec/need"
)

// Rows S01 to S16: table T1, every signal once.

// A scene is one situation of T1: something is started, and then a signal is sent.
type scene struct {
	line   string // typed into an interactive bash, "count" is the command
	leader bool   // instead: w count leads a session with a terminal
	event  func(term *terminal, w int)
	must   string // what the command gets at least
	want   string // what it gets in all
}

func (sc scene) play(t *testing.T, s side) string {
	t.Helper()
	j := newJournal(t)
	var term *terminal
	if sc.leader {
		term = s.terminal(t, "w", "count", string(j))
	} else {
		term = s.shell(t, "bash")
		term.send(strings.ReplaceAll(sc.line, "count", "count "+string(j)) + "\r")
	}
	c := j.ready(t)
	w := s.wrapperOf(t, c, 1)
	if !strings.HasSuffix(sc.line, "&") {
		term.inForeground(w)
	}
	s.probed(t, w)
	sc.event(term, w)
	got := strings.Fields(j.finish(t, w, strings.Fields(sc.must)...))
	slices.Sort(got) // what is sent at one moment may be handled by two threads of the wrapper
	return strings.Join(got, " ")
}

// check plays the scene bare and wrapped.
func (sc scene) check(t *testing.T) {
	t.Helper()
	if got := same(t, func(s side) string { return sc.play(t, s) }); got != sc.want {
		t.Errorf("%s: got %q; want %q", sc.line, got, sc.want)
	}
}

// probed waits until a wrapper has its probe. One that has none takes what comes in its first
// moments for its own, too: it is waited for until it has settled down.
func (s side) probed(t *testing.T, w int) int {
	t.Helper()
	if s.bare {
		return 0
	}
	if *wrapperName == "plain" {
		eventually(t, "the wrapper has closed its stdin", func() bool {
			stdin, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/0", w))
			return stdin == "/dev/null" || errors.Is(err, fs.ErrPermission) // the wrapper is not dumpable
		})
		return 0
	}
	found := 0
	eventually(t, "the wrapper has a probe", func() bool {
		for _, pid := range childrenOf(w) {
			if commandName(pid) == "sigprobe" {
				found = pid
			}
		}
		return found != 0
	})
	return found
}

// commandName is a process's name as ps(1) shows it.
func commandName(pid int) string {
	name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	return strings.TrimSuffix(string(name), "\n")
}

func childrenOf(pid int) []int {
	var pids []int
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, f := range files {
		data, _ := os.ReadFile(f)
		for word := range strings.FieldsSeq(string(data)) {
			n, _ := strconv.Atoi(word)
			pids = append(pids, n)
		}
	}
	return pids
}

// probeRow is a row that the wrapper passes only with a probe.
func probeRow(t *testing.T) {
	t.Helper()
	need.Asked(t, *wrapperName != "plain", "the early entry point")
}

func key(text string) func(*terminal, int) {
	return func(term *terminal, w int) { term.send(text) }
}

// sends is a kill(1) by a process of its own, to the wrapper or its group.
func sends(t *testing.T, sig string) func(*terminal, int) {
	return func(term *terminal, w int) { kill(t, sig, w) }
}

func sendsGroup(t *testing.T, sig string) func(*terminal, int) {
	return func(term *terminal, w int) { kill(t, sig, -w) }
}

func kill(t *testing.T, sig string, target int) {
	t.Helper()
	if out, err := exec.Command("kill", "-"+sig, "--", strconv.Itoa(target)).CombinedOutput(); err != nil {
		t.Fatalf("kill -%s %d: %v: %s", sig, target, err, out)
	}
}

func TestS01CtrlC(t *testing.T) {
	for _, line := range []string{"w count", "w count | cat", "sleep 60 | w count"} {
		scene{line: line, event: key("\x03"), must: "INT", want: "INT"}.check(t)
	}
}

func TestS02CtrlBackslash(t *testing.T) {
	row(t)
	scene{line: "w count", event: key("\x1c"), must: "QUIT", want: "QUIT"}.check(t)
}

func TestS03Resize(t *testing.T) {
	row(t)
	resize := func(term *terminal, w int) { term.resize(30, 90) }
	scene{line: "w count", event: resize, must: "WINCH", want: "WINCH"}.check(t)
}

func TestS04CtrlCLeader(t *testing.T) {
	row(t)
	scene{leader: true, event: key("\x03"), must: "INT", want: "INT"}.check(t)
}

func TestS05CtrlCAtPrompt(t *testing.T) {
	row(t)
	atPrompt := func(term *terminal, w int) {
		term.send("\x03")
		term.line("echo done") // the shell has had it
	}
	scene{line: "w count &", event: atPrompt, want: ""}.check(t)
}

func TestS06KillForeground(t *testing.T) {
	scene{line: "w count", event: sends(t, "INT"), must: "INT", want: "INT"}.check(t)
}

func TestS07KillGroupInt(t *testing.T) {
	probeRow(t)
	scene{line: "w count", event: sendsGroup(t, "INT"), must: "INT", want: "INT"}.check(t)
}

func TestS08KillTerm(t *testing.T) {
	row(t)
	scene{line: "w count", event: sends(t, "TERM"), must: "TERM", want: "TERM"}.check(t)
}

func TestS09KillGroupTerm(t *testing.T) {
	row(t)
	probeRow(t)
	scene{line: "w count", event: sendsGroup(t, "TERM"), must: "TERM", want: "TERM"}.check(t)
	jobs := func(term *terminal, w int) { term.line("kill %1") }
	scene{line: "w count &", event: jobs, must: "TERM", want: "TERM"}.check(t)
}

func TestS10KillGroupLeader(t *testing.T) {
	row(t)
	probeRow(t)
	scene{leader: true, event: sendsGroup(t, "TERM"), must: "TERM", want: "TERM"}.check(t)
}

func TestS11KillUsr1Leader(t *testing.T) {
	row(t)
	scene{leader: true, event: sends(t, "USR1"), must: "USR1", want: "USR1"}.check(t)
}

func TestS12HangUp(t *testing.T) {
	hangUp := func(term *terminal, w int) { term.pty.Close() }
	scene{leader: true, event: hangUp, must: "HUP CONT", want: "CONT HUP"}.check(t)
}

// inScript runs a script in which `w count` is a job, and has it get a signal.
func inScript(t *testing.T, s side, text string, event func(w int), must ...string) string {
	t.Helper()
	j := newJournal(t)
	c := s.command(t, "bash", "-c", strings.ReplaceAll(text, "count", "count "+string(j)))
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	w := s.wrapperOf(t, j.ready(t), 1)
	s.probed(t, w)
	event(w)
	got := j.finish(t, w, must...)
	c.Wait()
	return got
}

// TestS13Timeout: timeout(1) sends TERM to its child, TERM to the group, CONT to its child, CONT to
// the group. Bare, the pairs mostly merge, and so they must when wrapped. Where timeout is held up
// between the two, the command has both.
func TestS13Timeout(t *testing.T) {
	row(t)
	probeRow(t)
	for _, s := range []side{bare, wrapped} {
		n := 0
		for try := 0; n != 1 && try < 20; try++ {
			got := inScript(t, s, `timeout 600 w count`, expire(t), "TERM", "CONT")
			if n = strings.Count(got, "TERM"); n > 2 {
				t.Errorf("bare %v: got %q; want one TERM, or two", s.bare, got)
			}
		}
		if n != 1 {
			t.Errorf("bare %v: the two TERMs have never merged", s.bare)
		}
	}
}

// expire makes timeout(1), w's parent, take its time for over.
func expire(t *testing.T) func(w int) {
	return func(w int) {
		timeout := parentOf(t, w)
		state(t, timeout, "S") // it may not have run since its fork
		kill(t, "ALRM", timeout)
	}
}

func TestS14TimeoutForeground(t *testing.T) {
	row(t)
	got := same(t, func(s side) string {
		return inScript(t, s, `timeout --foreground -s INT 600 w count`, expire(t), "INT")
	})
	if got != "INT" {
		t.Errorf("got %q; want one INT", got)
	}
}

func TestS15BackgroundKill(t *testing.T) {
	got := same(t, func(s side) string {
		return inScript(t, s, `mkfifo go; w count & exec 3<>go; read -u3; kill $!; wait`, proceed(t), "TERM")
	})
	if got != "TERM" {
		t.Errorf("got %q; want one TERM", got)
	}
}

func TestS16KillZero(t *testing.T) {
	row(t)
	probeRow(t)
	got := same(t, func(s side) string {
		return inScript(t, s, `trap : TERM; mkfifo go; w count & exec 3<>go; read -u3; kill -TERM 0; wait; wait`, proceed(t), "TERM")
	})
	if got != "TERM" {
		t.Errorf("got %q; want one TERM", got)
	}
}

// proceed lets the script that is w's parent go on after its read.
func proceed(t *testing.T) func(w int) {
	return func(w int) {
		fifo := fmt.Sprintf("/proc/%d/cwd/go", parentOf(t, w))
		eventually(t, "the script reads", func() bool { return exists(fifo) })
		if err := os.WriteFile(fifo, []byte("\n"), 0); err != nil {
			t.Fatal(err)
		}
	}
}
