//go:build linux

package scale

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"brs-exec/need"
)

// A cluster of Client's own, over rotations; then one that is cancelled.
func TestDask(t *testing.T) {
	need.Long(t, "a minute, and Dask from PyPI")
	t.Parallel()
	c := newCloud(t, 12*time.Second)
	c.engine("dask")
	c.set("STEP_SECONDS=12")
	const line = `brs-exec --role-arn "$ROLE" -- python flow.py`
	if out, status := c.run("Dask", line); status != 0 || !strings.Contains(out, "done") {
		t.Errorf("status %d:\n%s", status, tail(out))
	}
	c.gone("")
	p := c.start("Dask", line)
	p.await("begun")
	if status := p.end(syscall.SIGTERM); status != 143 {
		t.Errorf("cancelled: status %d:\n%s", status, tail(p.text()))
	}
	c.gone("")
	c.fresh(3, 1)
}

// Workers that were started apart, by a share: one of their processes is killed, one of them ends, one comes late.
func TestDaskWorkers(t *testing.T) {
	need.Asked(t, full(), "SCALE=full")
	t.Parallel()
	c := newCloud(t, 12*time.Second)
	c.engine("dask")
	port := need.Port()
	c.set("STEP_SECONDS=20", "PORT="+port, "DASK_SCHEDULER_ADDRESS=tcp://127.0.0.1:"+port, "SHARE="+filepath.Join(c.dir, "share"))
	c.shell(`dask scheduler --host 127.0.0.1 --port "$PORT" --no-dashboard`)
	await(t, "the scheduler", func() bool { return open(port) })

	c.start("Dask", `brs-exec --role-arn "$ROLE" --serve --share "$SHARE"`)
	const line = `brs-exec --from-share "$SHARE" -- dask worker "$DASK_SCHEDULER_ADDRESS" --nthreads 1`
	first, second := c.start("Dask", line), c.start("Dask", line)
	job := c.start("Dask", `brs-exec --from-share "$SHARE" -- python flow.py`)
	await(t, "two workers' calls", func() bool { calls, _ := c.seen(); return len(calls) > 10 && len(c.left("spawn_main")) == 2 })
	syscall.Kill(c.left("spawn_main")[0], syscall.SIGKILL) // its nanny starts another
	await(t, "another worker", func() bool { return len(c.left("spawn_main")) == 2 })
	third := c.start("Dask", line)
	third.await("Registered to")
	if status := first.end(syscall.SIGTERM); status != 0 {
		t.Errorf("a worker: status %d:\n%s", status, tail(first.text()))
	}
	if status := job.wait(5 * time.Minute); status != 0 {
		t.Errorf("status %d:\n%s", status, tail(job.text()))
	}
	for _, worker := range []*typed{second, third} {
		if status := worker.end(syscall.SIGTERM); status != 0 {
			t.Errorf("a worker: status %d:\n%s", status, tail(worker.text()))
		}
	}
	c.fresh(3, 1)
}
