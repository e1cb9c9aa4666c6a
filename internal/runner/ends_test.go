//go:build linux && (amd64 || arm64)

package runner

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"brs-exec/need"
)

// Rows E01 to E18: how it ends.

func TestE01ExitCodes(t *testing.T) {
	for _, code := range []int{0, 1, 2, 124, 125, 126, 127, 128, 254, 255} {
		got := same(t, func(s side) string { return s.run(t, "w", "sh", "-c", fmt.Sprint("exit ", code)).String() })
		if want := fmt.Sprintf("[exit %d]", code); got != want {
			t.Errorf("got %s; want %s", got, want)
		}
	}
}

func TestE02DeathBySignal(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT, syscall.SIGKILL, syscall.SIGPIPE, syscall.SIGUSR1, syscall.SIGSEGV, 35} {
		got := same(t, func(s side) string { return s.run(t, "w", "sh", "-c", fmt.Sprintf("kill -%d $$", sig)).String() })
		if want := fmt.Sprintf("[signal %d]", sig); got != want {
			t.Errorf("got %s; want %s", got, want)
		}
	}
}

func TestE03OneCore(t *testing.T) {
	row(t)
	pattern, _ := os.ReadFile("/proc/sys/kernel/core_pattern")
	need.Place(t, bytes.HasPrefix(pattern, []byte("core")), "a core_pattern of files in the working directory")
	same(t, func(s side) string {
		c := s.command(t, "bash", "-c", `ulimit -c unlimited; w bash -c 'kill -SEGV $$'`)
		c.Run()
		cores, _ := filepath.Glob(filepath.Join(c.Dir, "core*"))
		var names []string
		for _, core := range cores {
			names = append(names, dumped(t, core))
		}
		if got := strings.Join(names, " "); got != "bash" {
			t.Errorf("bare %v: cores of %q; want one, of bash", s.bare, got)
		}
		return ""
	})
}

// dumped is the command name in a core file: NT_PRPSINFO's pr_fname.
func dumped(t *testing.T, core string) string {
	t.Helper()
	f, err := elf.Open(core)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type != elf.PT_NOTE {
			continue
		}
		notes := make([]byte, p.Filesz)
		p.ReadAt(notes, 0)
		for len(notes) > 12 {
			name, desc, kind := binary.LittleEndian.Uint32(notes), binary.LittleEndian.Uint32(notes[4:]), binary.LittleEndian.Uint32(notes[8:])
			start := 12 + (name+3)&^3
			if kind == 3 {
				comm, _, _ := strings.Cut(string(notes[start+40:start+56]), "\x00")
				return comm
			}
			notes = notes[start+(desc+3)&^3:]
		}
	}
	return "?"
}

// found runs a script bare and wrapped, compares output and status, and wants exactly one line on
// stderr from the wrapper if the status is its own.
func found(t *testing.T, script string) {
	t.Helper()
	var last result
	same(t, func(s side) string {
		last = s.script(t, strings.ReplaceAll(script, "$W", s.w()))
		return last.String()
	})
	lines := strings.Count(last.err, "\n")
	if code := last.ws.ExitStatus(); (code == 126 || code == 127) && lines != 1 {
		t.Errorf("%s\n%d lines on stderr; want one: %q", script, lines, last.err)
	}
}

func TestE04Missing(t *testing.T) {
	found(t, `w nosuch-command`)
	found(t, `w ./nosuch-command`)
	found(t, `w /etc/passwd/x`)
	found(t, `w ''`)
}

func TestE05NotExecutable(t *testing.T) {
	found(t, `echo >f; w ./f`)
	found(t, `w /tmp`)
	found(t, `mkdir a b; echo x >a/c; printf '#!/bin/sh\necho good\n' >b/c; chmod +x b/c; PATH=$PWD/a:$PWD/b $W c`)
	found(t, `mkdir a; echo x >a/c; PATH=$PWD/a:/bin $W c`)
	found(t, `mkdir -p a/c; PATH=$PWD/a $W c`)
	found(t, `PATH=/etc/passwd $W c`)
	found(t, `PATH=/etc/passwd:/bin $W c`)
	found(t, `ln -s loop loop; PATH=/bin $W ./loop`)
	found(t, `mkfifo p; chmod +x p; w ./p`)
	found(t, fmt.Sprintf(`w %s`, strings.Repeat("x", 300)))
}

