//go:build unix

package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"brs-exec/internal/explain"
	"brs-exec/internal/hint"
	"brs-exec/internal/message"
	"brs-exec/internal/sandbox"
	"brs-exec/internal/source"
)

const explainDir = "../../testdata/explain"

// explainCase is an environment. What is secret in it holds "hush".
type explainCase struct {
	name   string
	args   []string
	env    map[string]string // "" unsets
	config string
	creds  string
	sts    sandbox.Options
	works  bool
	first  []string // words of the first screen: the remedy among them
	json   bool     // --output json
}

const (
	etl      = "arn:aws:iam::123456789012:role/etl"
	profiles = "[profile keys]\naws_access_key_id = KEY\naws_secret_access_key = SECRET\n[profile dev]\nrole_arn = " + etl + "\nsource_profile = keys\nexternal_id = id-hush\n"
	ssoLines = "[profile dev]\nsso_session = corp\nsso_account_id = 222222222222\nsso_role_name = Dev\n[sso-session corp]\nsso_region = us-east-1\nsso_start_url = https://x.awsapps.com/start\n"
)

var noKeys = map[string]string{"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}

// with is noKeys, and more.
func with(pairs ...string) map[string]string {
	m := maps.Clone(noKeys)
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return m
}

// refuseRole denies one role, as STS does.
func refuseRole(role string) sandbox.Options {
	return sandbox.Options{Fault: func(c sandbox.Call) error {
		if c.Params.Get("RoleArn") != role {
			return nil
		}
		return sandbox.AccessDenied(c)
	}}
}

var explainCases = []explainCase{
	// What outranks the endpoint.
	{name: "trap_keys", args: []string{"--role-arn", etl}, works: true, first: []string{"nothing about AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY:", "-- COMMAND"}},
	{name: "trap_keys_json", args: []string{"--role-arn", etl}, works: true, json: true},
	{name: "trap_default_credentials", env: noKeys, creds: "[default]\naws_access_key_id = KEY\naws_secret_access_key = SECRET\n", args: []string{"--role-arn", etl}, works: true,
		first: []string{"nothing about [default] in the credentials file:"}},
	{name: "trap_default_config", env: noKeys, config: "[default]\nregion = eu-west-1\ncredential_process = print-keys --token hush\n", args: []string{"--role-arn", etl}, works: true,
		first: []string{"nothing about [default] in the config file:"}},
	{name: "trap_aws_profile", env: with("AWS_PROFILE", "dev"), config: profiles, works: true, first: []string{"nothing about AWS_PROFILE:"}},
	{name: "trap_keys_before_aws_profile", env: map[string]string{"AWS_PROFILE": "dev"}, config: profiles, works: true,
		first: []string{"if profile dev was meant: --profile dev, since AWS_ACCESS_KEY_ID outranks AWS_PROFILE"}},
	{name: "trap_web_identity", env: with("AWS_WEB_IDENTITY_TOKEN_FILE", "TOKEN", "AWS_ROLE_ARN", etl), works: true, first: []string{"nothing about AWS_WEB_IDENTITY_TOKEN_FILE:"}},
	{name: "trap_relative_uri", env: map[string]string{"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/hush"}, args: []string{"--role-arn", etl}, works: true,
		first: []string{"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: brs-exec keeps the command from it"}},
	{name: "trap_bearer_token", env: map[string]string{"AWS_BEARER_TOKEN_BEDROCK": "hush"}, args: []string{"--role-arn", etl}, works: true,
		first: []string{"AWS_BEARER_TOKEN_*: brs-exec keeps the command from it"}},
	{name: "trap_java_options", env: map[string]string{"JAVA_TOOL_OPTIONS": "-Xmx1g -Daws.accessKeyId=hush -Daws.secretAccessKey=hush"}, args: []string{"--role-arn", etl}, works: true,
		first: []string{"take these options out: java programs will not ask the endpoint: system properties outrank it in JAVA_TOOL_OPTIONS"}},
	{name: "trap_no_isolation", creds: "[default]\naws_access_key_id = KEY\naws_secret_access_key = SECRET\n", args: []string{"--role-arn", etl, "--no-isolation"},
		first: []string{"--no-isolation: [default] has aws_access_key_id", "give that profile another name, or drop --no-isolation"}},

	// Sources.
	{name: "sso_expired", env: noKeys, config: ssoLines, args: []string{"--profile", "dev"}, first: []string{"aws sso login --profile dev"}},
	{name: "sso_expired_json", env: noKeys, config: ssoLines, args: []string{"--profile", "dev"}, json: true},
	{name: "nothing", env: noKeys, first: []string{"aws configure sso, or export AWS_ACCESS_KEY_ID"}},
	{name: "no_such_profile", env: map[string]string{"AWS_PROFILE": "deb"}, config: profiles, first: []string{"there are: dev, keys"}},
	{name: "role_nobody_buys", env: map[string]string{"AWS_ROLE_ARN": etl}, first: []string{`--role-arn "$AWS_ROLE_ARN"`}},
	{name: "mfa_without_terminal", config: profiles, args: []string{"--role-arn", etl, "--serial-number", "arn:aws:iam::000000000000:mfa/me"}, first: []string{"--mfa-command 'COMMAND THAT PRINTS A CODE', or --token-code 123456"}},
	{name: "container", env: with("AWS_CONTAINER_CREDENTIALS_FULL_URI", "URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN", "token-hush"), works: true, first: []string{"Source     container endpoint"}},
	{name: "container_stale", env: with("AWS_CONTAINER_CREDENTIALS_FULL_URI", "STALE", "AWS_CONTAINER_AUTHORIZATION_TOKEN", "token-hush"), first: []string{"do the session token and the keys from container endpoint belong together"}},
	{name: "wrong_session_token", env: map[string]string{"AWS_SESSION_TOKEN": "session-hush"}, first: []string{"do the session token and the keys from environment variables belong together"}},
	{name: "mfa_code_spent", args: []string{"--role-arn", etl, "--serial-number", "arn:aws:iam::000000000000:mfa/me", "--token-code", "123456"}, works: true, first: []string{"a new --token-code for the run"}},
	{name: "command", env: noKeys, args: []string{"--credential-command", "print-keys --password hush", "--role-arn", etl}, works: true, first: []string{"Source     credential command → " + etl}},
	{name: "command_fails", env: noKeys, args: []string{"--credential-command", "false # hush"}, first: []string{"run it by hand"}},
	{name: "command_hangs", env: noKeys, args: []string{"--credential-command", "exec sleep 60 # hush", "--start-timeout", "1s"}, first: []string{"run it by hand to see what it waits for"}},
	{name: "two_kinds_in_a_profile", env: noKeys, config: ssoLines, creds: "[dev]\naws_access_key_id = KEY\naws_secret_access_key = SECRET\n", args: []string{"--profile", "dev"}, first: []string{"Source     profile dev → sso", "To do      aws sso login --profile dev"}},
	{name: "long_term_keys", works: true, first: []string{"Source     environment variables"}},
	{name: "deliver_env", args: []string{"--deliver", "env", "--role-arn", etl}, works: true, first: []string{"Refreshed  never in the command"}},
	{name: "no_session", args: []string{"--no-session"}, works: true, first: []string{"Expires    never", "--no-session hands the keys over as they are"}},

	// STS.
	{name: "clock_ahead", args: []string{"--role-arn", etl}, sts: sandbox.Options{Now: func() time.Time { return time.Now().Add(-12 * time.Minute) }}, works: true,
		first: []string{"set this machine's clock (timedatectl set-ntp true): it is 12m ahead of STS's"}},
	{name: "clock_behind", args: []string{"--role-arn", etl}, sts: sandbox.Options{Now: func() time.Time { return time.Now().Add(2 * time.Hour) }}, works: true,
		first: []string{"set this machine's clock (timedatectl set-ntp true): it is 2h behind STS's"}},
	{name: "sts_unreachable", env: map[string]string{"AWS_ENDPOINT_URL_STS": "http://127.0.0.1:1"}, args: []string{"--role-arn", etl}, first: []string{"STS is asked at http://127.0.0.1:1: is it the right one, and up?", "or wait: it may pass"}},
	{name: "sts_hangs", sts: sandbox.Options{Fault: func(sandbox.Call) error { return sandbox.ErrHang }}, args: []string{"--role-arn", etl, "--start-timeout", "1s"}, first: []string{"or give it longer than 1s: --start-timeout"}},
	{name: "sts_is_s3", env: map[string]string{"AWS_ENDPOINT_URL_STS": "", "AWS_ENDPOINT_URL": "S3"}, args: []string{"--role-arn", etl}, first: []string{"export AWS_ENDPOINT_URL_S3 instead"}},
	{name: "role_denied", args: []string{"--role-arn", etl, "--external-id", "id-hush"}, sts: refuseRole(etl), first: []string{"check that the trust policy of the role names this caller"}},
	{name: "role_may_be_new", args: []string{"--role-arn", etl, "--retry-denied", "1m"}, sts: refuseRole(etl), first: []string{"or wait: it may pass, and a run tries again for 1m"}},
	{name: "second_role_denied", args: []string{"--role-arn", "arn:aws:iam::123456789012:role/hub", "--role-arn", etl, "--role-arn", "arn:aws:iam::123456789012:role/last"}, sts: refuseRole(etl),
		first: []string{"check that the trust policy of the role names this caller"}},
	{name: "chain_over_an_hour", args: []string{"--role-arn", "arn:aws:iam::123456789012:role/hub", "--role-arn", etl, "--duration-seconds", "2h"}, first: []string{"--duration-seconds 3600"}},
	{name: "chain", args: []string{"--role-arn", "arn:aws:iam::123456789012:role/hub", "--role-arn", etl}, works: true, first: []string{"between 27m and 33m after each fetch", "-- COMMAND"}},
	{name: "another_account", args: []string{"--role-arn", etl, "--expect-account", "222222222222"}, first: []string{"check --role-arn and --profile"}},
	{name: "identity_unknown", args: []string{"--role-arn", etl}, works: true, sts: sandbox.Options{Fault: func(c sandbox.Call) error {
		if c.Action == "GetCallerIdentity" {
			return sandbox.Error{Status: http.StatusForbidden, Code: "AccessDenied", Message: "with an explicit deny in a VPC endpoint policy"}
		}
		return nil
	}}, first: []string{"somebody whom STS doesn't name", "-- COMMAND"}},
}

// TestExplain runs the real binary in every environment. The page is the golden file of its name;
// what cures it stands on the first screen; nothing secret is told; and the status says what the
// page says.
func TestExplain(t *testing.T) {
	t.Parallel()
	if !*update {
		files, err := os.ReadDir(explainDir)
		if err != nil || len(files) != len(explainCases) {
			t.Errorf("%d golden files, %d environments (%v)", len(files), len(explainCases), err)
		}
	}
	for _, c := range explainCases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newExplainWorld(t, c)
			page := w.run(t, c, 125)
			screen := strings.Join(strings.SplitAfter(page, "\n")[:min(20, strings.Count(page, "\n"))], "")
			for _, want := range c.first {
				if !strings.Contains(screen, want) {
					t.Errorf("the first screen lacks %q:\n%s", want, page)
				}
			}
			if strings.HasPrefix(page, "WORKS: ") != c.works && !c.json {
				t.Errorf("works: want %v:\n%s", c.works, page)
			}
			golden := filepath.Join(explainDir, c.name+".txt")
			got := w.steady(page)
			if *update {
				if err := errors.Join(os.MkdirAll(explainDir, 0o755), os.WriteFile(golden, []byte(got), 0o644)); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) { // once more: the machine may have been busy, and the life that is left shorter
				w = newExplainWorld(t, c)
				got = w.steady(w.run(t, c, 125))
			}
			if got != string(want) {
				t.Errorf("%s differs (-update rewrites it):\n%s", golden, difference(string(want), got))
			}
		})
	}
}

