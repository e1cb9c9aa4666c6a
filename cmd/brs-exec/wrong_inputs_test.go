//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"brs-exec/internal/sandbox"
)

const wrongInputsFile = "../../testdata/wrong_inputs.golden"

// TestWrongInputs runs every command of the golden file, which reads as a user's terminal would.
// -update rewrites the answers.
//
// Each is status 125 within two seconds (or its own timeout), one line that names the cause, one
// that says what to type, no child, and no secret: whatever is one holds "hush". A line "$ " is
// given to sh in a directory that holds wrongFiles.
func TestWrongInputs(t *testing.T) {
	t.Parallel()
	golden, err := os.ReadFile(wrongInputsFile)
	if err != nil {
		t.Fatal(err)
	}
	w := newWrongWorld(t)
	var got strings.Builder
	n := 0
	for line := range strings.Lines(string(golden)) {
		switch command, ok := strings.CutPrefix(line, "$ "); {
		case ok:
			n++
			got.WriteString(line + w.answer(t, strings.TrimSpace(command)))
		case !strings.HasPrefix(line, "brs-exec: "):
			got.WriteString(line)
		}
	}
	if n < 200 {
		t.Errorf("only %d wrong inputs; want 200", n)
	}
	if *update {
		if err := os.WriteFile(wrongInputsFile, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got.String() != string(golden) {
		t.Errorf("%s differs (-update rewrites it):\n%s", wrongInputsFile, difference(string(golden), got.String()))
	}
}

// difference lists the lines that only one of the two has.
func difference(want, got string) string {
	var b strings.Builder
	in := func(text string) map[string]bool {
		set := map[string]bool{}
		for line := range strings.Lines(text) {
			set[line] = true
		}
		return set
	}
	wanted, have := in(want), in(got)
	for line := range strings.Lines(want) {
		if !have[line] {
			b.WriteString("- " + line)
		}
	}
	for line := range strings.Lines(got) {
		if !wanted[line] {
			b.WriteString("+ " + line)
		}
	}
	return b.String()
}

// varying is what differs from run to run.
var varying = []struct {
	what *regexp.Regexp
	by   string
}{
	{regexp.MustCompile(`127\.0\.0\.1:[0-9]{2,}`), "127.0.0.1:PORT"},
	{regexp.MustCompile(`gave up after [0-9.]+m?s:`), "gave up after 1s:"},
	{regexp.MustCompile(`current date/time [0-9]+`), "current date/time NOW"},
}

// wrongWorld is a machine on which much is wrong.
type wrongWorld struct {
	dir string
	bin string
	env []string
}

func newWrongWorld(t *testing.T) *wrongWorld {
	t.Helper()
	s := sandbox.New(sandbox.Options{Fault: func(c sandbox.Call) error {
		if c.Params.Get("RoleArn") == "arn:aws:iam::123456789012:role/short" {
			return tooLong(time.Hour)(c)
		}
		return nil
	}})
	sts := httptest.NewServer(s)
	s3 := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, `<Error><Code>MethodNotAllowed</Code><Message>The specified method is not allowed against this resource.</Message></Error>`, http.StatusMethodNotAllowed)
	}))
	portal := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "<html>Please log in</html>", http.StatusOK)
	}))
	hang := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // or the client's going is not noticed
		<-r.Context().Done()
	}))
	stale := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusForbidden, `{"code":"AccessDenied","message":"not this task"}`)
	}))
	for _, srv := range []*httptest.Server{sts, s3, portal, hang, stale} {
		t.Cleanup(srv.Close)
	}
	w := &wrongWorld{dir: t.TempDir(), bin: t.TempDir()}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// testscript.Main runs the command that the binary is called by
	if err := os.Symlink(self, filepath.Join(w.bin, "brs-exec")); err != nil {
		t.Fatal(err)
	}
	w.files(t)
	keys := s.BaseCredentials()
	w.env = []string{
		"PATH=" + w.bin + ":" + os.Getenv("PATH"), "HOME=" + w.dir, "TMPDIR=" + w.dir, "AWS_EC2_METADATA_DISABLED=true", "AWS_REGION=us-east-1",
		"AWS_ENDPOINT_URL_STS=" + sts.URL, "S3=" + s3.URL, "LOGIN_PAGE=" + portal.URL, "HANGS=" + hang.URL, "STALE=" + stale.URL + "/creds",
		"AWS_ACCESS_KEY_ID=" + keys.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + keys.SecretAccessKey, "BASE_SECRET_hush=" + keys.SecretAccessKey,
		"ROLE=arn:aws:iam::123456789012:role/etl", "MFA=arn:aws:iam::000000000000:mfa/me",
	}
	return w
}

