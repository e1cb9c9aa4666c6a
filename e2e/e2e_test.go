// Package e2e runs the real brs-exec under real clients: boto3, the aws cli and
// terraform, against moto_server (an STS and S3 that nobody here wrote) and the
// sandbox (which, unlike moto, refuses an expired credential).
package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"brs-exec/internal/sandbox"
	"brs-exec/need"
)

const role = "arn:aws:iam::000000000000:role/etl"

var tools struct{ brsExec, whois, python, terraform string }

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	flag.Parse()
	parallel := "20" // they wait, mostly
	if os.Getenv("LONG") != "" {
		parallel = "4" // these don't
	}
	if err := flag.Set("test.parallel", parallel); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	dir, err := os.MkdirTemp("", "brs-exec-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	defer stopMoto()
	if err := os.Chmod(dir, 0o755); err != nil { // for the child that is another user
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	tools.brsExec, tools.whois = filepath.Join(dir, "brs-exec"), filepath.Join(dir, "whois")
	build := exec.Command("go", "build", "-o", dir, "brs-exec/cmd/brs-exec", "brs-exec/e2e/whois")
	build.Env = append(os.Environ(), "GOFLAGS=-buildvcs=false", "CGO_ENABLED=0") // as released: -race is many times slower
	go watchLag()
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		return 1
	}
	tools.python = findPython()
	tools.terraform, _ = exec.LookPath("terraform")
	return need.Run(m)
}

// lag is the longest that this process was late in waking from a short sleep: how
// busy the machine is.
var lag atomic.Int64

func watchLag() {
	const nap = 5 * time.Millisecond
	for {
		begun := time.Now()
		time.Sleep(nap)
		if late := int64(time.Since(begun) - nap); late > lag.Load() {
			lag.Store(late)
		}
	}
}

// A limit is what an answer may take, and whether the machine has kept it.
type limit struct {
	longest time.Duration
	missed  atomic.Bool // by an answer that came late while the machine did, too
}

// holds says whether what took so long was this room's doing. If it may have been the machine's, calm tells of it.
func (l *limit) holds(took time.Duration) bool {
	if took > l.longest {
		l.missed.Store(true)
	}
	return took <= l.longest+5*time.Duration(lag.Load())
}

// calm ends a test that has seen no fault but late answers: on a machine as busy as this it has shown nothing.
func (l *limit) calm(t *testing.T) {
	t.Helper()
	if l.missed.Load() && !t.Failed() {
		need.Calm(t, fmt.Sprintf("the machine was %v late, and an answer took more than %v", time.Duration(lag.Load()), l.longest))
	}
}

// findPython is the interpreter itself: a version manager's shim asks for a HOME
// that the tests don't give.
func findPython() string {
	out, err := exec.Command("python3", "-c", "import sys, boto3, awscli, moto; print(sys.executable)").Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

func needPython(t *testing.T) {
	t.Helper()
	need.That(t, tools.python != "", "python3 with boto3, awscli and moto", "python3 -m pip install boto3 awscli 'moto[server,s3,sts]'")
}

// world is a machine with nothing on it but what the test puts there.
type world struct {
	home, tmp string
	url       string // of the sandbox
	env       []string
	sts       *sandbox.STS

	mu      sync.Mutex
	calls   []sandbox.Call
	expired []string // when those calls were signed that came too late
}

func (w *world) onCall(c sandbox.Call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = append(w.calls, c)
	if c.Code == "ExpiredToken" {
		w.expired = append(w.expired, fmt.Sprintf("%s of %s: signed %v before the end of its credentials, here %v after it",
			c.Action, c.CallerARN, c.Expires.Sub(c.Signed), time.Since(c.Expires).Round(time.Millisecond)))
	}
}

// newWorld starts a sandbox STS and makes an environment that points to it.
func newWorld(t *testing.T, o sandbox.Options) *world {
	t.Helper()
	t.Parallel()
	w := &world{home: t.TempDir(), tmp: openDir(t, 0o711)}
	o.OnCall = w.onCall
	t.Cleanup(func() {
		for _, late := range w.expired {
			t.Log(late)
		}
	})
	w.sts = sandbox.New(o)
	srv := httptest.NewServer(w.sts)
	t.Cleanup(srv.Close)
	w.url = srv.URL
	w.env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + w.home, "TMPDIR=" + w.tmp, "LANG=C.UTF-8",
		"AWS_EC2_METADATA_DISABLED=true", "AWS_ENDPOINT_URL_STS=" + srv.URL,
		"AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1",
		"AWS=" + tools.python + " -m awscli",
	}
	return w
}

