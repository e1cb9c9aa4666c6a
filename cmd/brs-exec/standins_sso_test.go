package main

import (
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/rogpeppe/go-internal/testscript"
)

const (
	ssoStart  = "https://x.awsapps.com/start"
	ssoCorp   = "corp" // the sso-session
	ssoClient = "client"
)

// portal is IAM Identity Center: access tokens that end, refresh tokens that are good once.
type portal struct {
	mu      sync.Mutex // guards the rest
	n       int
	access  string
	ends    time.Time
	refresh string
	life    time.Duration
}

// sso [-life DURATION] [-refresh=false] is Identity Center, and what `aws sso login` leaves in
// HOME, for the sso-session corp and for profiles without one. sso -end ends all that was ever
// given.
func standSSO(s *stack, ts *testscript.TestScript, args []string) {
	f := flag.NewFlagSet("sso", flag.ContinueOnError)
	life := f.Duration("life", 2*time.Second, "")
	refreshable := f.Bool("refresh", true, "")
	end := f.Bool("end", false, "")
	ts.Check(f.Parse(args))
	if *end {
		s.portal.mu.Lock()
		s.portal.access, s.portal.refresh = "", ""
		s.portal.mu.Unlock()
		return
	}
	if s.portal == nil {
		s.portal = new(portal)
		where := s.serve(ts, func(w http.ResponseWriter, r *http.Request) { s.portal.serve(s, w, r) })
		ts.Setenv("AWS_ENDPOINT_URL_SSO", where)
		ts.Setenv("AWS_ENDPOINT_URL_SSO_OIDC", where)
	}
	p := s.portal
	p.mu.Lock()
	defer p.mu.Unlock()
	p.life = *life
	p.issue()
	ts.Check(p.login(ts.Getenv("HOME"), *refreshable))
}

func (p *portal) issue() {
	p.n++
	p.access, p.refresh, p.ends = fmt.Sprint("sso-hush-", p.n), fmt.Sprint("refresh-hush-", p.n), time.Now().Add(p.life)
}

// login writes the token cache as the aws cli does.
// https://docs.aws.amazon.com/sdkref/latest/guide/understanding-sso.html
func (p *portal) login(home string, refreshable bool) error {
	token := map[string]string{"accessToken": p.access, "expiresAt": p.ends.UTC().Format(time.RFC3339), "startUrl": ssoStart, "region": "us-east-1"}
	if refreshable {
		token["refreshToken"], token["clientId"], token["clientSecret"] = p.refresh, ssoClient, "client-hush"
		token["registrationExpiresAt"] = time.Now().Add(90 * 24 * time.Hour).UTC().Format(time.RFC3339)
	}
	data, err := json.Marshal(token)
	if err != nil {
		return err
	}
	dir := filepath.Join(home, ".aws", "sso", "cache")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, key := range []string{ssoCorp, ssoStart} {
		if err := os.WriteFile(filepath.Join(dir, cacheName(key)), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func cacheName(key string) string {
	sum := sha1.Sum([]byte(key))
	return hex.EncodeToString(sum[:]) + ".json"
}

func (p *portal) serve(s *stack, w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case r.Method == http.MethodPost && r.URL.Path == "/token":
		p.renew(w, r)
	case r.Method != http.MethodGet || r.URL.Path != "/federation/credentials":
		refuse(w, http.StatusNotFound, `{}`)
	case r.Header.Get("x-amz-sso_bearer_token") != p.access || time.Now().After(p.ends.Add(time.Second)):
		w.Header().Set("x-amzn-ErrorType", "UnauthorizedException")
		refuse(w, http.StatusUnauthorized, `{"message":"Session token not found or invalid"}`)
	case r.FormValue("account_id") != "222222222222" || r.FormValue("role_name") != "host":
		w.Header().Set("x-amzn-ErrorType", "ForbiddenException")
		refuse(w, http.StatusForbidden, `{"message":"No access"}`)
	default:
		s.answer(w, func(c aws.Credentials) any {
			return map[string]any{"roleCredentials": map[string]any{"accessKeyId": c.AccessKeyID, "secretAccessKey": c.SecretAccessKey, "sessionToken": c.SessionToken, "expiration": c.Expires.UnixMilli()}}
		})
	}
}

// renew is CreateToken:
// https://docs.aws.amazon.com/singlesignon/latest/OIDCAPIReference/API_CreateToken.html
func (p *portal) renew(w http.ResponseWriter, r *http.Request) {
	var in struct{ ClientID, ClientSecret, RefreshToken, GrantType string }
	if err := json.NewDecoder(io.LimitReader(r.Body, 1<<16)).Decode(&in); err != nil ||
		in.RefreshToken == "" || in.RefreshToken != p.refresh || in.ClientID != ssoClient || in.ClientSecret != "client-hush" || in.GrantType != "refresh_token" {
		w.Header().Set("x-amzn-ErrorType", "InvalidGrantException")
		refuse(w, http.StatusBadRequest, `{"error":"invalid_grant","error_description":"Invalid refresh token provided"}`)
		return
	}
	p.issue()
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{"accessToken": p.access, "refreshToken": p.refresh, "expiresIn": int(p.life.Seconds()), "tokenType": "Bearer"})
}
