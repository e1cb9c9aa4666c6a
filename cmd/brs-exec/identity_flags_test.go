//go:build unix

package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec/internal/gate"
	"brs-exec/internal/hint"
	"brs-exec/internal/sandbox"
)

// An identityRun is what came of one command line: what was asked of STS and of the other services.
type identityRun struct {
	sts    []sandbox.Call
	github []string // audiences
	iot    []string // paths, and the thing's name
	source string
	region string
	code   string                     // the MFA code that STS had not seen
	again  func(args ...string) error // the same command line and these flags
}

func (r *identityRun) sent(parameter, value string) bool {
	return slices.ContainsFunc(r.sts, func(c sandbox.Call) bool { return c.Code == "" && c.Params.Get(parameter) == value })
}

// An identityFlag is how a flag is given, and how it is seen that it was used.
type identityFlag struct {
	name  string
	args  []string // after it; those that are flags belong to it, as a pair of files does
	used  func(w *identityWorld, r *identityRun) bool
	alone bool // it is used without any other; else it is refused
	role  bool // it is used with a role
}

const pairRole = "arn:aws:iam::000000000000:role/etl"

// identityFlags has a row for each flag of the groups that say who the command is, and for the sandbox.
func (w *identityWorld) identityFlags() []identityFlag {
	sends := func(parameter, value string) func(*identityWorld, *identityRun) bool {
		return func(_ *identityWorld, r *identityRun) bool { return r.sent(parameter, value) }
	}
	begins := func(source string) func(*identityWorld, *identityRun) bool {
		return func(_ *identityWorld, r *identityRun) bool { return strings.HasPrefix(r.source, source) }
	}
	asksIoT := func(what string) func(*identityWorld, *identityRun) bool {
		return func(_ *identityWorld, r *identityRun) bool { return slices.Contains(r.iot, what) }
	}
	always := func(*identityWorld, *identityRun) bool { return true } // checked at every start, with any source
	iot := []string{"--iot-endpoint", w.iot, "--iot-role-alias", "alias", "--iot-certificate", w.file("device.pem"),
		"--iot-private-key", w.file("device.key"), "--iot-ca", w.file("ca.pem")}
	const device, policy = "arn:aws:iam::000000000000:mfa/me", `{"Version":"2012-10-17","Statement":[]}`
	withIoT := func(value string) []string { return append([]string{value}, iot...) }
	return []identityFlag{
		{"role-arn", []string{pairRole}, sends("RoleArn", pairRole), true, true},
		{"role-session-name", []string{"nightly"}, sends("RoleSessionName", "nightly"), false, true},
		{"duration-seconds", []string{"1200"}, sends("DurationSeconds", "1200"), true, true},
		{"external-id", []string{"ext"}, sends("ExternalId", "ext"), false, true},
		{"policy", []string{policy}, sends("Policy", policy), false, true},
		{"policy-arns", []string{"arn:aws:iam::aws:policy/X"}, sends("PolicyArns.member.1.arn", "arn:aws:iam::aws:policy/X"), false, true},
		{"tags", []string{"K=V"}, sends("Tags.member.1.Key", "K"), false, true},
		{"transitive-tag-keys", []string{"K", "--tags", "K=V"}, sends("TransitiveTagKeys.member.1", "K"), false, true},
		{"source-identity", []string{"origin"}, sends("SourceIdentity", "origin"), false, true},
		{"provided-contexts", []string{"ProviderArn=arn:aws:iam::aws:contextProvider/IdentityCenter,ContextAssertion=said"},
			sends("ProvidedContexts.member.1.ContextAssertion", "said"), false, true},
		{"expect-account", []string{"000000000000"}, func(_ *identityWorld, r *identityRun) bool {
			_, refused := errors.AsType[*gate.AccountError](r.again("--expect-account", "999999999999"))
			return refused
		}, true, true},
		{"allow-identity-change", nil, always, true, true},                                                           // testdata/scripts/gate_change.txtar
		{"serial-number", []string{device, "--mfa-command", "echo CODE"}, sends("SerialNumber", device), true, true}, // a terminal would be asked
		{"token-code", []string{"CODE", "--serial-number", device}, func(_ *identityWorld, r *identityRun) bool { return r.sent("TokenCode", r.code) }, true, true},
		{"mfa-command", []string{"echo x >" + w.file("code") + "; echo CODE"}, func(w *identityWorld, _ *identityRun) bool { return w.take("code") }, false, false},
		{"profile", []string{"work"}, begins("profile work"), true, true},
		{"region", []string{"eu-north-1"}, func(_ *identityWorld, r *identityRun) bool { return r.region == "eu-north-1" }, true, true},
		{"web-identity-token-file", []string{w.file("token")}, begins("token of "), false, true},
		{"web-identity-token-command", []string{"cat " + w.file("token")}, begins("token command"), false, true},
		{"web-identity", []string{"github-actions"}, begins("GitHub Actions"), false, true},
		{"audience", []string{"me", "--web-identity", "github-actions"},
			func(_ *identityWorld, r *identityRun) bool { return slices.Contains(r.github, "me") }, false, true},
		{"credential-command", []string{"cat " + w.file("keys.json")}, begins("credential command"), true, true},
		{"from-share", []string{w.file("aws.sock")}, begins("share "), true, true},
		{"iot-endpoint", withIoT(w.iot), asksIoT("/role-aliases/alias/credentials"), true, true},
		{"iot-role-alias", withIoT("alias"), asksIoT("/role-aliases/alias/credentials"), true, true},
		{"iot-certificate", withIoT(w.file("device.pem")), asksIoT("/role-aliases/alias/credentials"), true, true},
		{"iot-private-key", withIoT(w.file("device.key")), asksIoT("/role-aliases/alias/credentials"), true, true},
		{"iot-thing-name", withIoT("thing"), asksIoT("thing"), true, true},
		{"iot-ca", withIoT(w.file("ca.pem")), asksIoT("/role-aliases/alias/credentials"), true, true},
		{"no-session", nil, func(_ *identityWorld, r *identityRun) bool {
			return len(r.sts) == 0 || !r.sent("Action", "GetSessionToken")
		}, true, false},
		{"must-last", []string{"1s"}, always, true, true},
		{"with-profile", []string{"work"}, always, true, true}, // e2e/profiles_linux_test.go: who the command is stays
		{"sandbox", nil, begins("sandbox"), true, true},
	}
}

