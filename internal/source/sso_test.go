package source

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials/ssocreds"

	"brs-exec/internal/sandbox"
)

const ssoConfig = `[profile s]
sso_session=c
sso_account_id=222222222222
sso_role_name=host
[sso-session c]
sso_region=us-east-1
sso_start_url=https://x.awsapps.com/start
[profile legacy]
sso_account_id=222222222222
sso_role_name=host
sso_region=us-east-1
sso_start_url=https://x.awsapps.com/start
[profile r]
source_profile=s
role_arn=` + testRole + `
role_session_name=me
`

// A portal is IAM Identity Center: access tokens and one-time refresh tokens, as the real one has
// them.
type portal struct {
	t       *testing.T
	mu      sync.Mutex
	access  string // the one that is good
	refresh string // the one that is good, once
	n       int
	life    int
	forbid  bool
	before  func() // called before a refresh is judged: another program's chance
	next    func() (id, secret, token string, end time.Time)
}

func newPortal(t *testing.T, sts *testSTS) *portal {
	t.Helper()
	next := sessions(t, sts)
	p := &portal{t: t, life: 3600, next: func() (string, string, string, time.Time) {
		c := next()
		return c.AccessKeyID, c.SecretAccessKey, c.SessionToken, c.Expires
	}}
	srv := httptest.NewServer(p)
	t.Cleanup(srv.Close)
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("USERPROFILE", home) // Windows
	t.Setenv("AWS_ENDPOINT_URL_SSO", srv.URL)
	t.Setenv("AWS_ENDPOINT_URL_SSO_OIDC", srv.URL)
	writeConfig(t, ssoConfig, "")
	return p
}

func (p *portal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if r.URL.Path == "/token" {
		p.token(w, r)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case r.URL.Path != "/federation/credentials" || r.FormValue("account_id") != "222222222222" || r.FormValue("role_name") != "host":
		w.WriteHeader(http.StatusNotFound)
	case r.Header.Get("x-amz-sso_bearer_token") != p.access:
		w.Header().Set("x-amzn-ErrorType", "UnauthorizedException")
		w.WriteHeader(http.StatusUnauthorized)
		io.WriteString(w, `{"message":"Session token not found or invalid"}`)
	case p.forbid:
		w.Header().Set("x-amzn-ErrorType", "ForbiddenException")
		w.WriteHeader(http.StatusForbidden)
		io.WriteString(w, `{"message":"No access"}`)
	default:
		id, secret, token, end := p.next()
		fmt.Fprintf(w, `{"roleCredentials":{"accessKeyId":%q,"secretAccessKey":%q,"sessionToken":%q,"expiration":%d}}`, id, secret, token, end.UnixMilli())
	}
}

func (p *portal) token(w http.ResponseWriter, r *http.Request) {
	var in struct{ ClientID, ClientSecret, RefreshToken, GrantType string }
	json.NewDecoder(r.Body).Decode(&in)
	if p.before != nil {
		p.before()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if in.RefreshToken != p.refresh || in.ClientID != "client" || in.GrantType != "refresh_token" {
		w.Header().Set("x-amzn-ErrorType", "InvalidGrantException")
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, `{"error":"invalid_grant","error_description":"Invalid refresh token provided"}`)
		return
	}
	p.issue()
	fmt.Fprintf(w, `{"accessToken":%q,"refreshToken":%q,"expiresIn":%d,"tokenType":"Bearer"}`, p.access, p.refresh, p.life)
}

func (p *portal) issue() {
	p.n++
	p.access, p.refresh = fmt.Sprint("access", p.n), fmt.Sprint("refresh", p.n)
}

// login is what `aws sso login` leaves, with a token that ends in life.
func (p *portal) login(life time.Duration, refreshable bool) {
	p.t.Helper()
	p.mu.Lock()
	p.issue()
	p.mu.Unlock()
	p.cache(life, refreshable)
}

func (p *portal) cache(life time.Duration, refreshable bool) {
	p.t.Helper()
	for _, key := range []string{"c", "https://x.awsapps.com/start"} {
		path, err := ssocreds.StandardCachedTokenFilepath(key)
		if err != nil {
			p.t.Fatal(err)
		}
		token := map[string]string{"accessToken": p.access, "expiresAt": time.Now().Add(life).UTC().Format(time.RFC3339), "startUrl": "https://x.awsapps.com/start", "region": "us-east-1"}
		if refreshable {
			token["refreshToken"], token["clientId"], token["clientSecret"] = p.refresh, "client", "hush"
			token["registrationExpiresAt"] = time.Now().Add(90 * 24 * time.Hour).UTC().Format(time.RFC3339)
		}
		data, _ := json.Marshal(token)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			p.t.Fatal(err)
		}
		if err := os.WriteFile(path+".new", data, 0o600); err != nil {
			p.t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			p.t.Fatal(err)
		}
	}
}