// TestExplainTellsNoSecret takes secrets from every place at once, in many combinations.
func TestExplainTellsNoSecret(t *testing.T) {
	t.Parallel()
	places := []func(c *explainCase){
		func(c *explainCase) { c.env["AWS_SESSION_TOKEN"] = "session-hush" },
		func(c *explainCase) { c.env["AWS_BEARER_TOKEN_BEDROCK"] = "bearer-hush" },
		func(c *explainCase) { c.env["AWS_WEB_IDENTITY_TOKEN_FILE"], c.env["AWS_ROLE_ARN"] = "TOKEN", etl },
		func(c *explainCase) { c.env["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = "container-hush" },
		func(c *explainCase) { c.env["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = "URI" },
		func(c *explainCase) { c.env["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] = "/v2/hush" },
		func(c *explainCase) { c.env["HTTPS_PROXY"] = "http://user:hush@127.0.0.1:1" },
		func(c *explainCase) { c.env["AWS_ENDPOINT_URL_STS"] = "http://user:hush@127.0.0.1:1" },
		func(c *explainCase) { c.env["AWS_ENDPOINT_URL"] = "http://127.0.0.1:1/?token=hush" },
		func(c *explainCase) { c.env["JAVA_TOOL_OPTIONS"] = "-Daws.secretAccessKey=hush" },
		func(c *explainCase) { c.env["AWS_PROFILE"] = "dev" },
		func(c *explainCase) { maps.Copy(c.env, noKeys) },
		func(c *explainCase) { c.config += "[default]\ncredential_process = print --password hush\n" },
		func(c *explainCase) {
			c.creds += "[default]\naws_access_key_id = AKIDX\naws_secret_access_key = hush\n"
		},
		func(c *explainCase) { c.creds += "[keys]\naws_access_key_id = AKIDX\naws_session_token = hush\n" },
		func(c *explainCase) { c.args = append(c.args, "--role-arn", etl, "--external-id", "external-hush") },
		func(c *explainCase) { c.args = append(c.args, "--credential-command", "print-keys hush") },
		func(c *explainCase) { c.args = append(c.args, "--web-identity-token-command", "echo a.hush.c") },
		func(c *explainCase) { c.args = append(c.args, "--policy", `{"Statement":"hush"}`) },
		func(c *explainCase) {
			c.args = append(c.args, "--mfa-command", "echo hush", "--serial-number", "arn:aws:iam::000000000000:mfa/me")
		},
		func(c *explainCase) {
			c.args = append(c.args, "--provided-contexts", "ProviderArn=arn:aws:iam::aws:contextProvider/x,ContextAssertion=hush")
		},
		func(c *explainCase) { c.args = append(c.args, "--profile", "dev") },
		func(c *explainCase) { c.args = append(c.args, "--log-level", "debug") },
	}
	random := rand.New(rand.NewPCG(1, 2))
	worked, failed := 0, 0
	var wg sync.WaitGroup
	slots := make(chan bool, 4)
	var mu sync.Mutex // guards the counts
	for i := range 80 {
		c := explainCase{name: fmt.Sprint(i), env: map[string]string{}, config: profiles, json: i%2 == 0, args: []string{"--start-timeout", "5s"}}
		if i >= len(places) {
			for range 1 + random.IntN(5) {
				places[random.IntN(len(places))](&c)
			}
		} else {
			places[i](&c)
		}
		wg.Go(func() {
			slots <- true
			defer func() { <-slots }()
			w := newExplainWorld(t, c)
			page := w.run(t, c, 125)
			mu.Lock()
			defer mu.Unlock()
			if strings.HasPrefix(page, "WORKS") || strings.Contains(page, `"Works": true`) {
				worked++
			} else {
				failed++
			}
		})
	}
	wg.Wait()
	if worked < 15 || failed < 15 {
		t.Errorf("%d pages of what works, %d of what doesn't: the combinations are too much alike", worked, failed)
	}
}

// explainWorld is a machine for one environment.
type explainWorld struct {
	dir     string
	env     []string
	secrets func() []string
}

func newExplainWorld(t *testing.T, c explainCase) *explainWorld {
	t.Helper()
	s := sandbox.New(c.sts)
	keys := s.BaseCredentials()
	secrets := []string{keys.SecretAccessKey}
	var mu sync.Mutex // guards secrets
	sts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := &secretRecorder{ResponseWriter: w}
		s.ServeHTTP(rec, r)
		mu.Lock()
		defer mu.Unlock()
		for _, m := range answered.FindAllSubmatch(rec.body.Bytes(), -1) {
			secrets = append(secrets, string(m[1]))
		}
	}))
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "token-hush" {
			w.Header().Set("Content-Type", "application/json")
			form := map[string]any{"AccessKeyId": "ASIAHOST", "SecretAccessKey": "hush", "Token": "hush", "Expiration": time.Now().Add(time.Hour)}
			if c, err := hostsSession(sts.URL, keys); err == nil && r.URL.Path != "/stale-hush" {
				form = containerForm(c).(map[string]any)
			}
			json.NewEncoder(w).Encode(form)
			return
		}
		http.Error(w, `<Error><Code>MethodNotAllowed</Code><Message>The specified method is not allowed against this resource.</Message></Error>`, http.StatusMethodNotAllowed)
	}))
	t.Cleanup(sts.Close)
	t.Cleanup(other.Close)
	w := &explainWorld{dir: t.TempDir(), secrets: func() []string { mu.Lock(); defer mu.Unlock(); return slices.Clone(secrets) }}
	w.files(t, c, keys.AccessKeyID, keys.SecretAccessKey)
	fill := strings.NewReplacer("STALE", other.URL+"/stale-hush", "URI", other.URL+"/hush", "S3", other.URL, "TOKEN", filepath.Join(w.dir, "token"))
	env := map[string]string{
		"PATH": filepath.Join(w.dir, "bin") + ":" + os.Getenv("PATH"), "HOME": w.dir, "TMPDIR": w.dir, "AWS_EC2_METADATA_DISABLED": "true", "AWS_REGION": "us-east-1",
		"AWS_ENDPOINT_URL_STS": sts.URL, "AWS_ACCESS_KEY_ID": keys.AccessKeyID, "AWS_SECRET_ACCESS_KEY": keys.SecretAccessKey, "AWS_ROLE_SESSION_NAME": "me",
	}
	for name, value := range c.env {
		if env[name] = value; name != "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI" {
			env[name] = fill.Replace(value)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		if env[name] != "" {
			w.env = append(w.env, name+"="+env[name])
		}
	}
	return w
}

// hostsSession is what a container endpoint hands out.
func hostsSession(where string, keys aws.Credentials) (aws.Credentials, error) {
	client := sts.New(sts.Options{Region: "us-east-1", BaseEndpoint: &where, Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return keys, nil })})
	out, err := client.AssumeRole(context.Background(), &sts.AssumeRoleInput{RoleArn: aws.String(hostRole), RoleSessionName: aws.String(hostSession)})
	if err != nil {
		return aws.Credentials{}, err
	}
	c := out.Credentials
	return aws.Credentials{AccessKeyID: *c.AccessKeyId, SecretAccessKey: *c.SecretAccessKey, SessionToken: *c.SessionToken, Expires: *c.Expiration}, nil
}

