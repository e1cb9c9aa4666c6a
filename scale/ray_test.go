//go:build linux

package scale

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"brs-exec/need"
)

// onlyLoopback runs a test of Ray in a network namespace that has nothing but loopback: Ray takes no 127.0.0.1 for an
// address, and would speak by the machine's own.
func onlyLoopback(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	need.Asked(t, full(), "SCALE=full")
	need.Tools(t, "unshare", "ip")
	need.That(t, os.Geteuid() == 0, "a network namespace", "run the tests as root")
	const inside = "SCALE_INSIDE_LO"
	if os.Getenv(inside) != "" {
		test(t)
		return
	}
	makeVenv(t, "ray")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("unshare", "-n", "sh", "-c", `ip link set lo up && exec "$@"`, "sh", self, "-test.v", "-test.run", "^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), inside+"=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v:\n%s", err, out)
	} else if testing.Verbose() {
		t.Log(string(out))
	}
}

// newRay is a cloud with Ray, which keeps its sockets in a folder of a short name.
func newRay(t *testing.T) *cloud {
	t.Helper()
	c := newCloud(t, 12*time.Second)
	c.engine("ray")
	tmp, err := os.MkdirTemp("", "ray")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.killAll(); os.RemoveAll(tmp) })
	c.set("STEP_SECONDS=12", "RAY_TMPDIR="+tmp, "RAY_USAGE_STATS_ENABLED=0", "RAY_DISABLE_IMPORT_WARNING=1")
	return c
}

// A cluster of init's own, over rotations; then one that is cancelled.
func TestRay(t *testing.T) { onlyLoopback(t, rayAlone) }

func rayAlone(t *testing.T) {
	c := newRay(t)
	const line = `brs-exec --role-arn "$ROLE" -- python flow.py`
	if out, status := c.run("Ray", line); status != 0 || !strings.Contains(out, "done") {
		t.Errorf("status %d:\n%s", status, tail(out))
	}
	c.gone("")
	p := c.start("Ray", line)
	p.await("begun")
	if status := p.end(syscall.SIGTERM); status != 134 && status != 143 && status != 1 { // as Ray's own handler of TERM is interrupted
		t.Errorf("cancelled: status %d:\n%s", status, tail(p.text()))
	}
	c.gone("")
	c.fresh(3, 1)
}

// A head that leaves its wrapper is told of. Then one that stays, a node that joins by a share and is lost, and another.
func TestRayNodes(t *testing.T) { onlyLoopback(t, rayNodes) }

func rayNodes(t *testing.T) {
	c := newRay(t)
	port := need.Port()
	c.set("STEP_SECONDS=20", "PORT="+port, "SHARE="+filepath.Join(c.dir, "share"))
	p := c.start("Ray", `brs-exec --role-arn "$ROLE" -- ray start --head --node-ip-address 127.0.0.1 --port "$PORT" --num-cpus 1`)
	if status := p.wait(5 * time.Minute); status != 0 || !strings.Contains(p.text(), "on without the endpoint") {
		t.Errorf("status %d:\n%s", status, tail(p.text()))
	}
	c.killAll()

	head := c.start("Ray", `brs-exec --role-arn "$ROLE" -- ray start --head --block --node-ip-address 127.0.0.1 --port "$PORT" --num-cpus 1`)
	head.await("Ray runtime started")
	c.set("RAY_ADDRESS=127.0.0.1:" + port)
	server := c.start("Ray", `brs-exec --role-arn "$ROLE" --serve --share "$SHARE"`)
	const line = `brs-exec --from-share "$SHARE" -- ray start --block --node-ip-address 127.0.0.1 --address "$RAY_ADDRESS" --num-cpus 1`
	lost := c.start("Ray", line)
	lost.await("Ray runtime started")
	raylets := c.left("raylet/raylet")
	if len(raylets) != 2 {
		t.Fatalf("raylets: %v", raylets)
	}
	job := c.start("Ray", `brs-exec --from-share "$SHARE" -- python flow.py`)
	await(t, "two workers' calls", func() bool { calls, _ := c.seen(); return len(calls) > 20 })
	syscall.Kill(raylets[1], syscall.SIGKILL)
	if status := lost.wait(5 * time.Minute); status != 1 {
		t.Errorf("a node that was killed: status %d:\n%s", status, tail(lost.text()))
	}
	late := c.start("Ray", line)
	if status := job.wait(10 * time.Minute); status != 0 {
		t.Errorf("status %d:\n%s", status, tail(job.text()))
	}
	late.await("Ray runtime started")
	for _, node := range []*typed{late, head} {
		if status := node.end(syscall.SIGTERM); status != 1 {
			t.Errorf("a node: status %d:\n%s", status, tail(node.text()))
		}
	}
	if status := server.end(syscall.SIGTERM); status != 0 {
		t.Errorf("the server: status %d:\n%s", status, tail(server.text()))
	}
	c.gone("")
	c.fresh(3, 3)
}
