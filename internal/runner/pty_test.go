//go:build linux && (amd64 || arm64)

package runner

import (
	"crypto/sha256"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"brs-exec/need"
)

// Rows T01 to T07: --pty.

func TestT01Terminal(t *testing.T) {
	term := wrapped.shell(t, "bash")
	term.line("tty")
	outer := term.expect(`/dev/pts/\d+`)[0]
	term.prompt()
	term.line(`w --pty sh -c 'tty; stty size; test -t 0 && test -t 1 && test -t 2 && echo terminals'`)
	if inner := term.expect(`(/dev/pts/\d+)\s+24 80\s+terminals\s`)[1]; inner == outer {
		t.Errorf("on the terminal %s; want another", outer)
	}
	term.prompt()
	if got, want := term.answer(`w --pty stty -a`), term.answer(`stty -a`); got != want {
		t.Errorf("settings inside:\n%s\noutside:\n%s", got, want)
	}
	j := newJournal(t)
	term.line("w --pty count " + string(j))
	c := j.ready(t)
	w := wrapped.wrapperOf(t, c, 1)
	term.inForeground(w)
	term.resize(30, 90)
	if got := j.finish(t, w, "WINCH"); got != "WINCH" {
		t.Errorf("resize: got %q; want one WINCH", got)
	}
	term.prompt()
	term.line(`w --pty sh -c 'echo ready; read x; stty size'`)
	term.expect(`ready`)
	term.resize(40, 100)
	term.send("\r")
	term.expect(`(30 90|40 100)`)
}

// settings runs a line in a shell and compares the terminal's settings before and after.
func settings(t *testing.T, line string, during func(term *terminal)) {
	t.Helper()
	term := wrapped.shell(t, "bash")
	before := term.answer("stty -a")
	term.line(line)
	during(term)
	term.prompt()
	if after := term.answer("stty -a"); after != before {
		t.Errorf("%s: settings after:\n%s\nbefore:\n%s", line, after, before)
	}
}

func TestT02Restored(t *testing.T) {
	for _, sig := range []string{"TERM", "HUP", "INT", "USR1"} {
		j := newJournal(t)
		settings(t, "w --pty sh -c 'echo ready $$ >"+string(j)+"; exec sleep 600'", func(*terminal) {
			kill(t, sig, wrapped.wrapperOf(t, j.ready(t), 1))
		})
	}
	settings(t, "w --pty true", func(*terminal) {})
	settings(t, "w --pty nosuch-command", func(*terminal) {})
	settings(t, `w --pty sh -c 'kill -SEGV $$'`, func(*terminal) {})
	if *wrapperName != "brs-exec" {
		settings(t, "w --pty --panic sleep 600 2>/dev/null", func(*terminal) {})
	}
}

func TestT03Keys(t *testing.T) {
	for _, c := range []struct{ key, want string }{{"\x03", "INT"}, {"\x1c", "QUIT"}} {
		j := newJournal(t)
		term := wrapped.terminal(t, "w", "--pty", "count", string(j))
		j.ready(t)
		raw(t, term)
		term.send(c.key)
		if got := j.finish(t, term.proc.Process.Pid, c.want); got != c.want {
			t.Errorf("got %q; want one %s", got, c.want)
		}
	}
	term := wrapped.shell(t, "bash")
	term.line(`w --pty cat`)
	raw(t, term)
	term.send("hello\r")
	term.expect(`hello\s+hello\s`)
	term.send("\x04")
	term.prompt()
	if got := term.answer("echo $?"); got != "0" {
		t.Errorf("after Ctrl-D: status %s; want 0", got)
	}
}

// raw waits until the wrapper has made the terminal raw.
func raw(t *testing.T, term *terminal) {
	t.Helper()
	eventually(t, "the terminal is raw", func() bool { return !term.canonical() })
}

func TestT03Stop(t *testing.T) {
	earlyRow(t)
	term := wrapped.shell(t, "bash")
	before := term.answer("stty -a")
	j := newJournal(t)
	term.line("w --pty count " + string(j) + stoppable)
	c := j.ready(t)
	w := wrapped.wrapperOf(t, c, 1)
	for range 5 {
		raw(t, term)
		term.send("\x1a")
		stopped(t, w, c)
		term.prompt()
		if got := term.answer("stty -a"); got != before {
			t.Errorf("settings while stopped:\n%s\nbefore:\n%s", got, before)
		}
		if got := term.answer("jobs"); !strings.Contains(got, "Stopped") {
			t.Errorf("jobs: %q", got)
		}
		term.line("fg")
		running(t, w, c)
		term.inForeground(w)
		term.waiting()
	}
	raw(t, term)
	term.send("\x03")
	term.prompt()
	if got := term.answer("echo $?"); got != "130" {
		t.Errorf("after Ctrl-C: status %s; want 130", got)
	}
}

// TestT03StopOrphaned: Ctrl-Z where no shell could continue anything.
func TestT03StopOrphaned(t *testing.T) {
	term := wrapped.terminal(t, "w", "--pty", "cat")
	raw(t, term)
	for range 3 {
		term.send("\x1a")
		term.send("hello\r")
		term.expect(`hello\s+hello\s`)
	}
	term.send("\x04")
	if err := term.proc.Wait(); err != nil {
		t.Error(err)
	}
}

func TestT04LastMegabyte(t *testing.T) {
	const script = `head -c 786432 /dev/urandom | base64 -w0 | tee sum`
	term := wrapped.command(t, "w", "--pty", "sh", "-c", script)
	out, err := term.Output()
	if err != nil {
		t.Fatal(err)
	}
	want, _ := os.ReadFile(term.Dir + "/sum")
	if len(want) != 1<<20 || sha256.Sum256(out) != sha256.Sum256(want) {
		t.Errorf("got %d bytes; want the %d that were written", len(out), len(want))
	}
}