func TestSSO(t *testing.T) {
	p := newPortal(t, newSandbox(t, sandbox.Options{}))
	p.login(time.Hour, true)
	s := mustNew(t, Options{Profile: "s"})
	refreshThrice(t, s, hostARN, nil)
	if s.Describe() != "profile s → sso" {
		t.Errorf("Describe() = %q", s.Describe())
	}
	if d := time.Until(s.RenewableUntil()); d < 89*24*time.Hour {
		t.Errorf("RenewableUntil is in %v; want the end of the registration", d)
	}
	refreshThrice(t, mustNew(t, Options{Profile: "legacy"}), hostARN, nil)
	refreshThrice(t, mustNew(t, Options{Profile: "r"}), meARN, nil)

	// each refresh finds the token expired, and gets another
	p.life = 0
	p.cache(-time.Minute, true)
	n := p.n
	refreshThrice(t, s, hostARN, nil)
	if p.n != n+3 {
		t.Errorf("%d tokens; want 3", p.n-n)
	}
}

// Two wrappers find the token expired at once: the first one's refresh spends the refresh token,
// the second one's finds the result in the cache.
func TestSSOSharedCache(t *testing.T) {
	p := newPortal(t, newSandbox(t, sandbox.Options{}))
	p.login(-time.Minute, true)
	s := mustNew(t, Options{Profile: "s"})
	var once sync.Once
	p.before = func() {
		once.Do(func() { // another wrapper was faster; its file comes a moment later
			p.mu.Lock()
			p.issue()
			p.mu.Unlock()
			time.AfterFunc(50*time.Millisecond, func() { p.cache(time.Hour, true) })
		})
	}
	if got := whoIs(t, s, mustRetrieve(t, s)); got != hostARN {
		t.Errorf("became %s", got)
	}
}

func TestSSOLoginNeeded(t *testing.T) {
	p := newPortal(t, newSandbox(t, sandbox.Options{}))
	s := mustNew(t, Options{Profile: "s"})
	check := func(name, text, hint string) {
		t.Helper()
		start := time.Now()
		_, err := s.Retrieve(t.Context())
		if err == nil || !strings.HasPrefix(err.Error(), "SSO of profile s: "+text) || hintOf(err) != hint || !Permanent(err) || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v; hint %q", name, err, hintOf(err))
		}
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("%s: took %v", name, took)
		}
	}
	const again = "aws sso login --profile s"
	check("never", "nobody has logged in", again)
	p.login(-time.Minute, false)
	check("expired", "the login has expired", again)
	p.login(-time.Minute, true)
	p.refresh = "spent"
	check("refresh refused", "the login has expired or was ended (InvalidGrantException", again)
	p.login(time.Hour, true)
	p.access = "revoked"
	check("revoked", "the login has expired or was ended (UnauthorizedException: Session token not found or invalid)", again)
	p.login(time.Hour, true)
	p.forbid = true
	check("no such role", "no access to role host in account 222222222222", "aws sso list-account-roles shows yours; sso_account_id and sso_role_name of the profile choose")
	p.forbid = false
	mustRetrieve(t, s) // logged in again, mid-run

	t.Setenv("AWS_ENDPOINT_URL_SSO", "http://127.0.0.1:1")
	if _, err := mustNew(t, Options{Profile: "s"}).Retrieve(t.Context()); err == nil || Permanent(err) || !strings.Contains(err.Error(), refused) {
		t.Errorf("portal down: %v", err)
	}
}

// The host of SSO is that of its own region, not of --region.
func TestNoSuchHostOfSSO(t *testing.T) {
	p := newPortal(t, newSandbox(t, sandbox.Options{}))
	p.login(time.Hour, true)
	nowhere := &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", IsNotFound: true}}
	for profile, want := range map[string]string{"s": "sso_region = us-east-1 right", "legacy": "sso_region = us-east-1 right"} {
		s := mustNew(t, Options{Profile: profile})
		if got := hintOf(bottom(s).(*login).explain(sends(nowhere))); !strings.Contains(got, want) {
			t.Errorf("profile %s: hint %q; want %q", profile, got, want)
		}
	}
}
