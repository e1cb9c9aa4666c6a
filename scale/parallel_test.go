//go:build linux

package scale

import (
	"bytes"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"brs-exec/internal/sandbox"
	"brs-exec/need"
)

// desk is where somebody types: a home, an STS on loopback, and long-term keys that become the role.
type desk struct {
	t      *testing.T
	home   string
	env    []string
	calls  atomic.Int64 // of AssumeRole
	failed atomic.Int64 // of all
}

const jobPy = `import boto3
print(boto3.client("sts").get_caller_identity()["Arn"])
`

const makefile = `all: $(shell seq $(JOBS) | sed s/^/job/)
job%:
	@python3 job.py $*
`

func newDesk(t *testing.T) *desk {
	t.Helper()
	need.Tools(t, "parallel", "xargs", "make")
	python, err := exec.Command("python3", "-c", "import sys, boto3; print(sys.executable)").Output() // not a version manager's shim
	need.That(t, err == nil, "python3 with boto3", "python3 -m pip install boto3")
	d := &desk{t: t, home: t.TempDir()}
	sts := sandbox.New(sandbox.Options{OnCall: func(c sandbox.Call) {
		if c.Action == "AssumeRole" {
			d.calls.Add(1)
		}
		if c.Code != "" {
			d.failed.Add(1)
		}
	}})
	srv := httptest.NewServer(sts)
	t.Cleanup(srv.Close)
	base := sts.BaseCredentials()
	d.env = []string{
		"PATH=" + filepath.Dir(brsExec) + ":" + filepath.Dir(string(python)) + ":" + os.Getenv("PATH"), "HOME=" + d.home,
		"TMPDIR=" + d.home, "LANG=C.UTF-8", "ROLE=" + role, "AWS_EC2_METADATA_DISABLED=true", "AWS_REGION=us-east-1",
		"AWS_DEFAULT_REGION=us-east-1", "AWS_ENDPOINT_URL_STS=" + srv.URL,
		"AWS_ACCESS_KEY_ID=" + base.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + base.SecretAccessKey,
	}
	for name, text := range map[string]string{"job.py": jobPy, "Makefile": makefile, ".parallel/will-cite": ""} {
		path := filepath.Join(d.home, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// goJobs makes python3 a client that starts fast.
func (d *desk) goJobs() {
	d.t.Helper()
	bin := filepath.Join(d.home, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		d.t.Fatal(err)
	}
	if err := os.Symlink(whois, filepath.Join(bin, "whois")); err != nil {
		d.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(bin, "python3"), []byte("#!/bin/sh\nexec whois\n"), 0o755); err != nil {
		d.t.Fatal(err)
	}
	d.env = append(d.env, "PATH="+bin+":"+filepath.Dir(brsExec)+":"+os.Getenv("PATH"))
}

// types starts a line in a session of its own.
func (d *desk) types(line string) (cmd *exec.Cmd, out *bytes.Buffer) {
	d.t.Helper()
	cmd, out = exec.Command("bash", "-c", line), new(bytes.Buffer)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = d.home, d.env, out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { killSession(cmd.Process.Pid); cmd.Wait() })
	return cmd, out
}

// killSession reaches what parallel has put into process groups of their own, too.
func killSession(sid int) {
	left, _ := exec.Command("pgrep", "-s", strconv.Itoa(sid)).Output()
	for _, field := range strings.Fields(string(left)) {
		if pid, err := strconv.Atoi(field); err == nil {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// way is a line of docs/SCALE.md for 200 jobs, 50 at a time.
type way struct {
	name, line string
	calls      int // of AssumeRole for 200 jobs
}

var ways = []way{
	{"without brs-exec, by the keys themselves", `parallel -j 50 python3 job.py ::: {1..200}`, 0},
	{"around parallel", `brs-exec --role-arn "$ROLE" -- parallel -j 50 python3 job.py ::: {1..200}`, 1},
	{"around xargs", `seq 200 | brs-exec --role-arn "$ROLE" -- xargs -P 50 -I{} python3 job.py {}`, 1},
	{"around make", `brs-exec --role-arn "$ROLE" -- make -j 50`, 1},
	{"inside, each by itself", `parallel -j 50 brs-exec --role-arn "$ROLE" -- python3 job.py ::: {1..200}`, 200},
	{"one around, one in each", `brs-exec --role-arn "$ROLE" -- parallel -j 50 brs-exec -- python3 job.py ::: {1..200}`, 1},
	{"inside, from a share", `parallel -j 50 brs-exec --from-share ~/.aws-share -- python3 job.py ::: {1..200}`, 0},
}

const serveLine = `brs-exec --role-arn "$ROLE" --serve --share ~/.aws-share &`

// run types a way's line for so many jobs, and says how long they took, and how much memory the brs-exec of this desk had
// at the most.
func (d *desk) run(w way, jobs int) (took time.Duration, memory int) {
	d.t.Helper()
	n, at := strconv.Itoa(jobs), strconv.Itoa(max(jobs/4, 2))
	line := strings.NewReplacer("{1..200}", "{1.."+n+"}", "seq 200", "seq "+n, "-j 50", "-j "+at, "-P 50", "-P "+at).Replace(w.line)
	d.env = append(d.env, "JOBS="+n)
	calls, begun := d.calls.Load(), time.Now()
	cmd, out := d.types(line)
	var sampling sync.WaitGroup
	done := make(chan struct{})
	sampling.Go(func() { memory = peak(done) })
	err := cmd.Wait()
	took = time.Since(begun)
	close(done)
	sampling.Wait()
	if got := strings.Count(out.String(), "arn:aws:"); err != nil || got != jobs || d.failed.Load() > 0 {
		d.t.Fatalf("%s: %v, %d of %d jobs said who they are, %d calls failed: %s", w.name, err, got, jobs, d.failed.Load(), tail(out.String()))
	}
	want := int64(w.calls)
	if w.calls == 200 {
		want = int64(jobs)
	}
	if got := d.calls.Load() - calls; got != want {
		d.t.Errorf("%s: %d AssumeRole calls; want %d", w.name, got, want)
	}
	return took, memory
}

// peak samples the memory of all our brs-exec, in KiB, until done: what is shared is counted once.
func peak(done chan struct{}) (most int) {
	tick := time.Tick(time.Second)
	for {
		select {
		case <-done:
			return most
		case <-tick:
		}
		exes, _ := filepath.Glob("/proc/[0-9]*/exe")
		sum := 0
		for _, exe := range exes {
			if target, _ := os.Readlink(exe); target != brsExec {
				continue
			}
			text, _ := os.ReadFile(filepath.Join(filepath.Dir(exe), "smaps_rollup"))
			_, after, _ := strings.Cut(string(text), "\nPss:")
			var kib int
			fmt.Sscan(after, &kib)
			sum += kib
		}
		most = max(most, sum)
	}
}

// 200 jobs, each a boto3 program that makes one call, in each of the ways of docs/SCALE.md; unless SCALE=full it is 8, by a
// client that starts fast. From a share the 200 take at most 1.15 times what they take without brs-exec.
func TestParallel(t *testing.T) {
	d := newDesk(t)
	holds(t, "parallel, xargs, make", serveLine)
	server, said := d.types("exec " + strings.TrimSuffix(serveLine, " &"))
	await(t, "the share", func() bool { return exists(filepath.Join(d.home, ".aws-share", "env")) })
	if n := d.calls.Load(); n != 1 {
		t.Errorf("the server: %d AssumeRole calls; want 1", n)
	}
	page, jobs := read(t, filepath.Join("..", "docs", "SCALE.md")), 200
	if !full() {
		jobs = 8
		d.goJobs()
	}
	for _, w := range ways {
		holds(t, "parallel, xargs, make", w.line)
		if row := fmt.Sprintf("\n| %s | %d ", w.name, w.calls); !strings.Contains(page, row) {
			t.Errorf("docs/SCALE.md has no row of %s with %d calls", w.name, w.calls)
		}
		took, memory := d.run(w, jobs)
		t.Logf("%d jobs, %s: %d AssumeRole calls, %.1f s, brs-exec %d MB", jobs, w.name, w.calls, took.Seconds(), memory>>10)
	}
	if full() {
		d.compare(ways[0], ways[len(ways)-1])
	}
	server.Process.Signal(syscall.SIGTERM)
	if err := server.Wait(); err != nil {
		t.Errorf("%v: %s", err, said)
	}
	for _, pattern := range []string{"brs-exec*", ".aws-share/aws.sock"} {
		if left, _ := filepath.Glob(filepath.Join(d.home, pattern)); len(left) > 0 {
			t.Errorf("left: %q", left)
		}
	}
}

// compare takes the better of two runs each, by turns: a busy machine then disturbs both alike.
func (d *desk) compare(bare, wrapped way) {
	d.t.Helper()
	least := make(map[string]time.Duration)
	for range 2 {
		for _, w := range []way{bare, wrapped} {
			took, _ := d.run(w, 200)
			if least[w.name] == 0 || took < least[w.name] {
				least[w.name] = took
			}
		}
	}
	ratio := least[wrapped.name].Seconds() / least[bare.name].Seconds()
	d.t.Logf("%.1f s from a share, %.1f s without brs-exec: %.3f times", least[wrapped.name].Seconds(), least[bare.name].Seconds(), ratio)
	if ratio > 1.15 {
		d.t.Errorf("from a share the jobs take %.3f times what they take without brs-exec; want at most 1.15", ratio)
	}
}

// TERM ends xargs, and not what it has started: with --linger that is served to its end.
func TestParallelLinger(t *testing.T) {
	d := newDesk(t)
	const line = `seq 4 | brs-exec --role-arn "$ROLE" --linger 1h -- xargs -P 4 -I{} job {}`
	holds(t, "parallel, xargs, make", line)
	job := "#!/bin/sh\nwhois >>said || exit\n: >began$1; until [ -e go ]; do sleep 0.1; done\nwhois >>said\n"
	if err := os.WriteFile(filepath.Join(d.home, "job"), []byte(job), 0o755); err != nil {
		t.Fatal(err)
	}
	d.env = append(d.env, "PATH="+d.home+":"+filepath.Dir(whois)+":"+os.Getenv("PATH"))
	cmd, out := d.types(strings.Replace(line, "seq 4 | ", "", 1) + " < <(seq 4)")
	for i := range 4 {
		await(t, "the jobs", func() bool { return exists(filepath.Join(d.home, "began"+strconv.Itoa(i+1))) })
	}
	pid, err := exec.Command("pgrep", "-P", strconv.Itoa(cmd.Process.Pid), "-x", "brs-exec").Output()
	if err != nil {
		pid = []byte(strconv.Itoa(cmd.Process.Pid)) // bash has become it
	}
	brs, _ := strconv.Atoi(strings.TrimSpace(string(pid)))
	syscall.Kill(brs, syscall.SIGTERM)
	await(t, "the end of xargs", func() bool {
		return exec.Command("pgrep", "-s", strconv.Itoa(cmd.Process.Pid), "-x", "xargs").Run() != nil
	})
	if err := os.WriteFile(filepath.Join(d.home, "go"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	said, _ := os.ReadFile(filepath.Join(d.home, "said"))
	if n := strings.Count(string(said), "assumed-role/etl/"); n != 8 || cmd.ProcessState.ExitCode() == 0 {
		t.Errorf("%d of 8 calls went through, status %v: %s", n, cmd.ProcessState, out)
	}
}
