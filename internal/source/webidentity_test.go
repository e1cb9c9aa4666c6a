package source

import (
	"cmp"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"brs-exec/internal/sandbox"
)

const testPolicy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`

const meARN = "arn:aws:sts::123456789012:assumed-role/etl/me"

// A token lives for one refresh; the file, the command and GitHub each give a new one. The sandbox
// refuses old ones.
func TestWebIdentity(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	n := 0
	write := func(life time.Duration) {
		n++
		token := sandbox.WebIdentityToken(fmt.Sprint("subject", n), "sts.amazonaws.com", time.Now().Add(life))
		if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(time.Minute)
	show := "cat "
	if runtime.GOOS == "windows" {
		show = "type "
	}
	for _, c := range []struct {
		name, config string
		env          map[string]string
		o            Options
		describe     string
		until        bool
	}{
		{"variables", "", map[string]string{"AWS_WEB_IDENTITY_TOKEN_FILE": file, "AWS_ROLE_ARN": testRole}, Options{}, "AWS_WEB_IDENTITY_TOKEN_FILE → " + testRole, true},
		{"profile", "[profile w]\nrole_arn=" + testRole + "\nweb_identity_token_file=" + file + "\n", nil, Options{Profile: "w"}, "profile w → web_identity_token_file → " + testRole, true},
		{"file", "", nil, Options{WebIdentityTokenFile: file, RoleARNs: []string{testRole}}, "token of " + file + " → " + testRole, true},
		{"command", "", nil, Options{WebIdentityTokenCommand: show + file, RoleARNs: []string{testRole}}, "token command → " + testRole, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			sts := newSandbox(t, sandbox.Options{})
			writeConfig(t, c.config, "")
			for k, v := range c.env {
				t.Setenv(k, v)
			}
			c.o.RoleSessionName, c.o.Duration, c.o.Policy = "me", 30*time.Minute, testPolicy
			s := mustNew(t, c.o)
			defer s.Close()
			refreshThrice(t, s, meARN, func(int) { write(time.Minute) })
			last := sts.calls[len(sts.calls)-2]
			if last.Params.Get("DurationSeconds") != "1800" || last.Params.Get("Policy") != testPolicy || last.AccessKeyID != "" {
				t.Errorf("asked %v, signed by %q", last.Params, last.AccessKeyID)
			}
			if s.Describe() != c.describe {
				t.Errorf("Describe() = %q; want %q", s.Describe(), c.describe)
			}
			if known := !s.RenewableUntil().IsZero(); known != c.until {
				t.Errorf("RenewableUntil() = %v", s.RenewableUntil())
			}
			write(-time.Minute)
			_, err := s.Retrieve(t.Context())
			if err == nil || !strings.Contains(err.Error(), "Expired") || !strings.Contains(hintOf(err), "renew") || !Permanent(err) {
				t.Errorf("an expired token: %v; hint %q", err, hintOf(err))
			}
			write(time.Minute)
		})
	}
}

// More roles are assumed on top of the one that the token buys; flags belong to the last.
func TestWebIdentityChain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(sandbox.WebIdentityToken("s", "a", time.Now().Add(time.Hour))), 0o600); err != nil {
		t.Fatal(err)
	}
	sts := newSandbox(t, sandbox.Options{})
	hub := "arn:aws:iam::111111111111:role/hub"
	s := mustNew(t, Options{WebIdentityTokenFile: file, RoleARNs: []string{hub, testRole}, RoleSessionName: "me", ExternalID: "xx", SourceIdentity: "id"})
	if got := whoIs(t, s, mustRetrieve(t, s)); got != meARN {
		t.Errorf("became %s", got)
	}
	if c := sts.calls[1]; c.CallerARN != "arn:aws:sts::111111111111:assumed-role/hub/me" || c.Params.Get("ExternalId") != "xx" || c.Params.Get("SourceIdentity") != "id" {
		t.Errorf("second call %v by %s", c.Params, c.CallerARN)
	}
	_, err := newSource(t, Options{WebIdentityTokenFile: file, RoleARNs: []string{hub, testRole}, Duration: 2 * time.Hour})
	if err == nil || !strings.Contains(err.Error(), "one hour") {
		t.Errorf("two hours on a chain: %v", err)
	}
}

// github is GitHub's token service: it checks what GitHub checks.
func github(t *testing.T, audience string) *atomic.Int32 {
	t.Helper()
	n := new(atomic.Int32)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != "GET" || r.URL.Path != "/idtoken/x" || r.FormValue("api-version") != "2.0" || !strings.EqualFold(r.Header.Get("Authorization"), "bearer request-token") {
			http.Error(w, "hush", http.StatusUnauthorized)
			return
		}
		if got := r.FormValue("audience"); got != audience {
			t.Errorf("audience %q; want %q", got, audience)
		}
		n.Add(1)
		fmt.Fprintf(w, `{"count":1,"value":%q}`, sandbox.WebIdentityToken(fmt.Sprint("repo:o/r:ref:", n), audience, time.Now().Add(5*time.Minute)))
	}))
	t.Cleanup(srv.Close)
	t.Setenv("GITHUB_ACTIONS", "true")
	t.Setenv("ACTIONS_ID_TOKEN_REQUEST_URL", srv.URL+"/idtoken/x?api-version=2.0")
	t.Setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "request-token")
	return n
}

func TestGitHubActions(t *testing.T) {
	for _, audience := range []string{"", "https://github.com/o"} {
		t.Run(audience, func(t *testing.T) {
			newSandbox(t, sandbox.Options{})
			n := github(t, cmp.Or(audience, "sts.amazonaws.com"))
			s := mustNew(t, Options{WebIdentity: "github-actions", Audience: audience, RoleARNs: []string{testRole}, RoleSessionName: "me"})
			if n.Load() != 0 {
				t.Error("asked before Retrieve")
			}
			refreshThrice(t, s, meARN, nil)
			if n.Load() != 3 {
				t.Errorf("%d tokens; want one for each refresh", n.Load())
			}
			t.Setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "other")
			_, err := mustNew(t, Options{WebIdentity: "github-actions", RoleARNs: []string{testRole}}).Retrieve(t.Context())
			if err == nil || !strings.Contains(err.Error(), "HTTP 401") || !strings.Contains(hintOf(err), "id-token: write") || !Permanent(err) || strings.Contains(err.Error(), "hush") {
				t.Errorf("%v; hint %q", err, hintOf(err))
			}
		})
	}
}

func TestWrongWebIdentity(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	long := filepath.Join(t.TempDir(), "long")
	if err := os.WriteFile(long, []byte(strings.Repeat("x", maxToken+1)), 0o600); err != nil {
		t.Fatal(err)
	}
	roles := []string{testRole}
	for _, c := range []struct {
		name       string
		env        map[string]string
		o          Options
		text, hint string
	}{
		{name: "no role", o: Options{WebIdentityTokenFile: empty}, text: "needs a role to buy", hint: "--role-arn arn"},
		{name: "no role but the variable", env: map[string]string{"AWS_ROLE_ARN": testRole}, o: Options{WebIdentityTokenFile: empty}, text: "needs a role to buy", hint: `--role-arn "$AWS_ROLE_ARN"`},
		{name: "no file", o: Options{WebIdentityTokenFile: "/no/such", RoleARNs: roles}, text: "web identity token: open /no/such", hint: ""},
		{name: "empty", o: Options{WebIdentityTokenFile: empty, RoleARNs: roles}, text: empty + " is empty", hint: ""},
		{name: "long", o: Options{WebIdentityTokenFile: long, RoleARNs: roles}, text: "holds no token", hint: "20000"},
		{name: "provider", o: Options{WebIdentity: "gitlab", RoleARNs: roles}, text: `no provider "gitlab"`, hint: "--web-identity-token-command"},
		{name: "audience", o: Options{Audience: "x", RoleARNs: roles}, text: "--audience is for --web-identity", hint: "github-actions"},
		{name: "no job", o: Options{WebIdentity: "github-actions", RoleARNs: roles}, text: "no GitHub Actions job", hint: "--web-identity-token-command"},
		{name: "no permission", env: map[string]string{"GITHUB_ACTIONS": "true"}, o: Options{WebIdentity: "github-actions", RoleARNs: roles}, text: "may not ask for a token", hint: "id-token: write"},
		{name: "two", o: Options{WebIdentity: "github-actions", CredentialCommand: "x", RoleARNs: roles}, text: "--web-identity and --credential-command each say", hint: "drop one"},
		{name: "profile, too", o: Options{Profile: "x", CredentialCommand: "x"}, text: "--profile and --credential-command each say", hint: "drop one"},
		{name: "external id", env: map[string]string{"AWS_WEB_IDENTITY_TOKEN_FILE": long, "AWS_ROLE_ARN": testRole}, o: Options{ExternalID: "xx"}, text: "holds no token"},
	} {
		t.Run(c.name, func(t *testing.T) {
			writeConfig(t, "[profile x]\n", "")
			t.Setenv("GITHUB_ACTIONS", "")
			for k, v := range c.env {
				t.Setenv(k, v)
			}
			_, err := newSource(t, c.o)
			if err == nil || !strings.Contains(err.Error(), c.text) || !strings.Contains(hintOf(err), c.hint) || hintOf(err) == "" || !Permanent(err) {
				t.Errorf("%v; hint %q", err, hintOf(err))
			}
		})
	}
}

func TestRoleFlagsOfAToken(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("a.b.c"), 0o600); err != nil {
		t.Fatal(err)
	}
	for flag, o := range map[string]Options{
		"--external-id": {ExternalID: "xx"}, "--tags": {Tags: []string{"a=b"}}, "--source-identity": {SourceIdentity: "xx"},
		"--provided-contexts": {ProvidedContexts: []string{"ProviderArn=arn:aws:iam::aws:contextProvider/x,ContextAssertion=abcd"}},
		"--duration-seconds":  {Duration: 13 * time.Hour},
	} {
		o.WebIdentityTokenFile, o.RoleARNs = file, []string{testRole}
		if _, err := newSource(t, o); err == nil || !strings.HasPrefix(err.Error(), flag) {
			t.Errorf("%s: %v", flag, err)
		}
	}
}

func TestTokenEnd(t *testing.T) {
	end := time.Unix(2000000000, 0)
	for _, c := range []struct {
		token jwt
		want  time.Time
	}{
		{jwt(sandbox.WebIdentityToken("s", "a", end)), end},
		{"a.b.c", time.Time{}},
		{"opaque", time.Time{}},
		{"e30.eyJleHAiOjIwMDAwMDAwMDAsImt1YmVybmV0ZXMuaW8iOnsicG9kIjp7Im5hbWUiOiJwIn19fQ.x", time.Time{}},                            // {"exp":2000000000,"kubernetes.io":{"pod":{"name":"p"}}}: the kubelet writes another
		{"e30.eyJleHAiOjIwMDAwMDAwMDAsImt1YmVybmV0ZXMuaW8iOnsic2VydmljZWFjY291bnQiOnsibmFtZSI6InMifX19.x", time.Unix(2000000000, 0)}, // {"exp":2000000000,"kubernetes.io":{"serviceaccount":{"name":"s"}}}: kubectl create token, nobody writes another
		{"e30.eyJleHAiOjFlMzAwfQ.x", time.Time{}},
	} {
		if got := c.token.end(); !got.Equal(c.want) {
			t.Errorf("%s: %v; want %v", c.token, got, c.want)
		}
	}
}

func FuzzTokenEnd(f *testing.F) {
	f.Add("e30.eyJleHAiOjIwMDAwMDAwMDB9.x")
	f.Fuzz(func(_ *testing.T, s string) { jwt(s).end() })
}

// With AWS_ROLE_ARN a profile's token buys another role than the profile's: what is based on the profile would be
// somebody else.
func TestRoleOfTheVariable(t *testing.T) {
	newSandbox(t, sandbox.Options{})
	file := filepath.Join(t.TempDir(), "token")
	token := sandbox.WebIdentityToken("subject", "sts.amazonaws.com", time.Now().Add(time.Hour))
	if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	writeConfig(t, "[profile w]\nrole_arn="+testRole+"\nweb_identity_token_file="+file+"\n", "")
	t.Setenv("AWS_PROFILE", "w")
	for role, want := range map[string]string{testRole: "w", testRole + "2": ""} {
		t.Setenv("AWS_ROLE_ARN", role)
		if got := mustNew(t, Options{}).Profile(); got != want {
			t.Errorf("%s: profile %q; want %q", role, got, want)
		}
	}
}
