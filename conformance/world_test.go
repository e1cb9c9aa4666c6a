package conformance

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"brs-exec/internal/sandbox"
)

const (
	role = "arn:aws:iam::000000000000:role/etl"
	want = "arn:aws:sts::000000000000:assumed-role/etl/conformance"
	leak = "arn:aws:iam::000000000000:role/leak"
)

// world is a machine with nothing on it but what the test puts there, and with
// everything on loopback that an SDK may ask: STS, S3, instance metadata, an SSO portal
// and somebody else's container endpoint. All but the first two speak for role/leak.
type world struct {
	t         *testing.T
	dir, home string
	tmp       string   // apart: it is open to all
	flags     []string // further ones of brs-exec
	share     string   // of another brs-exec; "": this one is the role by itself
	env       []string
	as        []string // what runs a command as another user; nil: it runs as we do
	sts       *sandbox.STS

	stsURL, s3URL, otherURL string

	mu    sync.Mutex
	calls []call
	asked []string // requests to what no child should ever ask
}

// call is what a service saw of a caller.
type call struct{ service, arn, key, code, agent string }

// newWorld makes a world whose roles live for ttl, and whose STS fails as fault says.
func newWorld(t *testing.T, ttl time.Duration, fault func(sandbox.Call) error) *world {
	t.Helper()
	w := &world{t: t, dir: openDir(t)}
	w.home, w.tmp = filepath.Join(w.dir, "home"), openDir(t)
	w.sts = sandbox.New(sandbox.Options{TTL: ttl, Fault: fault, OnCall: w.onCall})
	w.stsURL = w.serve(w.sts)
	w.s3URL = w.serve(&s3{w: w, objects: make(map[string][]byte)})
	w.otherURL = w.serve(http.HandlerFunc(w.serveOther))
	w.set(
		"PATH="+os.Getenv("PATH"), "HOME="+w.home, "TMPDIR="+w.tmp, "LANG=C.UTF-8",
		"AWS_ENDPOINT_URL_STS="+w.stsURL, "AWS_ENDPOINT_URL_S3="+w.s3URL, "AWS_ENDPOINT_URL_SSO="+w.otherURL,
		"AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1",
		"AWS_EC2_METADATA_SERVICE_ENDPOINT="+w.otherURL+"/", "AWS_METADATA_ENDPOINT="+w.otherURL, // the latter: object_store
	)
	w.mkdir("home", ".aws")
	base := w.sts.BaseCredentials()
	w.write("base.json", processJSON(base))
	return w
}

// openDir is a folder that other users can pass through, which t.TempDir is not: as root, brs-exec puts its private
// directory where a child that drops to another user can reach it.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "brs-exec-conformance-tmp-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return dir
}

func (w *world) serve(h http.Handler) string {
	srv := httptest.NewServer(h)
	w.t.Cleanup(srv.Close)
	return srv.URL
}

// onCall keeps the children's calls; AssumeRole is brs-exec's and the test's own.
func (w *world) onCall(c sandbox.Call) {
	if c.Action == "AssumeRole" {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = append(w.calls, call{"sts", c.CallerARN, c.AccessKeyID, c.Code, c.UserAgent})
}

// assume is a session of a role, signed for by the base user.
func (w *world) assume(roleARN, name string) aws.Credentials {
	w.t.Helper()
	client := sts.New(sts.Options{Region: "us-east-1", BaseEndpoint: &w.stsURL,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return w.sts.BaseCredentials(), nil })})
	out, err := client.AssumeRole(w.t.Context(), &sts.AssumeRoleInput{RoleArn: &roleARN, RoleSessionName: &name})
	if err != nil {
		w.t.Fatal(err)
	}
	c := out.Credentials
	return aws.Credentials{AccessKeyID: *c.AccessKeyId, SecretAccessKey: *c.SecretAccessKey, SessionToken: *c.SessionToken,
		CanExpire: true, Expires: *c.Expiration}
}

// set puts variables in the environment; a later one replaces an earlier one of the name.
func (w *world) set(entries ...string) {
	for _, e := range entries {
		name, _, _ := strings.Cut(e, "=")
		w.unset(name)
		w.env = append(w.env, e)
	}
}

// get is a variable of the machine's.
func (w *world) get(name string) (value string) {
	for _, e := range w.env {
		if n, v, _ := strings.Cut(e, "="); n == name {
			value = v
		}
	}
	return value
}

func (w *world) unset(name string) {
	for i, e := range w.env {
		if strings.HasPrefix(e, name+"=") {
			w.env = append(w.env[:i:i], w.env[i+1:]...)
			return
		}
	}
}

func (w *world) mkdir(name ...string) string {
	path := filepath.Join(append([]string{w.dir}, name...)...)
	if err := os.MkdirAll(path, 0o700); err != nil {
		w.t.Fatal(err)
	}
	return path
}