// Every flag that says who the command is, beside any other of them, with a role and without, is used or refused: none is
// dropped in silence.
func TestIdentityFlagsAreUsedOrRefused(t *testing.T) {
	w := newIdentityWorld(t)
	all := w.identityFlags()
	used := 0
	c := newCLI()
	names := slices.Clone(baseFlags)
	for _, title := range []string{"Role", "Base credentials", "IoT", "Profiles"} {
		for _, o := range groupOf(t, c, title) {
			names = append(names, o.name)
		}
	}
	for _, name := range names {
		if !slices.ContainsFunc(all, func(f identityFlag) bool { return f.name == name }) {
			t.Errorf("--%s has no row here", name)
		}
	}
	for i, a := range all {
		w.try(t, a.alone, a)
		if a.name != "role-arn" {
			w.try(t, a.role, a, all[0])
		}
		for _, b := range all[i+1:] {
			for _, flags := range [][]identityFlag{{a, b}, {a, b, all[0]}} {
				if w.tryAny(t, flags...) {
					used++
				}
			}
		}
	}
	t.Logf("%d of %d combinations are used, the rest refused", used, len(all)*(len(all)-1))
	if used < 300 {
		t.Errorf("only %d combinations are used: is this test looking?", used)
	}
}

// try wants all of the flags to be used, or that they are refused.
func (w *identityWorld) try(t *testing.T, used bool, flags ...identityFlag) {
	t.Helper()
	if got := w.tryAny(t, flags...); got != used {
		t.Errorf("%s: used: %v; want %v", w.line(flags), got, used)
	}
}

func (w *identityWorld) tryAny(t *testing.T, flags ...identityFlag) (used bool) {
	t.Helper()
	r, err := w.run(t, w.line(flags))
	if err != nil {
		if hint.Of(err) == "" || strings.Contains(err.Error(), "gave up") {
			t.Errorf("%s: %v (hint: %s); want a refusal with a hint", w.line(flags), err, hint.Of(err))
		}
		return false
	}
	for _, f := range flags {
		if !f.used(w, r) {
			t.Errorf("%s: --%s is dropped in silence", w.line(flags), f.name)
		}
	}
	return true
}

func (w *identityWorld) line(flags []identityFlag) (args []string) {
	for _, f := range flags {
		args = append(append(args, "--"+f.name), f.args...)
	}
	return args
}

// identityWorld is where all of these flags have something to act on.
type identityWorld struct {
	dir, iot string
	sts      *sandbox.STS
	codes    int // that were given

	mu  sync.Mutex // guards the rest
	now *identityRun
}

func (w *identityWorld) file(name string) string { return filepath.Join(w.dir, name) }

func (w *identityWorld) take(name string) bool { return os.Remove(w.file(name)) == nil }

func (w *identityWorld) note(f func(*identityRun)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f(w.now)
}

