//go:build linux && (amd64 || arm64)

package runner

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"brs-exec/need"
)

// Rows D01 to D05: what is inherited; F01 to F07: descriptors.

// earlyRow is a row that holds only with the early entry point.
func earlyRow(t *testing.T) {
	t.Helper()
	need.Asked(t, *wrapperName != "plain", "the early entry point")
}

// inherits compares the output of a script.
func inherits(t *testing.T, script string) string {
	t.Helper()
	return same(t, func(s side) string {
		r := s.script(t, script)
		if r.err != "" {
			t.Errorf("bare %v: %s: %s", s.bare, script, r.err)
		}
		return r.String()
	})
}

const masks = `sed -n '/^Sig[IB]/p' /proc/self/status` // not grep, which catches SEGV

func TestD01Ignored(t *testing.T) {
	earlyRow(t)
	for sig := 1; sig <= 64; sig++ {
		if sig == 9 || sig == 19 || sig == 32 || sig == 33 {
			continue
		}
		got := inherits(t, fmt.Sprintf(`exec ignoring %d w %s`, sig, masks))
		if want := fmt.Sprintf("SigIgn:\t%016x\n", uint64(1)<<(sig-1)); !strings.Contains(got, want) {
			t.Errorf("signal %d: got %q; want %q", sig, got, want)
		}
	}
}

func TestD02Nohup(t *testing.T) {
	need.Tools(t, "perl")
	inherits(t, `nohup w `+masks+` 2>/dev/null`)
	inherits(t, `sh -c 'w `+strings.ReplaceAll(masks, "'", `"`)+` & wait'`)
	if *wrapperName != "plain" {
		inherits(t, `trap '' PIPE; exec w `+masks)
		inherits(t, `trap '' HUP INT QUIT PIPE TERM TTOU SEGV USR1; exec w `+masks)
	}
	if *wrapperName != "plain" { // what came in ignored may be caught by the command
		for _, sig := range []string{"HUP", "INT", "QUIT", "TERM", "USR1"} {
			got := inherits(t, `trap '' `+sig+`; w perl -e '$SIG{`+sig+`} = sub { print "caught\n"; exit 5 }; open F, ">ready"; close F; sleep 600' & until [ -e ready ]; do sleep .01; done; kill -`+sig+` $!; wait $!`)
			if got != "caught\n[exit 5]" {
				t.Errorf("%s: got %q; want the command to have caught it", sig, got)
			}
		}
	}
	// Ignored stays ignored for the wrapper itself.
	got := wrapped.script(t, `trap '' HUP; w sh -c 'kill -HUP $PPID; kill -HUP $$; echo alive'`)
	if got.String() != "alive\n[exit 0]" {
		t.Errorf("got %v", got)
	}
}

func TestD03Mask(t *testing.T) {
	earlyRow(t)
	for _, mask := range []string{"TERM", "TTIN", "USR1", "CHLD", "TERM,ILL,TTIN", "HUP,INT,QUIT,USR2,SEGV,URG"} {
		inherits(t, `exec masked `+mask+` w `+masks)
	}
	// A signal that the command has blocked waits in the command.
	w := wrapped.start(t, "masked", "USR1", "w", "sleep", "600")
	eventually(t, "the command runs", func() bool { return len(childrenOf(w)) > 0 })
	c := childrenOf(w)[0]
	kill(t, "USR1", w)
	eventually(t, "USR1 is pending in the command", func() bool {
		status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", c))
		return strings.Contains(string(status), "ShdPnd:\t0000000000000200\n")
	})
}

func TestD04OpenFiles(t *testing.T) {
	for _, n := range []int{256, 1024} {
		inherits(t, fmt.Sprintf(`ulimit -Sn %d; w sh -c 'ulimit -Sn; ulimit -Hn'`, n))
		inherits(t, fmt.Sprintf(`ulimit -n %d; w sh -c 'ulimit -Sn; ulimit -Hn'`, n))
	}
}