func TestE06NoShebang(t *testing.T) {
	found(t, `printf 'echo "$0" "$@"\n' >f; chmod +x f; w ./f a 'b c'`)
	found(t, `printf 'echo "$0" "$@"\n' >f; chmod +x f; PATH=:/bin $W f a`)
	found(t, `printf 'exit 5' >f; chmod +x f; w ./f`)
}

func TestE07MissingInterpreter(t *testing.T) {
	found(t, `printf '#!/no/such/interp -x\n' >f; chmod +x f; w ./f`)
	got := wrapped.script(t, `printf '#! /no/such/interp -x\n' >f; chmod +x f; w ./f`)
	if !strings.Contains(got.err, "/no/such/interp: no such file") || got.ws.ExitStatus() != 127 {
		t.Errorf("got %v, stderr %q; want 127 and the interpreter's name", got, got.err)
	}
	found(t, `printf '#!/etc/passwd\n' >f; chmod +x f; w ./f`)
	// Linux reads 256 bytes. A name that is cut off there makes the file one for /bin/sh.
	for _, length := range []int{240, 250, 252, 253, 254, 300} {
		for _, rest := range []string{"", "\n", " -e\n"} {
			found(t, fmt.Sprintf(`printf '#!/%s%s\necho "$0" "$@"\n' >f; chmod +x f; w ./f a b`, strings.Repeat("i", length), rest))
		}
	}
	found(t, `printf '#! %300s/bin/sh\necho hi\n' '' >f; chmod +x f; w ./f`)
	found(t, `printf '#!/bin/sh\0\necho hi\n' >f; chmod +x f; w ./f`)
	found(t, `printf '#!/bin/sh\r\n' >f; chmod +x f; w ./f`)
	got = wrapped.script(t, `printf '#!/bin/sh\r\n' >f; chmod +x f; w ./f`)
	if !strings.Contains(got.err, `"/bin/sh\r": no such file or directory: the first line has a Windows line end`) {
		t.Errorf("stderr %q; want the Windows line end", got.err)
	}
	found(t, `mkdir a b; printf '#!/no/such\n' >a/c; printf '#!/bin/sh\necho good\n' >b/c; chmod +x ?/c; PATH=$PWD/a:$PWD/b $W c`)
}

func TestE08Path(t *testing.T) {
	const prog = `printf '#!/bin/sh\necho $0\n' >prog; chmod +x prog; `
	for _, path := range []string{".", ":/bin", "/bin:", ".:/bin", "/bin::/sbin", "/nosuch:.", ""} {
		found(t, prog+`PATH=`+path+` $W prog`)
	}
	found(t, `unset PATH; $W ls /dev/null`)
	found(t, `unset PATH; $W prog`)
	found(t, `exec -a other $W sh -c 'echo $0'`)
}

func TestE10ArgumentList(t *testing.T) {
	huge := []string{"true"}
	for range 40 {
		huge = append(huge, strings.Repeat("x", 127<<10))
	}
	c := child{Command: Command{Path: "/bin/true", Args: huge}}
	_, s, err := c.exec(nil)
	if s != NotExecutable || err == nil || err.Error() != "true: argument list too long" {
		t.Errorf("got %v, %v; want %v, argument list too long", s, err, NotExecutable)
	}
}

// TestE10NoDescriptor: where none is left for it, the start fails, and not the command.
func TestE10NoDescriptor(t *testing.T) {
	var was unix.Rlimit // not by syscall.Setrlimit, after which children have the raised soft limit
	unix.Prlimit(0, unix.RLIMIT_NOFILE, nil, &was)
	c := child{Command: Command{Path: "/bin/true", Args: []string{"true"}}}
	unix.Prlimit(0, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: was.Max}, nil)
	_, s, err := c.exec(nil)
	unix.Prlimit(0, unix.RLIMIT_NOFILE, &was, nil)
	if s != Failed || err == nil || err.Error() != "true: fork: too many open files" {
		t.Errorf("got %v, %v; want %v, too many open files", s, err, Failed)
	}
}

