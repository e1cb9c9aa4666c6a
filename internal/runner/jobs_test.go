//go:build linux && (amd64 || arm64)

package runner

import (
	"fmt"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"brs-exec/internal/runner/entry"
	"brs-exec/internal/runner/witness"
	"brs-exec/need"
)

// Rows J01 to J12: job control.

// stoppable is the helper with its terminal signals at their default action.
const stoppable = " 2 3 18 20 21 22"

var numbers = regexp.MustCompile(`\b\d{4,}\b|(\[\d+\]) \d+`)

// answer types a line and returns what the shell prints before its next prompt, process ids blotted
// out.
func (p *terminal) answer(line string) string {
	p.t.Helper()
	p.line(line)
	return p.prompt()
}

func (p *terminal) prompt() string {
	p.t.Helper()
	text := p.expect(`(?s)^(.*?)P> `)[1]
	text = strings.ReplaceAll(numbers.ReplaceAllString(text, "${1}PID"), "\r", "")
	text = regexp.MustCompile(`/tmp/\S*journal`).ReplaceAllString(text, "FILE")
	return strings.TrimSpace(text)
}

// job starts `w count` in the foreground of a shell.
func (s side) job(t *testing.T, term *terminal, args string) (w, c int) {
	t.Helper()
	_, w, c = s.journalled(t, term, args)
	return w, c
}

// journalled is job with what the command writes.
func (s side) journalled(t *testing.T, term *terminal, args string) (j journal, w, c int) {
	t.Helper()
	j = newJournal(t)
	term.line("w count " + string(j) + args)
	c = j.ready(t)
	w = s.wrapperOf(t, c, 1)
	term.inForeground(w)
	return j, w, c
}

// stopped waits until both are stopped, running until neither is.
func stopped(t *testing.T, w, c int) { t.Helper(); state(t, c, "T"); state(t, w, "T") }
func running(t *testing.T, w, c int) { t.Helper(); state(t, c, "SRD"); state(t, w, "SRD") }

func TestJ01StopAndForeground(t *testing.T) {
	for _, shell := range []string{"bash", "dash", "zsh", "ksh"} {
		t.Run(shell, func(t *testing.T) {
			if shell != "bash" {
				row(t)
			}
			need.Tools(t, shell)
			// ksh 93u+m itself, bare, now and then misses on a busy machine that its job has
			// stopped.
			need.Asked(t, shell != "ksh" || !*busy, "no -busy")
			same(t, func(s side) string {
				term := s.shell(t, shell)
				w, c := s.job(t, term, stoppable)
				term.send("\x1a")
				stopped(t, w, c)
				text := term.prompt() + "|" + term.answer("jobs") + "|"
				term.line("fg")
				running(t, w, c)
				term.inForeground(w)
				term.waiting()
				if shell != "ksh" {
					term.sees("w count")
				}
				term.send("\x03")
				text += term.prompt()
				rc := term.answer("echo $?")
				if shell == "ksh" { // what it echoes, and that rc, differ from run to run
					return fmt.Sprint(strings.Count(text, "Stopped"))
				}
				return text + "|" + rc
			})
		})
	}
}

func TestJ02Background(t *testing.T) {
	row(t)
	for _, shell := range []string{"bash", "dash", "zsh"} {
		need.Tools(t, shell)
		same(t, func(s side) string {
			term := s.shell(t, shell)
			w, c := s.job(t, term, stoppable+" 15")
			term.send("\x1a")
			stopped(t, w, c)
			text := term.prompt() + "|" + term.answer("bg") + "|"
			running(t, w, c)
			if shell == "zsh" { // it may have forgotten the job before its wait
				term.line("kill %1")
				return text + term.expect("terminated")[0]
			}
			term.line("kill %1; wait %1; echo rc $?")
			return text + term.expect(`rc (\d+)`)[1]
		})
	}
}

func TestJ03BackgroundRead(t *testing.T) {
	row(t)
	same(t, func(s side) string {
		term := s.shell(t, "bash")
		j := newJournal(t)
		term.line(`w sh -c 'echo ready $$ >` + string(j) + `; exec cat' &`)
		c := j.ready(t)
		w := s.wrapperOf(t, c, 1)
		stopped(t, w, c)
		term.prompt()
		text := term.answer("jobs") + "|"
		term.line("fg")
		running(t, w, c)
		term.inForeground(w)
		term.send("hello\r")
		term.expect(`hello\s+hello\s`) // the terminal's echo, and cat's
		term.send("\x04")
		term.prompt()
		return text + term.answer("echo $?")
	})
}

