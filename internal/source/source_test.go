package source

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/smithy-go"

	"brs-exec/need"
)

const testRole = "arn:aws:iam::123456789012:role/etl"

// TestMain gives every test an environment without anything of AWS or of the machine's proxies and
// roots.
func TestMain(m *testing.M) {
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		if up := strings.ToUpper(name); strings.HasPrefix(up, "AWS_") || strings.HasSuffix(up, "_PROXY") || strings.HasPrefix(up, "SSL_CERT_") || strings.HasPrefix(up, "ACTIONS_") {
			os.Unsetenv(name)
		}
	}
	dir, err := os.MkdirTemp("", "source")
	if err != nil {
		panic(err)
	}
	os.Setenv("HOME", dir)
	os.Setenv("USERPROFILE", dir) // Windows
	os.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	status := need.Run(m)
	os.RemoveAll(dir)
	os.Exit(status)
}

// A stub is an STS that notes what it is asked. answer, if set, may answer in its place.
type stub struct {
	*httptest.Server
	mu     sync.Mutex
	asked  []request
	answer func(w http.ResponseWriter, r request) bool
	life   time.Duration
}

type request struct {
	url.Values
	key, token, agent string
}

func newStub(t *testing.T) *stub {
	t.Helper()
	s := &stub{life: time.Hour}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	t.Setenv("AWS_ENDPOINT_URL_STS", s.URL)
	return s
}

func (s *stub) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	form, _ := url.ParseQuery(string(body))
	_, key, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	key, _, _ = strings.Cut(key, "/")
	req := request{form, key, r.Header.Get("X-Amz-Security-Token"), r.UserAgent()}
	s.mu.Lock()
	s.asked = append(s.asked, req)
	n := len(s.asked)
	s.mu.Unlock()
	w.Header().Set("X-Amzn-Requestid", "r")
	if s.answer != nil && s.answer(w, req) {
		return
	}
	action := req.Get("Action")
	fmt.Fprintf(w, `<%[1]sResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><%[1]sResult>`, action)
	if action == "GetCallerIdentity" {
		fmt.Fprintf(w, `<Arn>arn:aws:sts::123456789012:assumed-role/etl/x</Arn><UserId>U:x</UserId><Account>123456789012</Account>`)
	} else {
		fmt.Fprintf(w, `<AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/etl/x</Arn><AssumedRoleId>R:x</AssumedRoleId></AssumedRoleUser>
<Credentials><AccessKeyId>ASIA%d</AccessKeyId><SecretAccessKey>secret%d</SecretAccessKey><SessionToken>token%d</SessionToken><Expiration>%s</Expiration></Credentials>`,
			n, n, n, time.Now().Add(s.life).UTC().Format(time.RFC3339))
	}
	fmt.Fprintf(w, `</%[1]sResult></%[1]sResponse>`, action)
}

// refuse makes the stub answer every call with an error.
func (s *stub) refuse(status int, code, message string) {
	s.answer = func(w http.ResponseWriter, _ request) bool {
		stsError(w, status, code, message)
		return true
	}
}

func stsError(w http.ResponseWriter, status int, code, message string) {
	w.WriteHeader(status)
	fmt.Fprintf(w, `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>r</RequestId></ErrorResponse>`, code, message)
}

func (s *stub) calls() []request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

func (s *stub) last(t *testing.T) request {
	t.Helper()
	calls := s.calls()
	if len(calls) == 0 {
		t.Fatal("STS was not asked")
	}
	return calls[len(calls)-1]
}

var testKeys = credentials.NewStaticCredentialsProvider("AKIATEST", "base-secret", "")

// useTestKeys puts testKeys into the environment.
func useTestKeys(t *testing.T) {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", testKeys.Value.AccessKeyID)
	t.Setenv("AWS_SECRET_ACCESS_KEY", testKeys.Value.SecretAccessKey)
}

// flags writes options as the command line does.
func flags(o Option) (flag, given string) { return "--" + string(o), "--" + string(o) }

// newSource is New in this process's environment. change may replace what a user can't.
func newSource(t *testing.T, o Options, change ...func(*builder)) (*Source, error) {
	t.Helper()
	o.Env, o.Names = os.Environ(), flags
	b := newBuilder(&o)
	for _, c := range change {
		c(b)
	}
	return b.build(t.Context())
}