// answered is what STS's answers have of secrets.
var answered = regexp.MustCompile(`<(?:SecretAccessKey|SessionToken)>([^<]+)<`)

type secretRecorder struct {
	http.ResponseWriter
	body bytes.Buffer
}

func (r *secretRecorder) Write(p []byte) (int, error) {
	r.body.Write(p)
	return r.ResponseWriter.Write(p)
}

func (w *explainWorld) files(t *testing.T, c explainCase, id, secret string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	in := func(name string) string { return filepath.Join(w.dir, name) }
	fill := strings.NewReplacer("KEY", id, "SECRET", secret).Replace
	session := fmt.Sprintf("#!/bin/sh\necho '{\"Version\":1,\"AccessKeyId\":\"%s\",\"SecretAccessKey\":\"%s\"}'\n", id, secret)
	err = errors.Join(os.MkdirAll(in("bin"), 0o755), os.MkdirAll(in(".aws"), 0o755), os.Symlink(self, in("bin/brs-exec")),
		os.WriteFile(in("bin/print-keys"), []byte(session), 0o755),
		os.WriteFile(in("token"), []byte(sandbox.WebIdentityToken("hush", "sts.amazonaws.com", time.Now().Add(12*time.Hour))), 0o600),
		os.WriteFile(in(".aws/config"), []byte(fill(c.config)), 0o600), os.WriteFile(in(".aws/credentials"), []byte(fill(c.creds)), 0o600))
	if strings.Contains(c.config, "sso_session") {
		p := &portal{access: "sso-hush", ends: time.Now().Add(-time.Hour)}
		err = errors.Join(err, p.login(w.dir, false))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// run returns the page. No secret may be in it, and it is all that is said.
func (w *explainWorld) run(t *testing.T, c explainCase, failure int) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	args := append([]string{"--explain"}, c.args...)
	if c.json {
		args = append(args, "--output", "json")
	}
	cmd := exec.CommandContext(ctx, filepath.Join(w.dir, "bin", "brs-exec"), args...)
	cmd.Dir, cmd.Env, cmd.SysProcAttr = w.dir, w.env, &syscall.SysProcAttr{Setsid: true} // without a terminal
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	page, status := out.String(), 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		status = exit.ExitCode()
	} else if err != nil {
		t.Errorf("%s: %v", c.name, err)
	}
	works := strings.HasPrefix(page, "WORKS: ")
	if c.json {
		var x explain.Page
		if err := json.Unmarshal(out.Bytes(), &x); err != nil || len(x.Remedy) == 0 {
			t.Errorf("%s: %v:\n%s", c.name, err, page)
		}
		works = x.Works
	} else if !works && !strings.HasPrefix(page, "DOES NOT WORK: ") || !strings.Contains(page, "\nTo do      ") {
		t.Errorf("%s: no verdict, or no remedy:\n%s\n%s", c.name, page, &errs)
	}
	if want := map[bool]int{true: 0, false: failure}[works]; status != want || errs.Len() > 0 {
		t.Errorf("%s: status %d; want %d; stderr %q", c.name, status, want, &errs)
	}
	for _, secret := range append(w.secrets(), "hush") {
		if strings.Contains(page, secret) || strings.Contains(errs.String(), secret) {
			t.Errorf("%s: a secret (%.4s…) is told:\n%s", c.name, secret, page)
		}
	}
	return page
}