func (w *world) write(name, text string) (path string) {
	path = filepath.Join(w.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return path
}

// outcome is how a command ended.
type outcome struct {
	stdout, stderr string
	status         int
	gets           int           // answers of brs-exec's endpoint
	took           time.Duration // of the whole
}

// asRole is brs-exec as the role, on top of the base credentials.
func (w *world) asRole() []string {
	return []string{brsExec, "--credential-command", "cat '" + filepath.Join(w.dir, "base.json") + "'",
		"--role-arn", role, "--role-session-name", "conformance"}
}

// brsExec runs a command under brs-exec, which is the role, or has a share that is.
func (w *world) brsExec(c *client, limit time.Duration, argv ...string) outcome {
	w.t.Helper()
	log := filepath.Join(w.dir, "log")
	os.Remove(log)
	args := append(w.asRole(), "--log-level", "debug", "--log-file", log)
	if w.share != "" {
		args = []string{brsExec, "--from-share", w.share, "--log-level", "debug", "--log-file", log}
	}
	if c.deliver != "" {
		args = append(args, "--deliver", c.deliver)
	}
	o := w.run(limit, slices.Concat(args, w.flags, []string{"--"}, argv))
	text, err := os.ReadFile(log)
	if err != nil {
		w.t.Errorf("%v: %s", err, o.stderr)
	}
	o.gets = strings.Count(string(text), "credentials served")
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, "warning:") || strings.Contains(line, "hint:") || strings.Contains(line, "request refused") {
			o.stderr += line
		}
	}
	if left, err := filepath.Glob(filepath.Join(w.tmp, "brs-exec-*")); err != nil || left != nil { // clients have files of their own there
		w.t.Errorf("left in TMPDIR: %v (%v)", left, err)
	}
	return o
}

// run runs a command in the world's environment.
func (w *world) run(limit time.Duration, argv []string) outcome {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), limit)
	defer cancel()
	argv = slices.Concat(w.as, argv)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env, cmd.Dir = w.env, w.dir
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	begun := time.Now()
	err := cmd.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		w.t.Fatalf("%v: %v: %s", argv[0], err, errs.String())
	}
	if ctx.Err() != nil {
		errs.WriteString("\nended after " + limit.String())
	}
	return outcome{stdout: out.String(), stderr: errs.String(), status: cmd.ProcessState.ExitCode(), took: time.Since(begun)}
}

// seen returns what the services saw since the last time it was asked.
func (w *world) seen() (calls []call, asked []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	calls, asked = w.calls, w.asked
	w.calls, w.asked = nil, nil
	return calls, asked
}

// processJSON is c as a credential_process prints it.
func processJSON(c aws.Credentials) string {
	out := map[string]any{"Version": 1, "AccessKeyId": c.AccessKeyID, "SecretAccessKey": c.SecretAccessKey}
	if c.SessionToken != "" {
		out["SessionToken"] = c.SessionToken
	}
	if c.CanExpire {
		out["Expiration"] = c.Expires.UTC().Format(time.RFC3339)
	}
	return text(out)
}

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // maps of strings: it can't
	}
	return string(b)
}

// serveOther is what speaks for role/leak: instance metadata (v2, then v1), an SSO
// portal, and a container endpoint.
func (w *world) serveOther(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	w.asked = append(w.asked, r.Method+" "+r.URL.Path)
	w.mu.Unlock()
	name := cmp.Or(map[string]string{"/container": "container", "/federation/credentials": "sso"}[r.URL.Path], "imds")
	c := w.assume(leak, name)
	switch {
	case r.Method == "PUT" && r.URL.Path == "/latest/api/token":
		rw.Header().Set("x-aws-ec2-metadata-token-ttl-seconds", "21600")
		rw.Write([]byte("imds-token"))
	case strings.HasSuffix(r.URL.Path, "/security-credentials/"):
		rw.Write([]byte("leak"))
	case name == "sso":
		rw.Write([]byte(ssoJSON(c)))
	default:
		rw.Header().Set("Content-Type", "application/json")
		rw.Write([]byte(containerJSON(c)))
	}
}

// ssoJSON is c as Identity Center gives it.
func ssoJSON(c aws.Credentials) string {
	return text(map[string]any{"roleCredentials": map[string]any{"accessKeyId": c.AccessKeyID,
		"secretAccessKey": c.SecretAccessKey, "sessionToken": c.SessionToken, "expiration": c.Expires.UnixMilli()}})
}

// containerJSON is c as a container endpoint and the instance metadata service give it.
func containerJSON(c aws.Credentials) string {
	return text(map[string]string{"Code": "Success", "Type": "AWS-HMAC", "LastUpdated": "2026-01-01T00:00:00Z",
		"AccessKeyId": c.AccessKeyID, "SecretAccessKey": c.SecretAccessKey, "Token": c.SessionToken,
		"Expiration": c.Expires.UTC().Format(time.RFC3339)})
}