const wrongConfig = `[profile etl]
role_arn = arn:aws:iam::123456789012:role/etl
source_profile = keys
[profile keys]
aws_access_key_id = AKIAIOSFODNN7EXAMPLE
aws_secret_access_key = hush
[profile lonely]
role_arn = arn:aws:iam::123456789012:role/etl
source_profile = nobody
[profile ring]
role_arn = arn:aws:iam::123456789012:role/ring
source_profile = bell
[profile bell]
role_arn = arn:aws:iam::123456789012:role/bell
source_profile = ring
[profile half]
aws_access_key_id = AKIAIOSFODNN7EXAMPLE
[profile moon]
role_arn = arn:aws:iam::123456789012:role/etl
credential_source = Moon
[profile ecs]
role_arn = arn:aws:iam::123456789012:role/etl
credential_source = EcsContainer
[profile empty]
region = eu-west-1
[profile mfa]
role_arn = arn:aws:iam::123456789012:role/etl
source_profile = keys
mfa_serial = arn:aws:iam::000000000000:mfa/me
[profile word]
role_arn = arn:aws:iam::123456789012:role/etl
source_profile = keys
duration_seconds = long
[profile dev]
sso_session = corp
sso_account_id = 222222222222
sso_role_name = Dev
[profile stranger]
sso_session = corporation
sso_account_id = 222222222222
sso_role_name = Dev
[profile half-sso]
sso_session = corp
[sso-session corp]
sso_region = us-east-1
sso_start_url = https://x.awsapps.com/start
[profile expired]
sso_account_id = 222222222222
sso_role_name = Dev
sso_region = us-east-1
sso_start_url = https://x.awsapps.com/start
[bare]
region = eu-west-1
[profile both]
role_arn = arn:aws:iam::123456789012:role/etl
source_profile = keys
credential_source = Environment
[profile orphan]
role_arn = arn:aws:iam::123456789012:role/etl
[profile dry]
role_arn = arn:aws:iam::123456789012:role/etl
source_profile = empty
[profile badarn]
role_arn = etl
source_profile = keys
[profile badname]
role_arn = arn:aws:iam::123456789012:role/etl
source_profile = keys
role_session_name = not me
[profile tokenless]
role_arn = arn:aws:iam::123456789012:role/etl
web_identity_token_file = nosuch
[profile roleless]
source_profile = keys
[profile fromenv]
role_arn = arn:aws:iam::123456789012:role/etl
credential_source = Environment
[profile spaced]
aws_access_key_id = AKIAIOSFODNN7EXAMPLE # mine
aws_secret_access_key = hush
[profile nowhere-region]
role_arn = arn:aws:iam::123456789012:role/etl
source_profile = keys
region = eu west
[profile roots]
role_arn = arn:aws:iam::123456789012:role/etl
source_profile = keys
ca_bundle = nosuch.pem
[profile gone]
credential_process = nosuchcommand 2>&-
`