// steady makes of a page what it is on every machine at every time.
func (w *explainWorld) steady(page string) string {
	page = strings.ReplaceAll(page, w.dir, "~")
	page = strings.ReplaceAll(page, runtime.GOOS+"/"+runtime.GOARCH, "OS/ARCH")
	for _, v := range explainVarying {
		page = v.what.ReplaceAllString(page, v.by)
	}
	return page
}

var explainVarying = []struct {
	what *regexp.Regexp
	by   string
}{
	{regexp.MustCompile(`127\.0\.0\.1:[0-9]{2,}`), "127.0.0.1:PORT"},
	{regexp.MustCompile(` +[0-9]+ ms`), " MS"},
	{regexp.MustCompile(`"Milliseconds": [0-9]+`), `"Milliseconds": 0`},
	{regexp.MustCompile(`"ClockAhead": [0-9.]+`), `"ClockAhead": 0`},
	{regexp.MustCompile(`20[0-9-]{8}T[0-9:]{8}Z`), "TIME"},
	{regexp.MustCompile(`…[A-Z0-9]{4}\b`), "…KEY4"},
	{regexp.MustCompile(`AROA[A-Z0-9]+`), "AROA"},
	{regexp.MustCompile(`ahead_by=-?[0-9hms.]+`), "ahead_by=TIME"},
	{regexp.MustCompile(`brs-exec   \S+,`), "brs-exec   VERSION,"},
	{regexp.MustCompile(`"Version": ".*"`), `"Version": "VERSION"`},
}

