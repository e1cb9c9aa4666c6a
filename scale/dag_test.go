//go:build linux

package scale

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"brs-exec/need"
)

const dag = "A DAG runner"

// Steps by the aws cli and by boto3, over rotations; one fails, and is tried again.
func TestSnakemake(t *testing.T) {
	need.Long(t, "a minute, and Snakemake from PyPI")
	t.Parallel()
	c := newCloud(t, 12*time.Second)
	c.engine("snakemake")
	c.write("fail", "once")
	out, status := c.run(dag, `brs-exec --role-arn "$ROLE" -- snakemake --cores 2 --retries 1`)
	if status != 0 || !strings.Contains(out, "Trying to restart job") {
		t.Errorf("status %d:\n%s", status, tail(out))
	}
	c.fresh(3, 1)
	c.gone("")
}

// A step that fails for good makes the status. TERM lets the steps that run come to their end, with credentials; INT ends
// them. What was interrupted is made anew.
func TestSnakemakeEnds(t *testing.T) {
	need.Asked(t, full(), "SCALE=full")
	t.Parallel()
	c := newCloud(t, 12*time.Second)
	c.engine("snakemake")
	c.write("fail", "once")
	const line = `brs-exec --role-arn "$ROLE" -- snakemake --cores 2`
	if out, status := c.run(dag, line); status != 1 {
		t.Errorf("a failed step: status %d:\n%s", status, tail(out))
	}
	for sig, says := range map[syscall.Signal]string{syscall.SIGTERM: "Will exit after finishing", syscall.SIGINT: "Terminating processes on user request"} {
		p := c.shell(line + " --rerun-incomplete --forceall --config seconds=15")
		await(t, "a step", func() bool { return len(c.left("step.py")) > 0 })
		if status := p.end(sig); status != 1 {
			t.Errorf("%v: status %d:\n%s", sig, status, tail(p.text()))
		}
		_, after, _ := strings.Cut(p.text(), says)
		if finished := strings.Contains(after, "Finished jobid"); after == "" || finished != (sig == syscall.SIGTERM) {
			t.Errorf("%v: steps came to their end: %v:\n%s", sig, finished, tail(p.text()))
		}
		c.gone("")
	}
	if out, status := c.run(dag, `brs-exec --role-arn "$ROLE" -- snakemake --cores 2 --rerun-incomplete`); status != 0 {
		t.Errorf("after an interrupt: status %d:\n%s", status, tail(out))
	}
	c.seen()
}
