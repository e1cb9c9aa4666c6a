package e2e

import (
	"bytes"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"brs-exec/internal/sandbox"
)

// Four thousand strangers with a thousand header lines each, none of which ends, cost brs-exec hardly any memory, and the
// command not one call. Where this machine lets us, all of it is in a cgroup of 128 MB.
func TestStrangersFlood(t *testing.T) {
	needPython(t)
	w := newWorld(t, sandbox.Options{TTL: 20 * time.Second}).base()
	told := filepath.Join(w.home, "url")
	child := `echo "$AWS_CONTAINER_CREDENTIALS_FULL_URI" >` + told + `.new && mv ` + told + `.new ` + told + ` && exec "$@"`
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `if [ -n "$0" ]; then echo $$ >"$0/cgroup.procs" || exit; fi; exec "$@"`,
		narrow(t, 128<<20), tools.brsExec, "--role-arn", role, "--", "sh", "-c", child, "sh",
		tools.python, script("identity_loop.py"), "10", "0.05")
	cmd.Env = w.env
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	waitFor(t, "the command", func() bool { _, err := os.Stat(told); return err == nil })
	endpoint, err := url.Parse(strings.TrimSpace(read(t, told)))
	if err != nil {
		t.Fatal(err)
	}
	for _, lines := range []int{1000, 30} {
		for range 4096 {
			c, err := net.Dial("tcp4", endpoint.Host)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			io.WriteString(c, "GET /credentials HTTP/1.1\r\n"+strings.Repeat("a:b\r\n", lines)) // it may be closed already
		}
	}
	peak := peakMemory(t, cmd.Process.Pid)
	t.Logf("%d MB", peak)
	if peak > 40 {
		t.Errorf("%d MB were resident; want 40 at most", peak)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, &errs)
	}
	if l := parseLoop(t, out.String()); l.Calls < 10 || len(l.Errors) > 0 {
		t.Errorf("got %d calls, errors %v\n%s", l.Calls, l.Errors, &errs)
	}
}

// narrow makes a memory cgroup (version 1) with a limit, which is removed at the test's end; "" where we can't.
func narrow(t *testing.T, limit int) string {
	dir, err := os.MkdirTemp("/sys/fs/cgroup/memory", "brs-exec-e2e-")
	if err != nil {
		t.Logf("without a cgroup: %v", err)
		return ""
	}
	t.Cleanup(func() { os.Remove(dir) })
	if err := os.WriteFile(filepath.Join(dir, "memory.limit_in_bytes"), []byte(strconv.Itoa(limit)), 0); err != nil {
		t.Fatal(err)
	}
	return dir
}

// peakMemory returns the most memory that a process has had resident, in MB.
func peakMemory(t *testing.T, pid int) int {
	t.Helper()
	status := read(t, "/proc/"+strconv.Itoa(pid)+"/status")
	m := regexp.MustCompile(`VmHWM:\s*(\d+) kB`).FindStringSubmatch(status)
	if m == nil {
		t.Fatalf("no VmHWM in %s", status)
	}
	kb, err := strconv.Atoi(m[1])
	if err != nil {
		t.Fatal(err)
	}
	return kb >> 10
}