// Whatever others have written, the page is lines of plain text, as many as there are without it.
func FuzzExplanationIsPlain(f *testing.F) {
	f.Add("AccessDenied: no", "profile x")
	f.Add("a\x1b[31m\r\nb\u202e", "\x00\xff\n\n")
	f.Fuzz(func(t *testing.T, said, name string) {
		page := func(said, name string) string {
			p := &explain.Page{Error: said, Source: name, Arn: said, Account: name, Messages: []string{said}}
			p.Remedy = remedies(newCLI(), hint.Errorf("do "+name, "%s", said), new(stepTrace))
			p.Candidates = tellCandidates([]source.Candidate{{Name: name, State: source.Broken, Why: said}})
			p.Steps = []explain.Step{{Name: name, Outcome: explain.Failed, Error: said}}
			return p.Text(message.OneLine)
		}
		got := page(said, name)
		for _, r := range got {
			if r != '\n' && !unicode.IsPrint(r) {
				t.Fatalf("%q is in the page of %q, %q", r, said, name)
			}
		}
		if n, want := strings.Count(got, "\n"), strings.Count(page("x"+said, name), "\n"); said != "" && strings.TrimSpace(message.OneLine(said)) != "" && name != "" && n != want {
			t.Errorf("%d lines of %q, %q; want %d", n, said, name, want)
		}
	})
}

// docs/MACHINE.md has every field of the JSON, and no other.
func TestExplainFieldsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/MACHINE.md")
	if err != nil {
		t.Fatal(err)
	}
	_, page, _ = bytes.Cut(page, []byte("\n## `--explain`\n"))
	var told, real []string
	for line := range strings.Lines(string(page)) {
		if cell, ok := strings.CutPrefix(line, "| `"); ok {
			cell, _, _ = strings.Cut(cell, " |")
			told = append(told, strings.Split(strings.Trim(cell, "`"), "`, `")...)
		}
	}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[explain.Page]()) {
		if f.Tag.Get("json") != "-" {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			real = append(real, cmp.Or(name, f.Name))
		}
	}
	slices.Sort(told)
	slices.Sort(real)
	if !slices.Equal(told, real) {
		t.Errorf("documented %q; there are %q", told, real)
	}
}
