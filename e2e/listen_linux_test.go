package e2e

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"brs-exec/internal/sandbox"
	"brs-exec/need"
)

// netns is a network namespace, held by a process.
type netns struct{ pid string }

func newNetns(t *testing.T) netns {
	t.Helper()
	need.That(t, exec.Command("unshare", "-n", "true").Run() == nil, "network namespaces", "run the tests as root")
	cmd := exec.Command("unshare", "-n", "sleep", "600")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	n := netns{strconv.Itoa(cmd.Process.Pid)}
	ours, _ := os.Readlink("/proc/thread-self/ns/net") // self is the main thread, which netns.do may have taken inside
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if theirs, err := os.Readlink("/proc/" + n.pid + "/ns/net"); err == nil && theirs != ours {
			n.sh(t, "ip link set lo up")
			return n
		}
	}
	t.Fatal("unshare takes a minute")
	return n
}

// command is one that runs inside.
func (n netns) command(t *testing.T, env []string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), "nsenter", append([]string{"-t", n.pid, "-n"}, args...)...)
	cmd.Env = env
	return cmd
}

func (n netns) sh(t *testing.T, script string) {
	t.Helper()
	if out, err := n.command(t, os.Environ(), "sh", "-ec", script).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", script, err, out)
	}
}

// do calls f on a thread that is inside.
func (n netns) do(f func() error) error {
	failed := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with it
		fd, err := unix.Open("/proc/"+n.pid+"/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			if err = unix.Setns(fd, unix.CLONE_NEWNET); err == nil {
				err = f()
			}
			unix.Close(fd)
		}
		failed <- err
	}()
	return <-failed
}

// serveSTS has the sandbox answer inside, too.
func (n netns) serveSTS(t *testing.T, w *world, addr string) {
	t.Helper()
	err := n.do(func() error {
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			return err
		}
		srv := &http.Server{Handler: w.sts}
		go srv.Serve(ln)
		t.Cleanup(func() { srv.Close() })
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A container of a network whose bridge has an address of ECS, and an image without anything of ours: it has the
// environment of the share's env, and the bridge comes after brs-exec.
func TestListen(t *testing.T) {
	t.Parallel()
	needPython(t)
	need.Tools(t, "ip", "nsenter", "unshare")
	for name, a := range map[string]struct{ addr, prefix, client, outsider string }{
		"ECS":          {"169.254.170.2", "/24", "169.254.170.3", "10.9.9.9"},
		"Pod Identity": {"[fd00:ec2::23]", "/64", "fd00:ec2::24", "fd99::9"},
	} {
		t.Run(name, func(t *testing.T) {
			if name != "ECS" {
				need.Long(t, "20 seconds; the same at another address")
			}
			w := newWorld(t, sandbox.Options{TTL: 10 * time.Second}).base()
			host, container, outsider := newNetns(t), newNetns(t), newNetns(t)
			host.serveSTS(t, w, "127.0.0.1:8080")
			w.set("AWS_ENDPOINT_URL_STS=http://127.0.0.1:8080")
			dir := filepath.Join(t.TempDir(), "aws")
			s := &server{dir: dir, log: filepath.Join(t.TempDir(), "log")}
			s.Cmd = host.command(t, w.env, tools.brsExec, "--role-arn", role, "--serve", "--share", dir, "--log-level", "debug",
				"--log-file", s.log, "--listen", a.addr)
			if err := s.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Process.Kill(); s.Wait() })
			s.await(t, "serving")
			addr := strings.Trim(a.addr, "[]")
			host.sh(t, "ip link add aws type bridge && ip addr add "+addr+a.prefix+" dev aws nodad && ip link set aws up")
			host.plug(t, container, "c", a.client+a.prefix)
			host.plug(t, outsider, "o", a.outsider+a.prefix)
			outsider.sh(t, "ip route add "+addr+" dev eth0")
			host.sh(t, "ip route add "+a.outsider+" dev aws")
			host.serveSTS(t, w, a.addr+":8080")

			w.env = []string{"PATH=" + os.Getenv("PATH"), "AWS_ENDPOINT_URL_STS=http://" + a.addr + ":8080"}
			env := s.environment(t, w)
			out, err := container.command(t, env, tools.python, script("identity_loop.py"), "16", "0.1").Output()
			if err != nil {
				t.Fatal(err)
			}
			if l := parseLoop(t, string(out)); len(l.Errors) > 0 || l.Calls < 50 || l.Keys < 3 || len(l.Arns) != 1 {
				t.Errorf("%+v", l)
			}
			for _, argv := range [][]string{{tools.whois}, {tools.python, "-m", "awscli", "sts", "get-caller-identity"}} {
				if out, err := container.command(t, env, argv...).CombinedOutput(); err != nil || !bytes.Contains(out, []byte("assumed-role/etl/")) {
					t.Errorf("%s: %v: %s", argv[0], err, out)
				}
			}
			url := variableOf(env, "AWS_CONTAINER_CREDENTIALS_FULL_URI")
			token := variableOf(env, "AWS_CONTAINER_AUTHORIZATION_TOKEN")
			ask := func(n netns, token string) (status int) {
				t.Helper()
				if err := n.do(func() (err error) { status, err = getOnce(url, token); return err }); err != nil {
					t.Error(err)
				}
				return status
			}
			if got := ask(container, ""); got != 401 {
				t.Errorf("without the token: %d; want 401", got)
			}
			if got := ask(outsider, token); got != 403 {
				t.Errorf("from outside of the subnet: %d; want 403", got)
			}
			var all sync.WaitGroup
			for range 256 {
				all.Go(func() {
					if got := ask(container, token); got != 200 {
						t.Errorf("one of 256 at once: %d; want 200", got)
					}
				})
			}
			all.Wait()
		})
	}
}

// plug gives another namespace an interface on the bridge.
func (n netns) plug(t *testing.T, other netns, name, addr string) {
	t.Helper()
	n.sh(t, fmt.Sprintf("ip link add %s type veth peer name eth0 netns %s && ip link set %s master aws up", name, other.pid, name))
	other.sh(t, "ip addr add "+addr+" dev eth0 nodad && ip link set eth0 up")
}

func variableOf(env []string, name string) (value string) {
	for _, entry := range env {
		if v, ok := strings.CutPrefix(entry, name+"="); ok {
			value = v
		}
	}
	return value
}

// getOnce asks on a connection of its own, made by the calling thread.
func getOnce(url, token string) (status int, err error) {
	req, err := http.NewRequest("GET", url, nil)
	if err != nil {
		return 0, err
	}
	c, err := net.DialTimeout("tcp", req.URL.Host, 10*time.Second)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	if token != "" {
		req.Header.Set("Authorization", token)
	}
	req.Close = true
	if err := req.Write(c); err != nil {
		return 0, err
	}
	var line [12]byte
	if _, err := c.Read(line[:]); err != nil {
		return 0, err
	}
	return strconv.Atoi(string(line[9:]))
}
