package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"brs-exec/internal/sandbox"
	"brs-exec/need"
)

// manager is a systemd that is PID 1 of its own namespaces.
type manager struct {
	pid string
	log string
}

// boot mounts what systemd wants to find. It leaves the unified hierarchy out, which a machine of a container has no
// rights in.
const boot = `mount --make-rprivate / && mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system
umount /sys/fs/cgroup/unified 2>/dev/null
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=brs SYSTEMD_UNIT_PATH="$1" "$2" --system --unit=idle.target --log-target=console`

// targets are those that units need by default; systemd's own would mount and start half a machine.
var targets = []string{"idle", "sysinit", "basic", "shutdown", "sockets", "network-online"}

func bootSystemd(t *testing.T, units string) *manager {
	t.Helper()
	need.Tools(t, "unshare", "nsenter", "systemctl")
	const systemd = "/usr/lib/systemd/systemd"
	_, err := os.Stat(systemd)
	need.That(t, err == nil, "systemd", "apt-get install systemd")
	need.That(t, exec.Command("unshare", "-m", "-p", "-f", "-C", "--mount-proc", "true").Run() == nil, "namespaces", "run the tests as root")
	for _, name := range targets {
		writeUnit(t, filepath.Join(units, name+".target"), "[Unit]\nDefaultDependencies=no\n")
	}
	m := &manager{log: filepath.Join(t.TempDir(), "log")}
	log, err := os.Create(m.log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command("unshare", "-m", "-p", "-f", "-C", "--mount-proc", "--kill-child", "sh", "-c", boot, "sh", units, systemd)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	pid := strconv.Itoa(cmd.Process.Pid)
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		children, _ := os.ReadFile("/proc/" + pid + "/task/" + pid + "/children")
		if m.pid = strings.TrimSpace(string(children)); m.pid == "" {
			continue
		}
		if state, _ := m.ctl(t, "is-system-running"); state == "running" || state == "degraded" {
			return m
		}
	}
	m.dump(t)
	t.Fatal("systemd takes a minute")
	return nil
}

func (m *manager) dump(t *testing.T) {
	text, _ := os.ReadFile(m.log)
	t.Logf("systemd says:\n%s", text)
}

// ctl is systemctl inside.
func (m *manager) ctl(t *testing.T, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "nsenter", append([]string{"-t", m.pid, "-m", "-p", "systemctl"}, args...)...).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// do is a ctl that must go well.
func (m *manager) do(t *testing.T, args ...string) string {
	t.Helper()
	out, err := m.ctl(t, args...)
	if err != nil {
		status, _ := m.ctl(t, "status", "--no-pager", "--full", args[len(args)-1])
		m.dump(t)
		t.Fatalf("systemctl %q: %v: %s\n%s", args, err, out, status)
	}
	return out
}

func writeUnit(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// exampleUnits copies the units of examples/systemd, with this machine's programs, user and port in them.
func exampleUnits(t *testing.T, w *world, port string) (dir string) {
	t.Helper()
	dir = openDir(t, 0o755)
	paths, err := filepath.Glob(filepath.Join("..", "examples", "systemd", "*.*"))
	if err != nil || len(paths) < 3 {
		t.Fatalf("%q, %v", paths, err)
	}
	here := strings.NewReplacer("/usr/local/bin/brs-exec", tools.brsExec, "/usr/local/bin/etl", tools.whois,
		"User=etl", "User=daemon", "127.0.0.1:9911", "127.0.0.1:"+port, "123456789012", "000000000000")
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		writeUnit(t, filepath.Join(dir, filepath.Base(path)), here.Replace(string(text)))
	}
	environment := "[Service]\nRestartSec=100ms\n"
	for _, entry := range w.env {
		if strings.HasPrefix(entry, "AWS_") {
			environment += "Environment=" + entry + "\n"
		}
	}
	writeUnit(t, filepath.Join(dir, "etl-credentials.service.d", "here.conf"), environment)
	writeUnit(t, filepath.Join(dir, "etl.service.d", "here.conf"),
		"[Service]\nEnvironment=AWS_ENDPOINT_URL_STS="+w.url+"\nStandardOutput=file:"+filepath.Join(dir, "said")+"\n")
	return dir
}