// openDir is a folder that other users can pass through, which t.TempDir is not: as root, brs-exec puts its private
// directory where a child that drops to another user can reach it.
func openDir(t *testing.T, mode os.FileMode) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "brs-exec-e2e-tmp-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, mode); err != nil {
		t.Fatal(err)
	}
	return dir
}

func (w *world) set(entries ...string) { w.env = append(w.env, entries...) }

// base gives the sandbox's long-term keys by variable.
func (w *world) base() *world {
	c := w.sts.BaseCredentials()
	w.set("AWS_ACCESS_KEY_ID="+c.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+c.SecretAccessKey)
	return w
}

// write puts a file below HOME.
func (w *world) write(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join(w.home, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// count is how often STS was asked for action.
func (w *world) count(action string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, c := range w.calls {
		if c.Action == action {
			n++
		}
	}
	return n
}

// run runs brs-exec and checks that nothing is left in TMPDIR.
func (w *world) run(t *testing.T, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), tools.brsExec, args...)
	cmd.Env = w.env
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(w.tmp); err != nil || len(left) > 0 {
		t.Errorf("left in TMPDIR: %v (%v)", left, err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// loop is what identity_loop.py prints.
type loop struct {
	Calls  int
	Errors []string
	Arns   []string
	Keys   int
}

func parseLoop(t *testing.T, stdout string) loop {
	t.Helper()
	var l loop
	if err := json.Unmarshal([]byte(stdout), &l); err != nil {
		t.Fatalf("%v in %q", err, stdout)
	}
	return l
}

func script(name string) string {
	path, err := filepath.Abs(filepath.Join("testdata", name))
	if err != nil {
		panic(err)
	}
	return path
}

// shared is the moto_server of those tests that need none of their own: its start takes seconds of a processor.
var shared struct {
	once sync.Once
	url  string
	cmd  *exec.Cmd
	err  error
}

// motoPlaces are of the tests that may use it at a time: it is one Python process, and lives of three seconds are short.
var motoPlaces = make(chan struct{}, 2)

// moto returns the URL of the shared moto_server when there is a place for this test.
func moto(t *testing.T) string {
	t.Helper()
	motoPlaces <- struct{}{}
	t.Cleanup(func() { <-motoPlaces })
	shared.once.Do(func() { shared.url, shared.cmd, shared.err = startMoto() })
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.url
}

func stopMoto() {
	if shared.cmd != nil {
		shared.cmd.Process.Kill()
		shared.cmd.Wait()
	}
}

// ownMoto is one with nothing in its S3.
func ownMoto(t *testing.T) string {
	t.Helper()
	url, cmd, err := startMoto()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return url
}

func startMoto() (url string, cmd *exec.Cmd, err error) {
	cmd = exec.Command(tools.python, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "AWS_EC2_METADATA_DISABLED=true",
		"AWS_ACCESS_KEY_ID=moto", "AWS_SECRET_ACCESS_KEY=moto"}
	said, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return "", nil, err
	}
	for lines := bufio.NewScanner(said); lines.Scan(); {
		if _, url, ok := strings.Cut(lines.Text(), "Running on "); ok {
			go io.Copy(io.Discard, said)
			return url, cmd, nil
		}
	}
	return "", nil, fmt.Errorf("moto_server did not come up: %w", cmd.Wait())
}
