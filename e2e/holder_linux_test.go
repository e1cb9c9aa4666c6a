package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"brs-exec/internal/sandbox"
	"brs-exec/need"
)

// released is brs-exec linked as it is released: without the early entry point nobody keeps the port.
var released = sync.OnceValues(func() (string, error) {
	path := tools.brsExec + "-released"
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w -E brs_exec_entry", "-o", path, "brs-exec/cmd/brs-exec")
	build.Env = append(os.Environ(), "GOFLAGS=-buildvcs=false", "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, out)
	}
	return path, err
})

// keeper is a run of which processes go on.
type keeper struct {
	*exec.Cmd
	port string
	out  *bufio.Reader
	in   *os.File // the processes have the other end as descriptor 3
}

// startKeeper runs a command that prints its endpoint's URL first, and ends with what it reads from
// descriptor 3. brs-exec has a session of its own.
func startKeeper(t *testing.T, w *world, args ...string) *keeper {
	t.Helper()
	path, err := released()
	if err != nil {
		t.Fatal(err)
	}
	k := &keeper{Cmd: exec.Command(path, args...)}
	k.Env, k.SysProcAttr = w.env, &syscall.SysProcAttr{Setsid: true}
	in, w1, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	k.ExtraFiles, k.in = []*os.File{in}, w1
	out, err := k.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Start(); err != nil {
		t.Fatal(err)
	}
	in.Close()
	t.Cleanup(func() { w1.Close() })
	k.out = bufio.NewReader(out)
	url, err := k.out.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	k.port = portOf(url)
	return k
}

func portOf(url string) string {
	port, _, _ := strings.Cut(strings.TrimPrefix(url, "http://127.0.0.1:"), "/")
	return port
}

// second waits for the second process, of whatever name.
func (k *keeper) second(t *testing.T, name string) (pid int) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		stats, _ := filepath.Glob("/proc/[0-9]*/stat")
		for _, stat := range stats {
			var id, ppid, pgrp, session int
			var comm, state string
			b, _ := os.ReadFile(stat)
			fmt.Sscanf(string(b), "%d %s %s %d %d %d", &id, &comm, &state, &ppid, &pgrp, &session)
			if session == k.Process.Pid && comm == "("+name+")" {
				return id
			}
		}
	}
	t.Fatalf("there is no %s", name)
	return 0
}

// squat tries to take the port as another user; nil if that succeeded.
func (k *keeper) squat(reuse int) error {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) {
			syscall.Fchown(int(fd), 65534, 65534)
			syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_REUSEADDR, reuse)
		})
	}}
	lc.SetMultipathTCP(false)
	ln, err := lc.Listen(context.Background(), "tcp4", "127.0.0.1:"+k.port)
	if err == nil {
		ln.Close()
	}
	return err
}

// held wants the port to refuse, and to be nobody's, for that long.
func (k *keeper) held(t *testing.T, long time.Duration) {
	t.Helper()
	for end := time.Now().Add(long); time.Now().Before(end); {
		for reuse := range 2 {
			if err := k.squat(reuse); !errors.Is(err, syscall.EADDRINUSE) {
				t.Fatalf("another user takes the port, with SO_REUSEADDR %d: %v", reuse, err)
			}
		}
	}
	begun := time.Now()
	c, err := net.DialTimeout("tcp4", "127.0.0.1:"+k.port, 5*time.Second)
	if err == nil {
		c.Close()
	}
	if !errors.Is(err, syscall.ECONNREFUSED) || time.Since(begun) > time.Second {
		t.Errorf("a client got %v after %v; want a refusal at once", err, time.Since(begun))
	}
}

// gone wants the port to be free within 15 s, which is when nothing of ours has it.
func (k *keeper) gone(t *testing.T) {
	t.Helper()
	for begun := time.Now(); k.squat(1) != nil; time.Sleep(50 * time.Millisecond) {
		if time.Since(begun) > 15*time.Second {
			t.Fatalf("the port is held %v after its last process's end", time.Since(begun))
		}
	}
}

const printURL = `echo "$AWS_CONTAINER_CREDENTIALS_FULL_URI"; `

// goingOn are commands of which something goes on when brs-exec has been killed.
var goingOn = map[string]string{
	"shell":    printURL + `trap '' TERM HUP; cat <&3; :`,
	"pipeline": printURL + `(trap '' TERM HUP; cat <&3) | (trap '' TERM HUP; cat >/dev/null)`,
	"setsid":   printURL + `setsid sh -c 'trap "" TERM HUP; cat <&3' & wait`,
}