func TestJ04BackgroundWrite(t *testing.T) {
	row(t)
	same(t, func(s side) string {
		term := s.shell(t, "bash")
		term.answer("stty tostop")
		j := newJournal(t)
		term.line(`w sh -c 'echo ready $$ >` + string(j) + `; echo output' &`)
		c := j.ready(t)
		w := s.wrapperOf(t, c, 1)
		stopped(t, w, c)
		term.prompt()
		text := term.answer("jobs") + "|"
		term.line("fg")
		term.expect(`output`)
		term.prompt()
		return text + term.answer("echo $?")
	})
}

func TestJ05StopsItself(t *testing.T) {
	for _, sig := range []string{"STOP", "TSTP", "TTIN", "TTOU"} {
		same(t, func(s side) string {
			term := s.shell(t, "bash")
			j := newJournal(t)
			term.line(`w sh -c 'echo ready $$ >` + string(j) + `; kill -` + sig + ` $$; echo resumed; exit 5'`)
			c := j.ready(t)
			w := s.wrapperOf(t, c, 1)
			stopped(t, w, c)
			text := term.prompt() + "|" + term.answer("jobs") + "|"
			term.line("fg")
			term.expect("resumed")
			term.prompt()
			return text + term.answer("echo $?")
		})
	}
}

