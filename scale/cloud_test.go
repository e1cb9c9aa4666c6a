//go:build linux

package scale

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"brs-exec/internal/sandbox"
	"brs-exec/need"
)

// cloud is an AWS on loopback: the sandbox's STS, and moto's S3 behind a gate that refuses who has no valid credential.
type cloud struct {
	t     *testing.T
	dir   string   // the working folder of what is typed; in the environment of all that this test starts
	env   []string // of what is typed
	sts   *sandbox.STS
	url   string        // of S3
	life  time.Duration // of the role
	begun time.Time

	mu      sync.Mutex
	assumed int // AssumeRole calls
	calls   []call
}

// call is what S3 saw.
type call struct{ method, path, key, arn, code, agent string }

// newCloud makes one whose roles live for so long.
func newCloud(t *testing.T, life time.Duration) *cloud {
	t.Helper()
	c := &cloud{t: t, dir: t.TempDir(), life: life, begun: time.Now()}
	c.sts = sandbox.New(sandbox.Options{TTL: life, OnCall: func(call sandbox.Call) {
		if call.Action == "AssumeRole" {
			c.mu.Lock()
			c.assumed++
			c.mu.Unlock()
		}
	}})
	sts := httptest.NewServer(c.sts)
	t.Cleanup(sts.Close)
	c.url = c.s3()
	base := c.sts.BaseCredentials()
	c.env = []string{
		"PATH=" + filepath.Dir(brsExec) + ":" + os.Getenv("PATH"), "HOME=" + c.dir, "TMPDIR=" + c.dir, "LANG=C.UTF-8", "ROLE=" + role,
		"AWS_EC2_METADATA_DISABLED=true", "AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1",
		"AWS_ENDPOINT_URL_STS=" + sts.URL, "AWS_ENDPOINT_URL_S3=" + c.url, "S3=" + c.url,
		"AWS_ACCESS_KEY_ID=" + base.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + base.SecretAccessKey,
	}
	t.Cleanup(c.killAll)
	return c
}

// s3 starts moto, and the gate before it.
func (c *cloud) s3() string {
	c.t.Helper()
	python, err := exec.Command("python3", "-c", "import sys, moto.server; print(sys.executable)").Output() // not a version manager's shim
	need.That(c.t, err == nil, "python3 with moto", "python3 -m pip install 'moto[server,s3,sts]'")
	port := need.Port()
	moto := exec.Command(strings.TrimSpace(string(python)), "-m", "moto.server", "-H", "127.0.0.1", "-p", port)
	moto.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "AWS_ACCESS_KEY_ID=moto", "AWS_SECRET_ACCESS_KEY=moto"}
	if err := moto.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { moto.Process.Kill(); moto.Wait() })
	await(c.t, "moto_server", func() bool { return open(port) })
	behind := &url.URL{Scheme: "http", Host: "127.0.0.1:" + port}
	gate := httptest.NewServer(c.gate(httputil.NewSingleHostReverseProxy(behind)))
	c.t.Cleanup(gate.Close)
	req, err := http.NewRequest("PUT", behind.String()+"/lake", nil)
	if err != nil {
		c.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil || resp.StatusCode != http.StatusOK {
		c.t.Fatal(resp, err)
	}
	resp.Body.Close()
	return gate.URL
}

// gate lets through what a valid session of the role has signed, and notes everything.
func (c *cloud) gate(behind http.Handler) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		who := c.sts.Caller(r, "s3", r.Header.Get("X-Amz-Content-Sha256"))
		if strings.HasPrefix(r.URL.Path, "/lake") { // not a stray client of whoever had this port before
			c.mu.Lock()
			c.calls = append(c.calls, call{r.Method, r.URL.Path, who.AccessKeyID, who.CallerARN, who.Code, r.UserAgent()})
			c.mu.Unlock()
		}
		if who.Code == "" {
			behind.ServeHTTP(rw, r)
			return
		}
		rw.Header().Set("Content-Type", "application/xml")
		rw.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(rw, `<?xml version="1.0"?><Error><Code>%s</Code><Message>%s</Message></Error>`, who.Code, who.Code)
	}
}

// seen returns the calls to S3 until now, and the AssumeRole calls; it fails if one of the former was refused, or was
// another's than the role's.
func (c *cloud) seen() (calls []call, assumed int) {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	bad := slices.DeleteFunc(slices.Clone(c.calls), func(call call) bool {
		return call.code == "" && strings.HasPrefix(call.arn, "arn:aws:sts::000000000000:assumed-role/etl/")
	})
	if len(bad) > 0 {
		c.t.Errorf("%d of %d calls were refused or another's, among them %+v", len(bad), len(c.calls), bad[0])
	}
	return c.calls, c.assumed
}