// When brs-exec is killed, another user gets its port at no moment while somebody is left who would
// send a token to it.
func TestKilledKeepsThePort(t *testing.T) {
	t.Parallel()
	tries := 3
	if os.Getenv("REPEAT") != "" {
		tries = 67
	}
	for name, command := range goingOn {
		for _, pty := range []string{"", "--pty"} {
			t.Run(name+pty, func(t *testing.T) {
				w := newWorld(t, sandbox.Options{}).base()
				for range tries {
					args := []string{"--role-arn", role, "--", "bash", "-c", command}
					if pty != "" {
						args = append([]string{pty}, args...)
					}
					k := startKeeper(t, w, args...)
					k.second(t, "sigprobe")
					time.Sleep(rand.N(30 * time.Millisecond))
					k.Process.Kill()
					k.held(t, 300*time.Millisecond)
					k.in.Close()
					k.gone(t)
					k.Wait()
				}
			})
		}
	}
}

// When the command has ended and something goes on, that is one warning, and the port is kept. What
// ends a moment later, as the last of a pipeline does, is no warning. Nobody waits for our copy of a
// stream.
func TestEndKeepsThePort(t *testing.T) {
	w := newWorld(t, sandbox.Options{}).base()
	path, err := released()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ command, told string }{
		"daemon":      {printURL + `exec >/dev/null 2>&1; (exec -a worker sleep 2) & exit 3`, `worker \(\d+\) goes on`},
		"two":         {printURL + `exec >/dev/null 2>&1; sleep 2 & sleep 2 & exit 3`, `sleep \(\d+\) and 1 more go on`},
		"long run":    {printURL + `sleep 1.1; exec >/dev/null 2>&1; sleep 2 & exit 3`, `sleep \(\d+\) goes on`},
		"nobody":      {printURL + `sleep 0; exit 3`, ""},
		"its last":    {printURL + `(exec >/dev/null 2>&1; sleep 0.03) & exit 3`, ""},
		"not told":    {printURL + `exec >/dev/null 2>&1; env -i /bin/sleep 1 & until grep -qx sleep /proc/$!/comm; do :; done; exit 3`, ""},
		"changes":     {printURL + `exec >/dev/null 2>&1; (sleep 0.4; exec env -i /bin/sleep 25) & exit 3`, `bash \(\d+\) and 1 more go on`},
		"empty":       {printURL + `exec >/dev/null 2>&1; AWS_CONTAINER_CREDENTIALS_FULL_URI= sleep 1 & exit 3`, ""},
		"another one": {printURL + `exec >/dev/null 2>&1; AWS_CONTAINER_CREDENTIALS_FULL_URI=x sleep 1 & exit 3`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var errs strings.Builder
			cmd := exec.CommandContext(t.Context(), path, "--role-arn", role, "--", "bash", "-c", c.command)
			cmd.Env, cmd.Stderr = w.env, &errs // read to its end: the holder has no copy
			begun := time.Now()
			url, err := cmd.Output()
			if cmd.ProcessState.ExitCode() != 3 {
				t.Fatalf("%v: %s", err, errs.String())
			}
			if took := time.Since(begun); took > 2*time.Second {
				t.Errorf("it took %v", took)
			}
			want := ""
			if c.told != "" {
				want = "^brs-exec: warning: " + c.told + " without the endpoint\nbrs-exec: hint: --linger 1h .*\n$"
			}
			if got := errs.String(); (want == "") != (got == "") || !regexp.MustCompile(want).MatchString(got) {
				t.Errorf("got %q; want %q", got, want)
			}
			k := &keeper{port: portOf(string(url))}
			if c.told != "" {
				k.held(t, 200*time.Millisecond)
			} else if err := k.squat(1); err != nil {
				t.Errorf("nobody is left, and the port is taken: %v", err)
			}
			k.gone(t)
		})
	}
}

// A port that the user chose can be had again at once, whoever goes on.
func TestChosenPortIsNotKept(t *testing.T) {
	w := newWorld(t, sandbox.Options{}).base()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	ln.Close()
	for range 2 {
		k := startKeeper(t, w, "--role-arn", role, "--port", port, "--", "bash", "-c", goingOn["shell"])
		k.second(t, "sigprobe")
		k.Process.Kill()
		k.Wait()
		for end := time.Now().Add(5 * time.Second); k.squat(1) != nil; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("it is kept")
			}
		}
	}
}