// TestE06StoppedScript: what became of a process that found no program in a script isn't the
// script's.
func TestE06StoppedScript(t *testing.T) {
	runtime.LockOSThread() // a child is its thread's
	defer runtime.UnlockOSThread()
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("exit 7\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	c := child{Command: Command{Path: script, Args: []string{script}}, ended: true, stopped: true, status: 253}
	if err := c.start(); err != nil {
		t.Fatal(err)
	}
	if c.ended || c.stopped {
		t.Errorf("ended %v, stopped %v; want neither", c.ended, c.stopped)
	}
	var ws syscall.WaitStatus
	if _, err := syscall.Wait4(c.pid, &ws, 0, nil); err != nil || ws.ExitStatus() != 7 {
		t.Errorf("status %d, %v; want 7", ws.ExitStatus(), err)
	}
}

func TestE11Make(t *testing.T) {
	need.Tools(t, "make")
	for _, end := range []string{"kill -TERM $$$$", "exit 3", "kill -SEGV $$$$"} {
		same(t, func(s side) string {
			r := s.script(t, `printf 't:\n\tw sh -c '"'"'`+end+`'"'"'\n' >Makefile; make`)
			return strings.ReplaceAll(r.String()+r.err, " (core dumped)", "")
		})
	}
}

func TestE12Xargs(t *testing.T) {
	for _, end := range []string{"kill -TERM $$", "exit 255", "exit 126", "exit 127", "exit 1"} {
		same(t, func(s side) string {
			r := s.script(t, `printf 'a\nb\n' | xargs -n1 w sh -c '`+end+`'`)
			return r.String() + r.err
		})
	}
	same(t, func(s side) string {
		return s.script(t, `seq 20 | xargs -P4 -n1 w sh -c 'exit $(($1 % 2))' x`).String()
	})
}

func TestE13Parallel(t *testing.T) {
	row(t)
	need.Tools(t, "parallel")
	const columns = ` >/dev/null 2>&1; echo $?; tail -n +2 log | awk '{print $1, $7, $8}' | sort`
	same(t, func(s side) string {
		return s.script(t, `parallel -j2 --joblog log w sh -c ::: 'exit 0' 'exit 3' 'kill -TERM $$' 'kill -KILL $$'`+columns).String()
	})
	same(t, func(s side) string {
		return s.script(t, `parallel -j2 --halt now,fail=1 --joblog log w sh -c ::: 'sleep 60' 'kill -TERM $$'`+columns).String()
	})
}

func TestE14Timeout(t *testing.T) {
	t.Parallel()
	same(t, func(s side) string { return s.script(t, `timeout 60 w sh -c 'kill -TERM $$'`).String() })
	same(t, func(s side) string { return s.script(t, `timeout .3 w sleep 60`).String() })
	same(t, func(s side) string {
		return s.script(t, `timeout -k .3 2 w sh -c 'trap "" TERM; while :; do sleep .05; done'`).String()
	})
	same(t, func(s side) string { return s.script(t, `timeout -s INT .3 w sleep 60`).String() })
}

func TestE15Nested(t *testing.T) {
	for _, end := range []string{"exit 7", "kill -TERM $$"} {
		same(t, func(s side) string { return s.run(t, "w", "w", "w", "sh", "-c", end).String() })
	}
}

func TestE16LoopInterrupted(t *testing.T) {
	same(t, func(s side) string {
		term := s.shell(t, "bash")
		j := newJournal(t)
		term.line(`for i in 1 2 3; do w sh -c 'echo ready $$ >` + string(j) + `; exec sleep 60'; echo after; done`)
		term.inForeground(j.ready(t))
		term.send("\x03")
		term.expect(`P> `)
		term.line(`echo rc $?`)
		return term.expect(`rc (\d+)`)[1]
	})
}

func TestE17Pipefail(t *testing.T) {
	same(t, func(s side) string { return s.script(t, `set -o pipefail; w yes | head -n1; echo $?`).String() })
}

// TestE18TinyLimits: where Go's runtime would die with a page of its own words, one line of ours.
func TestE18TinyLimits(t *testing.T) {
	earlyRow(t)
	need.Tools(t, "setpriv")
	nobody := ""
	if os.Getuid() == 0 { // whom ulimit -u doesn't bind
		nobody = fmt.Sprintf("setpriv --reuid %d --clear-groups ", 200_000+os.Getpid()%100_000)
	}
	for _, ulimit := range []string{"-v 400000", "-n 8", "-u 4"} {
		r := wrapped.script(t, "cd /; "+nobody+"bash -c 'ulimit "+ulimit+"; exec w true'")
		if r.String() != "[exit 125]" || strings.Count(r.err, "\n") != 1 || !strings.Contains(r.err, ulimit[:2]+" is too low") {
			t.Errorf("ulimit %s: got %v, stderr %q; want 125 and one line", ulimit, r, r.err)
		}
	}
	// The runtime raises its own soft limit of files, and the command has the one that came.
	same(t, func(s side) string { return s.script(t, "ulimit -Sn 12; w bash -c 'ulimit -n'").String() })
}