// The units of examples/systemd under systemd itself: socket activation, a reload, restarts and a kill under clients
// of the port, none of which is refused, a job with the share's env, and the end.
func TestSystemd(t *testing.T) {
	w := newWorld(t, sandbox.Options{}).base()
	port := need.Port()
	units := exampleUnits(t, w, port)
	m := bootSystemd(t, units)
	m.do(t, "start", "etl-credentials.socket")
	m.do(t, "start", "etl.service") // and what it requires
	if text, err := os.ReadFile(filepath.Join(units, "said")); !strings.Contains(string(text), ":assumed-role/etl/") {
		t.Errorf("the job said %q, %v", text, err)
	}
	token, err := os.ReadFile("/proc/" + m.pid + "/root/run/etl/token")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	var served, failed atomic.Int64
	for range 4 {
		clients.Go(func() {
			for ctx.Err() == nil {
				if err := askOnce("127.0.0.1:"+port, string(token)); err != nil && failed.Add(1) < 5 {
					t.Error(err)
				}
				served.Add(1)
			}
		})
	}
	calls := w.count("AssumeRole")
	m.do(t, "reload", "etl-credentials.service") // Type=notify: over when the signal is sent
	waitFor(t, "the call of a reload", func() bool { return w.count("AssumeRole") > calls })
	if n := w.count("AssumeRole") - calls; n != 1 {
		t.Errorf("a reload made %d AssumeRole calls; want 1", n)
	}
	if status := m.do(t, "show", "-P", "StatusText", "etl-credentials.service"); !strings.HasPrefix(status, "serving ") {
		t.Errorf("status %q", status)
	}
	for range 3 {
		for enough := served.Load() + 50; served.Load() < enough && failed.Load() == 0; {
			time.Sleep(time.Millisecond)
		}
		m.do(t, "restart", "etl-credentials.service")
	}
	stop()
	clients.Wait()
	m.do(t, "kill", "-s", "KILL", "etl-credentials.service") // systemd restarts it
	if err := askOnce("127.0.0.1:"+port, string(token)); err != nil {
		t.Errorf("after a kill: %v", err)
	}
	m.do(t, "stop", "etl-credentials.service")
	if got := m.do(t, "show", "-P", "Result", "etl-credentials.service"); got != "success" {
		t.Errorf("the result of a stop is %q", got)
	}
	if err := askOnce("127.0.0.1:"+port, string(token)); err != nil { // the socket starts it
		t.Errorf("after a stop: %v", err)
	}
	if t.Failed() {
		m.dump(t)
	}
}

// A program that the manager starts for somebody has the share's env, and is waited for: the hint's line.
func TestSystemdRun(t *testing.T) {
	w := newWorld(t, sandbox.Options{}).base()
	w.install(t)
	m := bootSystemd(t, openDir(t, 0o755))
	run := func(args ...string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), "nsenter", append([]string{"-t", m.pid, "-m", "-p", "env", "-i"}, append(w.env, args...)...)...)
		return cmd
	}
	out := filepath.Join(w.home, "out")
	rest := "-p StandardOutput=file:" + out + " $BIN/whois"
	line := w.hinted(t, run, "--role-arn "+role, "systemd-run -p Type=oneshot "+rest)
	said, err := run("sh", "-c", strings.ReplaceAll(line, " …", " "+rest)).CombinedOutput()
	if text, _ := os.ReadFile(out); err != nil || !strings.Contains(string(text), ":assumed-role/etl/") {
		t.Errorf("%s: %v: %s: %s", line, err, said, text)
	}
}

// The units hold what systemd thinks of units.
func TestSystemdUnits(t *testing.T) {
	need.Tools(t, "systemd-analyze")
	w := newWorld(t, sandbox.Options{}).base()
	units, err := filepath.Glob(filepath.Join(exampleUnits(t, w, "9911"), "*.s*"))
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, path := range units {
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			files = append(files, path)
		}
	}
	out, err := exec.CommandContext(t.Context(), "systemd-analyze", append([]string{"verify", "--man=no"}, files...)...).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("%v: %s", err, out)
	}
}