// The signal of --on-wrapper-death reaches all that know the endpoint, once each, and nobody else of
// the process group; the command has it from the kernel.
func TestKilledPassesOn(t *testing.T) {
	w := newWorld(t, sandbox.Options{}).base()
	path, err := released()
	if err != nil {
		t.Fatal(err)
	}
	const counter = `n=0; trap 'n=$((n+1)); echo "$0 SIG $n" >>log' SIG; echo "$0 ready" >>log; ` +
		`while [ ! -e stop ]; do sleep 0.05; done; echo "$0 end $n" >>log`
	for _, c := range []struct{ flag, sig, want string }{
		{"term", "TERM", "1"}, {"hup", "HUP", "1"}, {"none", "TERM", "0"},
	} {
		t.Run(c.flag, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			counts := strings.ReplaceAll(counter, "SIG", c.sig)
			script := `trap : TERM HUP; (sh -c "$COUNT" child & setsid sh -c "$COUNT" session & env -i COUNT="$COUNT" sh -c "$COUNT" bare & sleep 600) & sleep 600`
			group := exec.CommandContext(t.Context(), "bash", "-c", // another job of the same group
				`sh -c "$COUNT" other & `+path+` --role-arn `+role+` --on-wrapper-death `+c.flag+` -- bash -c "$0" & echo $!; wait`, script)
			group.Dir, group.SysProcAttr = dir, &syscall.SysProcAttr{Setsid: true}
			group.Env = append(w.env[:len(w.env):len(w.env)], "COUNT="+counts)
			out, err := group.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := group.Start(); err != nil {
				t.Fatal(err)
			}
			defer group.Wait()
			defer out.Close()
			defer syscall.Kill(-group.Process.Pid, syscall.SIGKILL)
			var pid int
			fmt.Fscan(out, &pid)
			log := func() string { b, _ := os.ReadFile(filepath.Join(dir, "log")); return string(b) }
			waitFor(t, "four processes", func() bool { return strings.Count(log(), " ready\n") == 4 })
			k := &keeper{Cmd: group}
			k.second(t, "sigprobe")
			time.Sleep(500 * time.Millisecond) // until it has the port: see DESIGN §4
			syscall.Kill(pid, syscall.SIGKILL)
			k.second(t, "brs-hold")
			if c.want == "1" {
				waitFor(t, "the signals", func() bool { return strings.Count(log(), " "+c.sig+" 1\n") >= 3 })
			}
			time.Sleep(200 * time.Millisecond) // in which a second one would come
			if err := os.WriteFile(filepath.Join(dir, "stop"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			waitFor(t, "four ends", func() bool { return strings.Count(log(), " end ") == 4 })
			for _, end := range []string{"child end " + c.want, "session end " + c.want, "bare end " + c.want, "other end 0"} {
				if !strings.Contains(log(), end+"\n") {
					t.Errorf("got %q; want %q", log(), end)
				}
			}
		})
	}
}

func waitFor(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not in time", what)
		}
	}
}

// A command that kills brs-exec, and stops the second process at some moment of its exec, when its
// memory can be read, finds no key there.
func TestNoKeyInSecondProcess(t *testing.T) {
	need.Tools(t, "python3")
	python := tools.python
	if python == "" {
		python = "/usr/bin/python3"
	}
	w := newWorld(t, sandbox.Options{}).base()
	path, err := released()
	if err != nil {
		t.Fatal(err)
	}
	tries := 5
	switch {
	case os.Getenv("REPEAT") != "":
		tries = 300
	case os.Getenv("LONG") != "":
		tries = 15
	}
	base := w.sts.BaseCredentials()
	needles := filepath.Join(w.home, "needles")
	if err := os.WriteFile(needles, []byte(base.SecretAccessKey+"\n"+base.AccessKeyID+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	states := map[string]int{}
	for range tries {
		cmd := exec.CommandContext(t.Context(), path, "--role-arn", role, "--", python, script("second_process.py"), needles)
		cmd.Env = w.env
		out, _ := cmd.CombinedOutput() // brs-exec is killed
		told := strings.TrimSpace(string(out))
		if states[told]++; !strings.HasPrefix(told, "nothing in ") {
			t.Errorf("got %q", told)
		}
	}
	t.Log(states)
}
