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
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"brs-exec/internal/sandbox"
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
	k.port, _, _ = strings.Cut(strings.TrimPrefix(url, "http://127.0.0.1:"), "/")
	return k
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
	tries := 3
	if os.Getenv("LONG") != "" {
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