func TestD05Rest(t *testing.T) {
	need.Tools(t, "taskset", "nice", "prlimit")
	for _, script := range []string{
		`umask 027; w sh -c umask`,
		`nice -n 7 w nice`,
		`mkdir d; cd d; w sh -c 'basename $PWD; /bin/pwd | sed s,.*/,,'`,
		`echo 500 >/proc/self/oom_score_adj; w cat /proc/self/oom_score_adj`,
		`ulimit -Sc 1000; w sh -c 'ulimit -Sc; ulimit -Hc'`,
		`taskset -c 0 w taskset -p 0 2>/dev/null | sed 's/.*: //'; taskset -c 0 w sh -c 'taskset -p $$' | sed 's/.*: //'`,
		`echo 70000 >/proc/self/timerslack_ns; w cat /proc/self/timerslack_ns`,
		`w sh -c 'ulimit -a' | grep -v signals`,
		`w grep -E '^(Groups|NoNewPrivs|Seccomp|Cap|CoreDumping|THP|Cpus_allowed|Mems)' /proc/self/status`,
		`w cat /proc/self/coredump_filter /proc/self/loginuid /proc/self/personality`,
		`w sh -c 'ps -o sid=,pgid= -p $$' | wc -w`,
	} {
		inherits(t, script)
	}
	// The same session, group and terminal.
	got := wrapped.script(t, `w sh -c 'set -- $(cut -d" " -f5,6 /proc/$$/stat) $(cut -d" " -f5,6 /proc/$PPID/stat); [ "$1 $2" = "$3 $4" ] && echo same'`)
	if got.String() != "same\n[exit 0]" {
		t.Errorf("group and session: got %v", got)
	}
	if *wrapperName != "brs-exec" {
		inherits(t, `env -i PATH=/usr/bin A=1 B= C='x y' `+`"$(command -v w)" env`)
	}
}

// fds lists a process's descriptors, but the one that the listing itself opens.
const fds = `sh -c 'for f in /proc/self/fd/*; do [ -e "$f" ] && echo "${f##*/}"; done'`

func TestF01Descriptors(t *testing.T) {
	need.Tools(t, "bash")
	inherits(t, `exec 3</dev/null 9>x 200<>y; w `+fds)
	inherits(t, `exec 7<&-; w ls /proc/self/fd | wc -l`)
	inherits(t, `w cat <(echo one) <(echo two)`)
	inherits(t, `exec 3>out; w sh -c 'echo text >&3'; cat out`)
	inherits(t, `(w sh -c 'exec 3>&-; sleep .1' ; echo end) 3>&1 | cat`)
}

func TestF02Jobserver(t *testing.T) {
	row(t)
	need.Tools(t, "make")
	got := inherits(t, `cat >Makefile <<'END'
all:
	+@w $(MAKE) -s sub
sub: a b c d
a b c d:
	@touch $@; i=0; while ! { [ -e a ] && [ -e b ] && [ -e c ] && [ -e d ]; } && [ $$i -lt 600 ]; do sleep .05; i=$$((i+1)); done; [ $$i -lt 600 ] && echo ok
.PHONY: all sub a b c d
END
make -s -j4 2>&1`)
	if want := strings.Repeat("ok\n", 4) + "[exit 0]"; got != want {
		t.Errorf("got %q; want %q (four jobs at a time, no warning)", got, want)
	}
}

func TestF03SocketActivation(t *testing.T) {
	// A service manager names the process that it starts.
	const names = `sh -c 'for pid in "$LISTEN_PID" "$WATCHDOG_PID" "$SYSTEMD_EXEC_PID"; do [ "$pid" = $$ ] && echo mine || echo "$pid"; done; echo "$LISTEN_FDS $LISTEN_PIDFDID"'`
	if *wrapperName != "plain" {
		inherits(t, `LISTEN_FDS=1 LISTEN_PID=$$ WATCHDOG_PID=$$ SYSTEMD_EXEC_PID=$$ exec w `+names)
		inherits(t, `LISTEN_PIDFDID=4711 LISTEN_PID=1 WATCHDOG_PID=$$ exec w `+names)
		if got := wrapped.script(t, `LISTEN_PIDFDID=4711 LISTEN_PID=$$ exec w `+names); got.out != "mine\n\n\n \n" {
			t.Errorf("got %v; want LISTEN_PID alone", got)
		}
		if got := wrapped.script(t, `LISTEN_PID=$$ exec w --pty `+names+` </dev/null`); got.out != "mine\r\n\r\n\r\n \r\n" {
			t.Errorf("--pty: got %q", got.out)
		}
	}
	got := wrapped.script(t, `exec 3</dev/null; LISTEN_FDS=1 LISTEN_PID=123 NOTIFY_SOCKET=/x w sh -c 'echo $LISTEN_FDS $LISTEN_PID $NOTIFY_SOCKET; [ -e /proc/$$/fd/3 ] && echo open'`)
	if want := "1 123 /x\nopen\n[exit 0]"; got.String() != want {
		t.Errorf("got %v; want %s", got, want)
	}
}