func mustNew(t *testing.T, o Options, change ...func(*builder)) *Source {
	t.Helper()
	s, err := newSource(t, o, change...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustRetrieve(t *testing.T, p aws.CredentialsProvider) aws.Credentials {
	t.Helper()
	c, err := p.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func hintOf(err error) string {
	var h interface{ Hints() []string }
	if errors.As(err, &h) && len(h.Hints()) > 0 {
		return h.Hints()[0]
	}
	return ""
}

// writeConfig makes ~/.aws/config and ~/.aws/credentials for one test.
func writeConfig(t *testing.T, config, creds string) (configFile string) {
	t.Helper()
	dir := t.TempDir()
	configFile = filepath.Join(dir, "config")
	for file, content := range map[string]string{configFile: config, filepath.Join(dir, "credentials"): creds} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("AWS_CONFIG_FILE", configFile)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(dir, "credentials"))
	return configFile
}

func TestEveryParameterReachesSTS(t *testing.T) {
	useTestKeys(t)
	sts := newStub(t)
	s := mustNew(t, Options{
		RoleARNs: []string{testRole}, RoleSessionName: "name", Duration: 2 * time.Hour, ExternalID: "ext/1",
		Policy: ` {"Version":"2012-10-17"} `, PolicyARNs: []string{"arn:aws:iam::aws:policy/ReadOnlyAccess", "arn=arn:aws:iam::aws:policy/job-function/X"},
		Tags: []string{"Team=a,b;c", "Key=Cost Center,Value=x=y,z", "empty="}, TransitiveTagKeys: []string{"Team"}, SourceIdentity: "alice",
		ProvidedContexts: []string{"ProviderArn=arn:aws:iam::aws:contextProvider/IdentityCenter,ContextAssertion=abcd"}, Version: "1.2",
	})
	c := mustRetrieve(t, s)
	r := sts.last(t)
	for name, want := range map[string]string{
		"Action": "AssumeRole", "RoleArn": testRole, "RoleSessionName": "name", "DurationSeconds": "7200", "ExternalId": "ext/1",
		"Policy": `{"Version":"2012-10-17"}`, "PolicyArns.member.2.arn": "arn:aws:iam::aws:policy/job-function/X",
		"Tags.member.1.Key": "Team", "Tags.member.1.Value": "a,b;c", "Tags.member.2.Key": "Cost Center", "Tags.member.2.Value": "x=y,z",
		"Tags.member.3.Key": "empty", "Tags.member.3.Value": "", "TransitiveTagKeys.member.1": "Team", "SourceIdentity": "alice",
		"ProvidedContexts.member.1.ProviderArn": "arn:aws:iam::aws:contextProvider/IdentityCenter", "ProvidedContexts.member.1.ContextAssertion": "abcd",
	} {
		if got := r.Get(name); got != want {
			t.Errorf("%s = %q; want %q", name, got, want)
		}
	}
	if r.key != "AKIATEST" || r.token != "" {
		t.Errorf("signed by %q with token %q; want the base keys", r.key, r.token)
	}
	if !strings.Contains(r.agent, "brs-exec/1.2") {
		t.Errorf("user agent %q; want brs-exec/1.2 in it", r.agent)
	}
	if c.AccessKeyID != "ASIA1" || c.SessionToken != "token1" || c.AccountID != "123456789012" || time.Until(c.Expires) < 50*time.Minute || !c.CanExpire {
		t.Errorf("got %s, account %s, expires %v", c.AccessKeyID, c.AccountID, c.Expires)
	}
}

func TestDefaults(t *testing.T) {
	useTestKeys(t)
	sts := newStub(t)
	t.Setenv("USER", "a user/with spaces")
	mustRetrieve(t, mustNew(t, Options{RoleARNs: []string{testRole}}))
	r := sts.last(t)
	if got := r.Get("RoleSessionName"); !strings.HasPrefix(got, "brs-exec-a-user-with-spaces-") || len(got) > 64 {
		t.Errorf("session name %q", got)
	}
	if got := r.Get("DurationSeconds"); got != "3600" {
		t.Errorf("DurationSeconds %s; want 3600", got)
	}
	for _, c := range []struct{ variable, job, ends string }{
		{"CI_JOB_ID", "81", "-81"},
		{"GITHUB_RUN_ID", "1658821493", "-1658821493"},
		{"AWS_BATCH_JOB_ID", "1a2b3c4d-0000-1111-2222-333344445555:12", "-1a2b3c4d-0000-1111-2222-333344445555-12"},
		{"SLURM_JOB_ID", "4711", "-4711"},
		{"SLURM_JOB_ID", strings.Repeat("9", 80), "brs-exec-" + strings.Repeat("9", 55)},
	} {
		t.Setenv(c.variable, c.job) // and those above, which it outranks
		mustRetrieve(t, mustNew(t, Options{RoleARNs: []string{testRole}}))
		if got := sts.last(t).Get("RoleSessionName"); !strings.HasPrefix(got, "brs-exec-") || !strings.HasSuffix(got, c.ends) || len(got) > 64 {
			t.Errorf("%s: session name %q", c.variable, got)
		}
	}
	t.Setenv("AWS_ROLE_SESSION_NAME", "from-env")
	mustRetrieve(t, mustNew(t, Options{RoleARNs: []string{testRole}}))
	if got := sts.last(t).Get("RoleSessionName"); got != "from-env" {
		t.Errorf("session name %q; want the variable's", got)
	}
}

// Flags belong to the last role; name and identity go everywhere; a transitive tag is given once,
// at the first hop: AWS hands it on, and refuses it from a session that has it already.
func TestChain(t *testing.T) {
	useTestKeys(t)
	sts := newStub(t)
	hub := "arn:aws:iam::111111111111:role/hub"
	s := mustNew(t, Options{
		RoleARNs: []string{hub, testRole}, RoleSessionName: "nn", ExternalID: "xx", SourceIdentity: "id",
		Tags: []string{"Team=x", "Job=y"}, TransitiveTagKeys: []string{"team"}, Policy: `{}`,
	})
	mustRetrieve(t, s)
	calls := sts.calls()
	if len(calls) != 2 {
		t.Fatalf("%d calls; want 2", len(calls))
	}
	for i, want := range []map[string]string{
		{"RoleArn": hub, "RoleSessionName": "nn", "SourceIdentity": "id", "ExternalId": "", "Policy": "", "Tags.member.1.Key": "Team", "Tags.member.2.Key": "", "TransitiveTagKeys.member.1": "team"},
		{"RoleArn": testRole, "RoleSessionName": "nn", "SourceIdentity": "id", "ExternalId": "xx", "Policy": "{}", "Tags.member.1.Key": "Job", "Tags.member.2.Key": "", "TransitiveTagKeys.member.1": ""},
	} {
		for name, value := range want {
			if got := calls[i].Get(name); got != value {
				t.Errorf("hop %d: %s = %q; want %q", i+1, name, got, value)
			}
		}
	}
	if calls[0].key != "AKIATEST" || calls[1].key != "ASIA1" || calls[1].token != "token1" {
		t.Errorf("signed by %s, %s; want the base keys, then the first role's", calls[0].key, calls[1].key)
	}
	if got, want := s.Describe(), "environment variables → "+hub+" → "+testRole; got != want {
		t.Errorf("Describe() = %q; want %q", got, want)
	}
}

func TestProfileRole(t *testing.T) {
	sts := newStub(t)
	writeConfig(t, `
[profile etl]
role_arn = arn:aws:iam::222222222222:role/own
source_profile = base
external_id = px
duration_seconds = 1800
role_session_name = named
region = ap-southeast-2
[profile base]
region = eu-west-3
`, "[base]\naws_access_key_id = AKIABASE\naws_secret_access_key = s\n")
	s := mustNew(t, Options{Profile: "etl"})
	mustRetrieve(t, s)
	r := sts.last(t)
	for name, want := range map[string]string{"RoleArn": "arn:aws:iam::222222222222:role/own", "ExternalId": "px", "DurationSeconds": "1800", "RoleSessionName": "named"} {
		if got := r.Get(name); got != want {
			t.Errorf("%s = %q; want %q", name, got, want)
		}
	}
	if r.key != "AKIABASE" || s.Region() != "ap-southeast-2" {
		t.Errorf("key %s, region %s", r.key, s.Region())
	}
	if got, want := s.Describe(), "profile etl → profile base → arn:aws:iam::222222222222:role/own"; got != want {
		t.Errorf("Describe() = %q; want %q", got, want)
	}

	mustRetrieve(t, mustNew(t, Options{Profile: "etl", RoleARNs: []string{testRole}, ExternalID: "fx"}))
	own, top := sts.calls()[1], sts.calls()[2]
	if own.Get("ExternalId") != "px" || own.Get("RoleSessionName") != "named" || top.Get("ExternalId") != "fx" || top.Get("RoleArn") != testRole || top.key != "ASIA2" {
		t.Errorf("profile's hop %v; top hop %v by %s", own.Values, top.Values, top.key)
	}

	mustRetrieve(t, mustNew(t, Options{Profile: "etl", ExternalID: "flag", RoleSessionName: "mine", Duration: time.Hour}))
	if r := sts.last(t); r.Get("ExternalId") != "flag" || r.Get("RoleSessionName") != "mine" || r.Get("DurationSeconds") != "3600" {
		t.Errorf("flags don't beat the profile: %v", r.Values)
	}
}

func TestLongTermKeysBecomeASession(t *testing.T) {
	useTestKeys(t)
	sts := newStub(t)
	var log bytes.Buffer
	s := mustNew(t, Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	for range 2 {
		if c := mustRetrieve(t, s); c.SessionToken == "" || !c.CanExpire {
			t.Fatalf("no session: %s", c.AccessKeyID)
		}
	}
	if r := sts.last(t); r.Get("Action") != "GetSessionToken" || r.Get("DurationSeconds") != "3600" || r.key != "AKIATEST" {
		t.Errorf("asked %v by %s", r.Values, r.key)
	}
	if n := strings.Count(log.String(), "level=WARN"); n != 1 {
		t.Errorf("%d warnings; want one:\n%s", n, log.String())
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "ASIAX")
	t.Setenv("AWS_SESSION_TOKEN", "t")
	if c := mustRetrieve(t, mustNew(t, Options{})); c.AccessKeyID != "ASIAX" || len(sts.calls()) != 2 {
		t.Errorf("temporary credentials were not served as they are: %s", c.AccessKeyID)
	}
}

func TestSTSRegion(t *testing.T) {
	useTestKeys(t)
	for _, c := range []struct{ role, option, env, sts, child string }{
		{testRole, "", "", "us-east-1", ""},
		{"arn:aws-cn:iam::123456789012:role/x", "", "", "cn-north-1", ""},
		{"arn:aws-us-gov:iam::123456789012:role/x", "", "", "us-gov-west-1", ""},
		{"arn:aws-eusc:iam::123456789012:role/x", "", "", "eusc-de-east-1", ""},
		{testRole, "", "eu-west-1", "eu-west-1", "eu-west-1"},
		{testRole, "sa-east-1", "eu-west-1", "sa-east-1", "sa-east-1"},
	} {
		t.Run(c.role+c.option+c.env, func(t *testing.T) {
			t.Setenv("AWS_REGION", c.env)
			s := mustNew(t, Options{RoleARNs: []string{c.role}, Region: c.option})
			if got := s.sts.Region; got != c.sts || s.Region() != c.child {
				t.Errorf("STS in %q, child's %q; want %q, %q", got, s.Region(), c.sts, c.child)
			}
		})
	}
}

func TestCallerIdentity(t *testing.T) {
	useTestKeys(t)
	sts := newStub(t)
	s := mustNew(t, Options{RoleARNs: []string{testRole}})
	account, arn, id, err := s.CallerIdentity(t.Context(), aws.Credentials{AccessKeyID: "ASIAME", SecretAccessKey: "s", SessionToken: "t"})
	if err != nil || account != "123456789012" || !strings.HasSuffix(arn, "/etl/x") || id != "U:x" {
		t.Errorf("got %q, %q, %q, %v", account, arn, id, err)
	}
	if r := sts.last(t); r.key != "ASIAME" || r.token != "t" {
		t.Errorf("asked as %s", r.key)
	}
}

// A deadline reaches the network, and what comes back may pass.
func TestDeadline(t *testing.T) {
	useTestKeys(t)
	sts := newStub(t)
	release := make(chan bool)
	sts.answer = func(http.ResponseWriter, request) bool { <-release; return false }
	defer close(release)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := mustNew(t, Options{RoleARNs: []string{testRole}}).Retrieve(ctx)
	if !errors.Is(err, context.DeadlineExceeded) || Permanent(err) || err.Error() != "assume role "+testRole+": no answer in time" {
		t.Errorf("got %v, permanent %v", err, Permanent(err))
	}
}

// One layer retries, and it is not this one.
func TestNoRetry(t *testing.T) {
	useTestKeys(t)
	sts := newStub(t)
	sts.refuse(503, "ServiceUnavailable", "later")
	_, err := mustNew(t, Options{RoleARNs: []string{testRole}}).Retrieve(t.Context())
	if len(sts.calls()) != 1 || Permanent(err) || Throttled(err) {
		t.Errorf("%d calls, %v, permanent %v, throttled %v; want one call, passing", len(sts.calls()), err, Permanent(err), Throttled(err))
	}
}

// A wrong local clock heals within the call: the second request is signed by STS's.
func TestClock(t *testing.T) {
	useTestKeys(t)
	sts := newStub(t)
	ahead := time.Hour
	sts.answer = func(w http.ResponseWriter, r request) bool {
		w.Header().Set("Date", time.Now().Add(ahead).UTC().Format(http.TimeFormat))
		if len(sts.calls()) > 1 {
			return false
		}
		stsError(w, 403, "SignatureDoesNotMatch", "Signature expired: 20260101T000000Z is now earlier than 20260101T010000Z")
		return true
	}
	s := mustNew(t, Options{RoleARNs: []string{testRole}})
	mustRetrieve(t, s)
	if n := len(sts.calls()); n != 2 {
		t.Errorf("%d calls; want the one and its correction", n)
	}
	if got := s.Skew(); (got + ahead).Abs() > 2*time.Second {
		t.Errorf("Skew() = %v; want about %v", got, -ahead)
	}
}

func TestErrors(t *testing.T) {
	useTestKeys(t)
	for _, c := range []struct {
		name, code, message string
		status              int
		text, hint          string
		permanent, throttle bool
	}{
		{"denied", "AccessDenied", "User: arn:aws:iam::1:user/u is not authorized to perform: sts:AssumeRole on resource: r", 403,
			"AccessDenied: User: arn:aws:iam::1:user/u is not", "trust policy", true, false},
		{"caller unknown", "AccessDenied", "Access denied", 403, "(asked by environment variables)", "trust policy", true, false},
		{"tags", "AccessDenied", "User: arn:x is not authorized to perform: sts:TagSession on resource: r", 403, "sts:TagSession", "must allow sts:TagSession", true, false},
		{"no such key", "InvalidClientTokenId", "The security token included in the request is invalid.", 403, "InvalidClientTokenId", "deleted", true, false},
		{"expired", "ExpiredToken", "The security token included in the request is expired", 403, "ExpiredToken", "is refreshed by itself", true, false},
		{"secret", "SignatureDoesNotMatch", "The request signature we calculated does not match.&#10;&#10;The canonical string is 'x-amz-security-token:HUSH'", 403, "does not match.", "does not belong", true, false},
		{"region", "RegionDisabledException", "STS is not activated in this region", 403, "not activated", "--region us-east-1", true, false},
		{"duration", "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.", 400, "MaxSessionDuration", "--duration-seconds 3600", true, false},
		{"chaining", "ValidationError", "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.", 400, "role chaining", "--duration-seconds 3600", true, false},
		{"throttled", "Throttling", "Rate exceeded", 400, "Throttling: Rate exceeded", "", false, true},
		{"429", "Slow", "", 429, "Slow: ", "", false, true},
		{"500", "InternalFailure", "oops", 500, "InternalFailure: oops", "", false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			sts := newStub(t)
			sts.refuse(c.status, c.code, c.message)
			_, err := mustNew(t, Options{RoleARNs: []string{testRole}}).Retrieve(t.Context())
			if err == nil || !strings.HasPrefix(err.Error(), "assume role "+testRole+": "+c.code+": ") || !strings.Contains(err.Error(), c.text) {
				t.Errorf("got %v; want %q in it", err, c.text)
			}
			if strings.ContainsAny(err.Error(), "\n") || strings.Contains(err.Error(), "HUSH") || strings.Contains(err.Error(), "operation error") {
				t.Errorf("noise or a secret: %v", err)
			}
			if hint := hintOf(err); !strings.Contains(hint, c.hint) || c.hint == "" && hint != "" {
				t.Errorf("hint %q; want %q in it", hint, c.hint)
			}
			if Permanent(err) != c.permanent || Throttled(err) != c.throttle {
				t.Errorf("permanent %v, throttled %v; want %v, %v", Permanent(err), Throttled(err), c.permanent, c.throttle)
			}
			var api smithy.APIError
			if !errors.As(err, &api) || api.ErrorCode() != c.code {
				t.Errorf("errors.As finds no APIError %s", c.code)
			}
		})
	}
}

func TestEndpointURLThatCaughtSTS(t *testing.T) {
	useTestKeys(t)
	sts := newStub(t)
	os.Unsetenv("AWS_ENDPOINT_URL_STS") // t.Setenv of newStub restores it
	t.Setenv("AWS_ENDPOINT_URL", sts.URL)
	sts.refuse(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")
	_, err := mustNew(t, Options{RoleARNs: []string{testRole}}).Retrieve(t.Context())
	if hint := hintOf(err); !strings.Contains(hint, "AWS_ENDPOINT_URL sends STS to "+sts.URL) {
		t.Errorf("%v; hint %q", err, hint)
	}
}

// refused is how the system says that nobody listens.
var refused = func() string {
	_, err := net.Dial("tcp", "127.0.0.1:1")
	errno, _ := errors.AsType[syscall.Errno](err)
	return errno.Error()
}()

func TestNetworkErrors(t *testing.T) {
	useTestKeys(t)
	dead := httptest.NewServer(http.NotFoundHandler())
	dead.Close()
	html := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>log in") }))
	defer html.Close()
	untrusted := httptest.NewUnstartedServer(http.NotFoundHandler())
	untrusted.Config.ErrorLog = log.New(io.Discard, "", 0)
	untrusted.StartTLS()
	defer untrusted.Close()
	for _, c := range []struct {
		name, url, text, hint string
		permanent             bool
	}{
		{"refused", dead.URL, refused, "", false},
		{"portal", html.URL, "an answer that isn't AWS's", "", false},
		{"certificate", untrusted.URL, "certificate", "--ca-bundle", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := mustNew(t, Options{RoleARNs: []string{testRole}, STSEndpointURL: c.url}).Retrieve(t.Context())
			if err == nil || !strings.Contains(err.Error(), c.text) || !strings.Contains(hintOf(err), c.hint) || Permanent(err) != c.permanent {
				t.Errorf("%v; hint %q, permanent %v", err, hintOf(err), Permanent(err))
			}
		})
	}
}

// TLS is not touched where nothing uses it; a broken bundle is an error where something does.
func TestTLSIsLazy(t *testing.T) {
	useTestKeys(t)
	bundle := filepath.Join(t.TempDir(), "bundle.pem")
	if err := os.WriteFile(bundle, []byte("no PEM"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_CA_BUNDLE", bundle)
	newStub(t)
	o := Options{RoleARNs: []string{testRole}}
	mustRetrieve(t, mustNew(t, o))
	o.STSEndpointURL = "https://127.0.0.1:1"
	_, err := mustNew(t, o).Retrieve(t.Context())
	if !Permanent(err) || !strings.Contains(err.Error(), bundle+": no PEM certificate in it") {
		t.Errorf("got %v", err)
	}
}

// The variable, the flag and the profile each name the roots that a server is verified against.
func TestCABundle(t *testing.T) {
	useTestKeys(t)
	stub := &stub{life: time.Hour}
	srv := httptest.NewTLSServer(http.HandlerFunc(stub.serve))
	defer srv.Close()
	bundle := filepath.Join(t.TempDir(), "bundle.pem")
	if err := os.WriteFile(bundle, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	o := Options{RoleARNs: []string{testRole}, STSEndpointURL: srv.URL}
	t.Run("flag", func(t *testing.T) {
		o := o
		o.CABundle = bundle
		mustRetrieve(t, mustNew(t, o))
	})
	t.Run("variable", func(t *testing.T) {
		t.Setenv("AWS_CA_BUNDLE", bundle)
		mustRetrieve(t, mustNew(t, o))
	})
	t.Run("profile", func(t *testing.T) {
		writeConfig(t, "[default]\nca_bundle = "+bundle+"\n", "")
		mustRetrieve(t, mustNew(t, o))
	})
}

func TestAsked(t *testing.T) {
	useTestKeys(t)
	newStub(t)
	for _, c := range []struct {
		name string
		o    Options
		want time.Duration
	}{
		{"role", Options{RoleARNs: []string{testRole}}, time.Hour},
		{"role for two hours", Options{RoleARNs: []string{testRole}, Duration: 2 * time.Hour}, 2 * time.Hour},
		{"keys' session", Options{}, time.Hour},
		{"keys' session for ten hours", Options{Duration: 10 * time.Hour}, 10 * time.Hour},
		{"keys as they are", Options{NoSession: true}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := mustNew(t, c.o)
			if got := s.Asked(mustRetrieve(t, s)); got != c.want {
				t.Errorf("got %v; want %v", got, c.want)
			}
		})
	}
}