// TestT04Stop: Ctrl-Z stops the wrapper, too, that waits for a reader of what is left.
func TestT04Stop(t *testing.T) {
	term := wrapped.shell(t, "bash")
	j := newJournal(t)
	term.line(`{ head -c 65536 /dev/zero; exec w --pty sh -c 'printf "ready $PPID\n$$\n" >` + string(j) + `; echo rest'; } | sleep 100`) // a full pipe
	w := j.ready(t)
	c, err := strconv.Atoi(j.lines()[1])
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the command has ended", func() bool { return procStat(c, 0) == "" })
	term.send("\x1a")
	term.expect(`Stopped`)
	term.prompt()
	term.line("fg")
	term.inForeground(w)
	term.send("\x03")
	term.prompt()
	if got := term.answer("echo $?"); got != "130" {
		t.Errorf("status %s; want that of sleep, 130", got)
	}
}

func TestT05Grandchild(t *testing.T) {
	row(t)
	t.Run("silent", func(t *testing.T) {
		if out := grandchild(t, "exec sleep 600"); out != "last\r\n" {
			t.Errorf("got %q", out)
		}
	})
	t.Run("writing", func(t *testing.T) {
		grandchild(t, "while :; do echo more; sleep .05; done")
	})
}

// grandchild runs a command whose child keeps the terminal open, and returns its output.
func grandchild(t *testing.T, script string) string {
	t.Helper()
	c := wrapped.command(t, "w", "--pty", "sh", "-c", `trap '' HUP; sh -c '`+script+`' & echo $! >pid; echo last`)
	out, _ := c.Output()
	data, _ := os.ReadFile(c.Dir + "/pid")
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Errorf("the grandchild: %v; want it to outlive the wrapper", err)
	}
	return string(out)
}

func TestT06NoTerminal(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ script, want string }{
		{`printf 'a\nb\n' | w --pty cat`, "a\r\nb\r\n[exit 0]"},
		{`printf 'a\nb' | w --pty cat`, "a\r\nb[exit 0]"},
		{`printf '' | w --pty cat`, "[exit 0]"},
		{`w --pty sh -c 'test -t 0 && test -t 1 && echo out' </dev/null | cat`, "out\r\n[exit 0]"},
		{`w --pty sh -c 'exit 7' </dev/null`, "[exit 7]"},
		{`w --pty sh -c 'kill -TERM $$' </dev/null`, "[exit 143]"},
		{`w --pty yes </dev/null | head -n1`, "y\r\n[exit 0]"},
		{`yes 123456789 | w --pty sh -c 'read x; exit 3'`, "[exit 3]"},                                         // stdin not read to its end
		{`mkfifo p; sleep 600 <p & timeout -k 60 1 w --pty seq 1000000 >p; echo $?; kill $!`, "124\n[exit 0]"}, // stdout not read
	} {
		if got := wrapped.script(t, c.script).String(); got != c.want {
			t.Errorf("%s: got %q; want %q", c.script, got, c.want)
		}
	}
	t.Run("background of a shell that edits lines", func(t *testing.T) {
		row(t)
		term := wrapped.terminal(t, "bash", "--norc", "-i")
		term.expect(`P> `)
		j := newJournal(t)
		term.line(`w --pty sh -c 'echo ready $$ >` + string(j) + `; read x; echo got $x' &`)
		c := j.ready(t)
		term.line("fg")
		term.inForeground(wrapped.wrapperOf(t, c, 1))
		raw(t, term)
		term.send("word\r")
		term.expect("got word")
	})
	t.Run("background", func(t *testing.T) {
		row(t)
		term := wrapped.shell(t, "bash")
		term.answer("stty tostop")
		before := term.answer("stty -a")
		j := newJournal(t)
		term.line(`w --pty sh -c 'echo ready $$ >` + string(j) + `; read x; echo got $x' &`)
		c := j.ready(t)
		term.prompt()
		if got := term.answer("stty -a"); got != before {
			t.Errorf("settings beside a background job:\n%s\nbefore:\n%s", got, before)
		}
		term.line("fg")
		term.inForeground(wrapped.wrapperOf(t, c, 1))
		raw(t, term)
		term.send("word\r")
		term.expect("got word")
		term.prompt()
	})
}

// TestT07NoRoom: where only few processes may be started, the command runs without those that stand
// around it, or not at all.
func TestT07NoRoom(t *testing.T) {
	t.Parallel()
	need.Tools(t, "setpriv")
	need.Place(t, !raceEnabled, "a build without -race, whose threads are the C library's")
	need.Place(t, os.Getuid() == 0, "root, who may become a user without processes")
	uid := strconv.Itoa(100_000 + os.Getpid()%100_000)
	for limit := 6; limit < 16; limit++ {
		for range 4 {
			r := wrapped.run(t, "setpriv", "--reuid", uid, "--regid", uid, "--clear-groups",
				"bash", "-c", fmt.Sprintf("cd /; ulimit -u %d; exec w --pty sh -c 'echo ran'", limit))
			ran := r.out == "ran\r\n"
			code := r.ws.ExitStatus()
			if r.ws.Signaled() || ran && code >= 124 || !ran && code != int(Failed) && code != 2 { // 2: Go's runtime
				t.Errorf("%d processes: got %v, stderr %q", limit, r, r.err)
			}
		}
	}
}