func newIdentityWorld(t *testing.T) *identityWorld {
	t.Helper()
	w := &identityWorld{dir: t.TempDir(), now: new(identityRun)}
	for _, entry := range os.Environ() {
		name, value, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, "AWS_") || strings.HasPrefix(name, "BRS_EXEC_") {
			t.Setenv(name, value) // is set again at the end
			os.Unsetenv(name)
		}
	}
	w.sts = sandbox.New(sandbox.Options{OnCall: func(c sandbox.Call) { w.note(func(r *identityRun) { r.sts = append(r.sts, c) }) }})
	sts := httptest.NewServer(w.sts)
	github := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		audience := r.FormValue("audience")
		w.note(func(r *identityRun) { r.github = append(r.github, audience) })
		json.NewEncoder(rw).Encode(map[string]string{"value": sandbox.WebIdentityToken("job", audience, time.Now().Add(time.Hour))})
	}))
	t.Cleanup(sts.Close)
	t.Cleanup(github.Close)
	keys := w.sts.BaseCredentials()
	for name, value := range map[string]string{
		"HOME": w.dir, "AWS_EC2_METADATA_DISABLED": "true", "AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL_STS": sts.URL,
		"AWS_ACCESS_KEY_ID": keys.AccessKeyID, "AWS_SECRET_ACCESS_KEY": keys.SecretAccessKey,
		"AWS_CONFIG_FILE": w.file("config"), "AWS_SHARED_CREDENTIALS_FILE": w.file("credentials"), "GITHUB_ACTIONS": "true",
		"ACTIONS_ID_TOKEN_REQUEST_URL": github.URL + "/?x=1", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "hush",
	} {
		t.Setenv(name, value)
	}
	for name, text := range map[string]string{
		"credentials": fmt.Sprintf("[work]\naws_access_key_id = %s\naws_secret_access_key = %s\n", keys.AccessKeyID, keys.SecretAccessKey),
		"keys.json":   fmt.Sprintf(`{"Version": 1, "AccessKeyId": %q, "SecretAccessKey": %q}`, keys.AccessKeyID, keys.SecretAccessKey),
		"token":       sandbox.WebIdentityToken("job", "sts.amazonaws.com", time.Now().Add(time.Hour)),
	} {
		if err := os.WriteFile(w.file(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.serveIoT(t, (&stack{srv: sts, sts: w.sts}).session)
	w.serveShare(t, (&stack{srv: sts, sts: w.sts}).session)
	return w
}

func (w *identityWorld) serveShare(t *testing.T, session func() (aws.Credentials, error)) {
	t.Helper()
	ln, err := net.Listen("unix", w.file("aws.sock"))
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		c, err := session()
		if err != nil {
			http.Error(rw, err.Error(), http.StatusInternalServerError)
			return
		}
		json.NewEncoder(rw).Encode(map[string]any{"AccessKeyId": c.AccessKeyID, "SecretAccessKey": c.SecretAccessKey, "Token": c.SessionToken, "Expiration": c.Expires})
	}))
	srv.Listener.Close()
	srv.Listener = ln
	srv.Start()
	t.Cleanup(srv.Close)
}

func (w *identityWorld) serveIoT(t *testing.T, session func() (aws.Credentials, error)) {
	t.Helper()
	a, err := newAuthority()
	if err != nil {
		t.Fatal(err)
	}
	server, err := a.sign("iot", time.Now().Add(time.Hour))
	device, err2 := a.sign("thing", time.Now().Add(48*time.Hour))
	if err := errors.Join(err, err2, a.write(w.file("device"), device), writePEM(w.file("ca.pem"), "CERTIFICATE", a.cert.Raw)); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.note(func(run *identityRun) { run.iot = append(run.iot, r.URL.Path, r.Header.Get("x-amzn-iot-thingname")) })
		c, err := session()
		if err != nil {
			http.Error(rw, err.Error(), http.StatusInternalServerError)
			return
		}
		json.NewEncoder(rw).Encode(map[string]any{"credentials": map[string]any{"accessKeyId": c.AccessKeyID, "secretAccessKey": c.SecretAccessKey, "sessionToken": c.SessionToken, "expiration": c.Expires}})
	}))
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{server}, ClientAuth: tls.RequireAnyClientCert}
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	w.iot = hostOf(srv.URL)
}

// run does what a run does before its command. CODE in args is an MFA code that STS has not seen.
func (w *identityWorld) run(t *testing.T, args []string) (*identityRun, error) {
	t.Helper()
	w.take("code")
	w.codes++
	r := &identityRun{code: fmt.Sprint(100000 + w.codes)}
	given := slices.Clone(args)
	for i := range given {
		given[i] = strings.ReplaceAll(given[i], "CODE", r.code)
	}
	w.note(func(*identityRun) { w.now = r })
	r.again = func(more ...string) error { _, err := w.run(t, append(slices.Clone(args), more...)); return err }
	env := os.Environ()
	flags, _, err := parse(append(given, "--start-timeout", "20s", "--", "true"), env, io.Discard)
	if err != nil {
		return nil, err
	}
	sts, err := startSandbox(flags)
	if err != nil {
		return nil, err
	}
	defer sts.stop()
	if sts != nil { // behind a server that hears what is asked
		heard := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, q *http.Request) {
			body, _ := io.ReadAll(q.Body)
			q.Body = io.NopCloser(strings.NewReader(string(body)))
			sts.sts.ServeHTTP(rw, q)
			q.Form, q.PostForm, q.Body = nil, nil, io.NopCloser(strings.NewReader(string(body)))
			q.ParseForm()
			w.note(func(run *identityRun) { run.sts = append(run.sts, sandbox.Call{Params: q.PostForm}) })
		}))
		defer heard.Close()
		sts.url = heard.URL
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	s, err := newSession(ctx, flags, sts, env, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	defer s.src.Close()
	if err := s.firstCredentials(ctx); err != nil {
		return nil, err
	}
	r.source, r.region = s.src.Describe(), s.src.Region()
	return r, nil
}