// TestF03Daemon: a daemon that asks sd_listen_fds(3) is activated by way of the wrapper.
func TestF03Daemon(t *testing.T) {
	row(t)
	earlyRow(t)
	const proxyd = "/lib/systemd/systemd-socket-proxyd"
	need.Tools(t, "systemd-socket-activate", proxyd)
	same(t, func(s side) string {
		far, err := net.Listen("tcp", "127.0.0.1:0") // what the daemon forwards to
		if err != nil {
			t.Fatal(err)
		}
		defer far.Close()
		free, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr := free.Addr().String()
		free.Close()
		argv := []string{"systemd-socket-activate", "-l", addr}
		for _, v := range s.env { // it hands on what it is told to
			argv = append(argv, "-E", v)
		}
		s.start(t, append(argv, s.w(), proxyd, far.Addr().String())...)
		var near net.Conn
		eventually(t, "systemd-socket-activate listens", func() bool { near, err = net.Dial("tcp", addr); return err == nil })
		defer near.Close()
		far.(*net.TCPListener).SetDeadline(time.Now().Add(patience))
		conn, err := far.Accept()
		if err != nil {
			return "the daemon had no socket"
		}
		conn.Close()
		return "activated"
	})
}

func TestF04Flags(t *testing.T) {
	const flags = `grep ^flags /proc/self/fdinfo/0 /proc/self/fdinfo/1 /proc/self/fdinfo/2 >&9`
	inherits(t, `exec 9>&1; echo >f; `+flags+`; w sh -c '`+flags+`' <f >>g 2>h; `+flags)
	// O_NONBLOCK of a shared pipe, before, in and after the command.
	inherits(t, `exec 9>&1; mkfifo p; exec 8<>p; { `+flags+`; w sh -c '`+flags+`'; `+flags+`; } <&8 >&8`)
}

// TestF05Released: what the command closes is closed.
func TestF05Released(t *testing.T) {
	need.Tools(t, "flock")
	got := inherits(t, `w sh -c 'echo text; exec >&-; until [ -e seen ]; do sleep .01; done' | { cat; touch seen; }`)
	if got != "text\n[exit 0]" {
		t.Errorf("stdout: got %q", got)
	}
	inherits(t, `{ trap '' PIPE; until [ -e closed ]; do sleep .01; done; while echo x; do sleep .01; done 2>/dev/null; touch seen; } |
		w sh -c 'exec <&-; touch closed; until [ -e seen ]; do sleep .01; done'`)
	inherits(t, `exec 9>lock; flock 9; w sh -c 'exec 9>&-; until [ -e got ]; do sleep .01; done' & exec 9>&-; flock lock touch got; wait $!`)
	inherits(t, `w sh -c 'exec 9>&- >&-; until [ -e seen ]; do sleep .01; done' 9>&1 | { cat; touch seen; }`)
}

func TestF05Grandchild(t *testing.T) {
	got := inherits(t, `w sh -c 'sleep 600 >/dev/null & echo $!' | { read pid; kill $pid; echo read; }`)
	if got != "read\n[exit 0]" {
		t.Errorf("got %q", got)
	}
	// A grandchild that holds stdout delays the reader, not the wrapper.
	got = inherits(t, `{ w sh -c 'sleep 600 & echo $! >pid'; echo ended >&2; kill $(cat pid); } 2>&1 | cat`)
	if got != "ended\n[exit 0]" {
		t.Errorf("got %q", got)
	}
}

func TestF06StdinUntouched(t *testing.T) {
	inherits(t, `(echo a; echo b; echo c) | (w head -c2 ; cat)`)
	inherits(t, `printf 'one\ntwo\n' | (w true; cat)`)
	inherits(t, `printf 'one\ntwo\n' >f; (w sh -c 'read x; echo got $x'; cat) <f`)
}

func TestF07Closed(t *testing.T) {
	if *wrapperName != "plain" {
		inherits(t, `w `+fds+` <&-`)
		inherits(t, `w `+fds+` 2>&-`)
		same(t, func(s side) string { return s.script(t, `w sh -c 'echo x' >&-; echo $?`).String() })
	}
	if *wrapperName == "brs-exec" { // what it is asked to print, nobody would see
		for _, asked := range []string{"--version", "--help", "--whoami", "--export", "--explain"} {
			r := wrapped.script(t, `w `+asked+` >&-`)
			if r.ws.ExitStatus() != int(Failed) || !strings.Contains(r.err, "stdout is closed") {
				t.Errorf("%s: got %v, stderr %q; want 125, stdout is closed", asked, r, r.err)
			}
		}
	}
	same(t, func(s side) string { return s.script(t, `w echo x >/dev/full; echo $?`).String() })
}