func (w *wrongWorld) files(t *testing.T) {
	t.Helper()
	p := &portal{access: "sso-hush", ends: time.Now().Add(-time.Hour)}
	a, err := newAuthority()
	if err != nil {
		t.Fatal(err)
	}
	thing, err := a.sign("thing", time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	other, err := a.sign("other", time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	old, err := a.sign("old", time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	in := func(name string) string { return filepath.Join(w.dir, name) }
	errs := []error{
		p.login(w.dir, false), os.Remove(in(".aws/sso/cache/" + cacheName(ssoCorp))), a.write(in("thing"), thing), a.write(in("other"), other), a.write(in("old"), old),
	}
	for name, text := range map[string]string{
		".aws/config": wrongConfig, "empty": "", "words": "not a token hush\n", "not.json": "{hush",
		"expired.jwt":   sandbox.WebIdentityToken("hush", "sts.amazonaws.com", time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)),
		"encrypted.key": "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIhush=\n-----END ENCRYPTED PRIVATE KEY-----\n",
		"long.json":     `{"Version":"2012-10-17","Statement":"` + strings.Repeat("x", 2100) + `"}`,
		"broken.config": "[profile x\n",
		"bom.config":    "\ufeff[profile x]\nregion = eu-west-1\n",
		"twice.config":  "[profile x]\nregion = eu-west-1\nregion = eu-west-1\n",
		"utf16.config":  "\xff\xfe[\x00x\x00]\x00",

		".aws/credentials": "[profile misplaced]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = hush\n",
	} {
		errs = append(errs, os.WriteFile(in(name), []byte(text), 0o600))
	}
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// answer runs a command and returns what it said, paths and ports made the same everywhere.
func (w *wrongWorld) answer(t *testing.T, command string) string {
	t.Helper()
	said, took := w.run(t, command)
	if limit := patience(command); took > limit {
		if said, took = w.run(t, command); took > limit { // once more: the machine may have been busy
			t.Errorf("%s: took %v", command, took)
		}
	}
	lines := strings.Split(strings.TrimSuffix(said, "\n"), "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[0], "brs-exec: ") || strings.HasPrefix(lines[0], "brs-exec: hint") || !strings.HasPrefix(lines[1], "brs-exec: hint: ") {
		t.Errorf("%s: want one line and one hint, got\n%s", command, said)
	}
	if strings.Contains(said, "hush") {
		t.Errorf("%s: a secret is told:\n%s", command, said)
	}
	said = strings.ReplaceAll(said, w.dir, "~")
	for _, v := range varying {
		said = v.what.ReplaceAllString(said, v.by)
	}
	return said
}

// patience is two seconds more than the timeout that the command names, if any.
func patience(command string) time.Duration {
	if m := regexp.MustCompile(`--start-timeout (\d+s)`).FindStringSubmatch(command); m != nil {
		if d, err := time.ParseDuration(m[1]); err == nil {
			return d + 2*time.Second
		}
	}
	return 2 * time.Second
}

func (w *wrongWorld) run(t *testing.T, command string) (stderr string, took time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "setsid", "-w", "sh", "-c", command)
	cmd.Dir, cmd.Env = w.dir, w.env
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	start := time.Now()
	err := cmd.Run()
	took = time.Since(start)
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 125 {
		t.Errorf("%s: %v; want status 125", command, err)
	}
	if out.Len() > 0 {
		t.Errorf("%s: stdout %q", command, &out)
	}
	if _, err := os.Stat(filepath.Join(w.dir, "started")); err == nil {
		t.Errorf("%s: the command was started", command)
		os.Remove(filepath.Join(w.dir, "started"))
	}
	return errs.String(), took
}

// The golden file's commands all try to start the same child, which is how a start is noticed.
func TestWrongInputsStartSomething(t *testing.T) {
	golden, err := os.ReadFile(wrongInputsFile)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(golden)) {
		if strings.HasPrefix(line, "$ ") && !strings.HasSuffix(line, " touch started\n") && !strings.Contains(line, "# ") {
			t.Errorf("%q starts nothing", line)
		}
	}
}