func TestJ06CatchesTstp(t *testing.T) {
	row(t)
	t.Run("vim", func(t *testing.T) {
		need.Tools(t, "vim")
		for _, s := range []side{bare, wrapped} {
			term := s.shell(t, "bash")
			term.send("w vim -u NONE -i NONE\r")
			term.expect(`\x1b\[\?1049h`) // the other screen
			term.expect(`~`)
			term.send("\x1a")
			term.expect(`\x1b\[\?1049l`)
			term.expect(`Stopped`)
			term.expect(`P> `)
			term.line("fg")
			term.expect(`\x1b\[\?1049h`)
			term.send("\x1b:q!\r")
			term.expect(`\x1b\[\?1049l`)
			term.expect(`P> `)
			term.line("echo rc $?")
			term.expect("rc 0")
		}
	})
	t.Run("kill 0", func(t *testing.T) { // before there is a probe
		if got := inherits(t, `w bash -c 'trap "echo caught" TSTP; kill -TSTP 0; sleep .3'`); got != "caught\n[exit 0]" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("trap", func(t *testing.T) { // it may also go on
		got := same(t, func(s side) string {
			term := s.shell(t, "bash")
			j, w, _ := s.journalled(t, term, "")
			term.send("\x1a")
			return j.finish(t, w, "TSTP")
		})
		if got != "TSTP" {
			t.Errorf("got %q; want one TSTP", got)
		}
	})
}

func TestJ07StopTenTimes(t *testing.T) {
	for _, s := range []side{bare, wrapped} {
		term := s.shell(t, "bash")
		w, c := s.job(t, term, stoppable)
		for range 10 {
			term.send("\x1a")
			stopped(t, w, c)
			term.prompt()
			term.line("fg")
			running(t, w, c)
			term.inForeground(w)
			term.waiting()
		}
		term.send("\x03")
		term.prompt()
	}
	// With a CONT handler: each fg is one CONT.
	got := same(t, func(s side) string {
		term := s.shell(t, "bash")
		j, w, c := s.journalled(t, term, " 20")
		for n := range 5 {
			term.send("\x1a")
			stopped(t, w, c)
			term.prompt()
			term.line("fg")
			eventually(t, "a CONT", func() bool { return strings.Count(strings.Join(j.lines(), " "), "CONT") > n })
			running(t, w, c)
			term.inForeground(w)
			term.waiting()
		}
		return j.finish(t, w)
	})
	if want := "CONT CONT CONT CONT CONT"; got != want {
		t.Errorf("got %q; want %q", got, want)
	}
}

func TestJ08TerminalReader(t *testing.T) {
	row(t)
	need.Tools(t, "less")
	for _, s := range []side{bare, wrapped} {
		term := s.shell(t, "bash")
		term.line("w seq 300 | less -X")
		term.expect(`(?s)22\r?\n23\r?\n.*:`)
		term.send(" ")
		term.expect(`(?s)46.*:`)
		term.send("q")
		term.prompt()
		term.line("w sh -c 'read -r x </dev/tty; echo got $x' </dev/null")
		term.send("word\r")
		term.expect("got word")
	}
}

func TestJ09InnerShell(t *testing.T) {
	row(t)
	same(t, func(s side) string {
		term := s.shell(t, "bash")
		term.line("w bash --norc --noediting -i")
		term.prompt()
		j := newJournal(t)
		term.line("count " + string(j) + stoppable)
		c := j.ready(t)
		term.inForeground(c)
		term.send("\x1a")
		state(t, c, "T")
		text := term.prompt() + "|" + term.answer("jobs") + "|"
		term.line("fg")
		state(t, c, "SRD")
		term.inForeground(c)
		term.send("\x1a")
		state(t, c, "T")
		term.prompt()
		text += term.answer("exit") + "|" // there are stopped jobs
		text += term.answer("exit") + "|" + term.answer("echo $?")
		return text
	})
	same(t, func(s side) string { // the inner shell suspends itself
		term := s.shell(t, "bash")
		term.line("w bash --norc --noediting -i")
		term.prompt()
		text := term.answer("suspend") + "|" + term.answer("jobs") + "|"
		term.line("fg")
		term.prompt()
		text += term.answer("echo $((40+2))")
		return text + "|" + term.answer("exit 4") + "|" + term.answer("echo $?")
	})
}

func TestJ10Orphaned(t *testing.T) {
	row(t)
	got := same(t, func(s side) string { // a session of its own: nobody could continue it
		j := newJournal(t)
		w := s.start(t, "w", "count", string(j), "20")
		j.ready(t)
		kill(t, "TSTP", w)
		kill(t, "USR1", w)
		return j.finish(t, w, "USR1")
	})
	if got != "USR1" {
		t.Errorf("got %q; want USR1", got)
	}
}

func TestJ11StopContinue(t *testing.T) {
	row(t)
	for _, s := range []side{bare, wrapped} {
		j := newJournal(t)
		w := s.start(t, "w", "count", string(j))
		kill(t, "STOP", w)
		state(t, w, "T")
		kill(t, "USR1", w)
		kill(t, "CONT", w)
		state(t, w, "SRD")
		got := strings.Fields(j.finish(t, w, "USR1", "CONT"))
		if strings.Count(strings.Join(got, " "), "USR1") != 1 {
			t.Errorf("bare %v: got %q; want one USR1", s.bare, got)
		}
	}
}

// TestJ12StopOfWrapper: TTIN and TTOU that somebody sends to the wrapper stop the command with it.
func TestJ12StopOfWrapper(t *testing.T) {
	for _, sig := range []string{"TTIN", "TTOU", "TSTP"} {
		same(t, func(s side) string {
			term := s.shell(t, "bash")
			j := newJournal(t)
			term.line("w count " + string(j) + stoppable + " &")
			c := j.ready(t)
			term.prompt()
			w := s.wrapperOf(t, c, 1)
			s.probed(t, w)
			kill(t, sig, w)
			stopped(t, w, c)
			text := term.answer("jobs") + "|" + term.answer("bg")
			running(t, w, c)
			kill(t, "TERM", w)
			return text + "|" + j.finish(t, w, "TERM")
		})
		// Nobody could continue an orphaned group, which they don't stop.
		got := same(t, func(s side) string {
			j := newJournal(t)
			w := s.start(t, "w", "count", string(j), "20", "21", "22")
			j.ready(t)
			kill(t, sig, w)
			return j.finish(t, w)
		})
		if got != "" {
			t.Errorf("%s in an orphaned group: got %q; want nothing", sig, got)
		}
	}
}

// TestJ12StopOfWrapperInside is TestJ12StopOfWrapper with --pty, under a shell and without one.
func TestJ12StopOfWrapperInside(t *testing.T) {
	earlyRow(t)
	for _, sig := range []string{"TTIN", "TTOU"} {
		term := wrapped.shell(t, "bash")
		j := newJournal(t)
		term.line("w --pty count " + string(j) + stoppable)
		c := j.ready(t)
		w := wrapped.wrapperOf(t, c, 1)
		raw(t, term)
		kill(t, sig, w)
		stopped(t, w, c)
		term.expect("Stopped")
		term.prompt()
		term.line("fg")
		running(t, w, c)
		kill(t, "TERM", w)
		if got := j.finish(t, w, "TERM"); got != "CONT TERM" && got != "TERM" {
			t.Errorf("%s: got %q; want one TERM", sig, got)
		}

		j = newJournal(t)
		term = wrapped.terminal(t, "w", "--pty", "count", string(j), "18", "21", "22")
		j.ready(t)
		kill(t, sig, term.proc.Process.Pid)
		kill(t, "TERM", term.proc.Process.Pid)
		if got := j.finish(t, term.proc.Process.Pid, "TERM"); got != "TERM" {
			t.Errorf("%s without a shell: got %q; want one TERM", sig, got)
		}
	}
}

// TestJ07StopAtStart: Ctrl-Z at any moment of the start. It may come to the shell, but never stops
// what Ctrl-C and fg can't reach.
func TestJ07StopAtStart(t *testing.T) {
	earlyRow(t)
	const runs = 100
	for _, s := range []side{bare, wrapped} {
		term := s.shell(t, "bash")
		for i := range runs {
			term.send("w sleep 100\r")
			time.Sleep(time.Duration(i) * 12 * time.Millisecond / time.Duration(runs))
			term.send("\x1a")
			for end := time.Now().Add(patience); !term.shows(`P> `, time.Second); term.send("\x03") {
				if time.Now().After(end) {
					t.Fatalf("bare %v, run %d: neither Ctrl-Z nor Ctrl-C", s.bare, i)
				}
			}
			term.line("kill -KILL %% 2>/dev/null; wait; echo next " + strconv.Itoa(i))
			term.expect(`next \d+`)
			term.expect(`P> `)
		}
	}
}

// TestJ06StopsOnce: one CONT ends a stop, and a stop that somebody sends at the same time.
func TestJ06StopsOnce(t *testing.T) {
	c := wrapped.command(t, "stopping")
	c.SysProcAttr.Setsid, c.SysProcAttr.Setpgid = false, true // stops are nothing to an orphaned group
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	pid := c.Process.Pid
	out.Read(make([]byte, 1)) // it is ready
	for i := range 5000 {
		in.Write([]byte{1})
		for end := time.Now().Add(time.Duration(i%100) * time.Microsecond); time.Now().Before(end); {
		}
		syscall.Kill(pid, syscall.SIGTSTP)
		for entry.StopOf(pid) == 0 {
			time.Sleep(10 * time.Microsecond)
		}
		syscall.Kill(pid, syscall.SIGCONT)
		echo := make(chan error, 1)
		go func() {
			_, err := out.Read(make([]byte, 1))
			echo <- err
		}()
		for on := false; !on; {
			select {
			case err := <-echo:
				if on = true; err != nil {
					t.Fatal(err)
				}
			case <-time.After(5 * time.Millisecond):
				if entry.StopOf(pid) != 0 {
					t.Fatalf("round %d: stopped twice", i)
				}
			}
		}
	}
	in.Close()
	c.Wait()
}

// TestStopBeforeWaking: a TSTP that is told of after the CONT, but came before that, is over.
func TestStopBeforeWaking(t *testing.T) {
	release := make(chan bool)
	held := make(chan bool)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		mask := sigmask(unix.SIG_SETMASK, ^uint64(0))
		held <- true
		<-release
		sigmask(unix.SIG_SETMASK, mask)
	}()
	<-held
	if !inHandler() {
		t.Error("no thread is seen that has all signals blocked")
	}
	release <- true
	woken := handlersDone()
	eventually(t, "no thread has all signals blocked", func() bool { return !inHandler() }) // the runtime blocks them for moments
	c := &child{sigs: &Signals{}, witness: &witness.Witness{}, woken: woken}
	for _, e := range []struct {
		at    time.Duration
		waits int
	}{{c.woken - 1, 0}, {c.woken + 1, 1}} {
		c.handle(event{sig: syscall.SIGTSTP, from: byProcess, pid: 1, at: e.at})
		if len(c.waiting) != e.waits {
			t.Errorf("at %v after the waking: %d signals wait to be passed on; want %d", e.at-c.woken, len(c.waiting), e.waits)
		}
	}
}

// TestResume: whose CONT it is. That of a second stop within one of ours, as a busy machine has it,
// came before we ran again.
func TestResume(t *testing.T) {
	const awake = time.Hour
	for _, c := range []struct {
		name    string
		stops   int
		resumed bool
		at      time.Duration
		want    bool
	}{
		{"for the command alone", 0, false, awake + 1, false},
		{"read after the stop", 1, false, awake + 1, true},
		{"the command has continued", 0, true, awake + 1, true},
		{"a second one during the stop", 0, false, awake - 1, true},
	} {
		child := &child{ended: true, contsDue: c.stops, resumed: c.resumed, woken: awake}
		if got := child.continued(event{sig: syscall.SIGCONT, at: c.at}); got != c.want {
			t.Errorf("%s: got %v; want %v", c.name, got, c.want)
		}
	}
}