// fresh checks that nobody but the role called S3, that so many keys at least signed, and that STS heard no more than
// so many wrappers have to say, each at its start and in the middle of each life.
func (c *cloud) fresh(keys, wrappers int) {
	c.t.Helper()
	calls, assumed := c.seen()
	signed := make(map[string]bool)
	for _, call := range calls {
		signed[call.key] = true
	}
	most := wrappers * (2 + int(time.Since(c.begun)/(c.life*2/5)))
	c.t.Logf("%d calls of S3 by %d keys; %d of STS, at most %d, in %v", len(calls), len(signed), assumed, most, time.Since(c.begun))
	if len(signed) < keys || assumed > most {
		c.t.Errorf("%d keys, %d AssumeRole calls; want %d at least, %d at most", len(signed), assumed, keys, most)
	}
}

// set puts variables in the environment of what is typed later.
func (c *cloud) set(entries ...string) { c.env = append(c.env, entries...) }

// write puts a file into the working folder.
func (c *cloud) write(name, text string) {
	c.t.Helper()
	path := filepath.Join(c.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		c.t.Fatal(err)
	}
}

// typed is a command line that runs.
type typed struct {
	t    *testing.T
	line string
	cmd  *exec.Cmd
	out  string        // the file of its stdout and stderr
	done chan struct{} // closed when it has ended
}

// start types a line of a section of docs/SCALE.md.
func (c *cloud) start(section, line string) *typed {
	c.t.Helper()
	holds(c.t, section, line)
	return c.shell(line)
}

// run types a line of a section of docs/SCALE.md, and returns what it said and its status, when it has ended.
func (c *cloud) run(section, line string) (out string, status int) {
	c.t.Helper()
	p := c.start(section, line)
	status = p.wait(5 * time.Minute)
	return p.text(), status
}

// shell runs a line that no document has. A line of one command becomes that command: signals reach it.
func (c *cloud) shell(line string) *typed {
	c.t.Helper()
	out, err := os.CreateTemp(c.dir, "out-")
	if err != nil {
		c.t.Fatal(err)
	}
	defer out.Close()
	p := &typed{t: c.t, line: line, cmd: exec.Command("bash", "-c", line), out: out.Name(), done: make(chan struct{})}
	p.cmd.Dir, p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = c.dir, c.env, out, out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := p.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	go func() { p.cmd.Wait(); close(p.done) }()
	c.t.Cleanup(func() { // what the others said, when one was in vain
		if c.t.Failed() {
			c.t.Logf("%s:\n%s", line, tail(p.text()))
		}
	})
	return p
}

func (p *typed) text() string {
	text, err := os.ReadFile(p.out)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(text)
}

// await waits until it has said so.
func (p *typed) await(text string) {
	p.t.Helper()
	await(p.t, fmt.Sprintf("%q of %s", text, p.line), func() bool {
		select {
		case <-p.done:
			if !strings.Contains(p.text(), text) {
				p.t.Fatalf("%s ended with %d:\n%s", p.line, p.cmd.ProcessState.ExitCode(), tail(p.text()))
			}
		default:
		}
		return strings.Contains(p.text(), text)
	})
}

// wait returns the exit status as a shell has it.
func (p *typed) wait(limit time.Duration) int {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(limit):
		p.t.Fatalf("%s had not ended after %v:\n%s", p.line, limit, tail(p.text()))
	}
	if ws := p.cmd.ProcessState.Sys().(syscall.WaitStatus); ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return p.cmd.ProcessState.ExitCode()
}

// end sends it a signal, and returns its status.
func (p *typed) end(sig syscall.Signal) int {
	p.t.Helper()
	p.cmd.Process.Signal(sig)
	return p.wait(time.Minute)
}

// left are the processes that this test has started and that run, but the one that is the cloud; a word of their command
// line says which, "" all.
func (c *cloud) left(word string) (pids []int) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		c.t.Fatal(err)
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		environ, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "environ")) // of one that ends meanwhile: empty
		command, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if bytes.Contains(environ, []byte("HOME="+c.dir+"\x00")) && bytes.Contains(command, []byte(word)) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// gone waits until none of them is left.
func (c *cloud) gone(word string) {
	c.t.Helper()
	await(c.t, "end of all of "+word, func() bool { return len(c.left(word)) == 0 })
}

func (c *cloud) killAll() {
	for _, pid := range c.left("") {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	c.gone("")
}

func open(port string) bool {
	conn, err := net.Dial("tcp", "127.0.0.1:"+port)
	if err == nil {
		conn.Close()
	}
	return err == nil
}
