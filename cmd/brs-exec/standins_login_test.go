package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"flag"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/rogpeppe/go-internal/testscript"
)

const (
	loginSession = "arn:aws:iam::222222222222:user/me"
	loginClient  = "arn:aws:signin:::devtools/same-device"
)

// signIn is AWS Sign-In: keys that end, refresh tokens that are good once, and a proof of the key
// with each (DPoP).
type signIn struct {
	mu      sync.Mutex // guards the rest
	n       int
	refresh string
	key     *ecdsa.PrivateKey
	down    bool
	mute    bool
	begun   time.Time
}

// login [-ago DURATION] [-over] is AWS Sign-In, and what `aws login` left in HOME, with keys that
// have ended under -over. login -end ends it all; login -down, -mute (200 and nothing in it) and
// -up are an outage; login -steal is another program's renewal: it empties the file, and writes
// what it got 50 ms later.
func standLogin(s *stack, ts *testscript.TestScript, args []string) {
	f := flag.NewFlagSet("login", flag.ContinueOnError)
	over := f.Bool("over", false, "")
	ago := f.Duration("ago", 0, "")
	end, down, mute, up, steal := f.Bool("end", false, ""), f.Bool("down", false, ""), f.Bool("mute", false, ""), f.Bool("up", false, ""), f.Bool("steal", false, "")
	ts.Check(f.Parse(args))
	if s.signIn == nil {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		ts.Check(err)
		s.signIn = &signIn{key: key}
		ts.Setenv("AWS_ENDPOINT_URL_SIGNIN", s.serve(ts, func(w http.ResponseWriter, r *http.Request) { s.signIn.serve(s, w, r) }))
	}
	p := s.signIn
	p.mu.Lock()
	defer p.mu.Unlock()
	switch file := loginCacheFile(ts.Getenv("HOME")); {
	case *end:
		p.refresh = ""
	case *down || *mute || *up:
		p.down, p.mute = *down, *mute
	case *steal:
		data, err := os.ReadFile(file)
		ts.Check(err)
		var cache map[string]any
		ts.Check(json.Unmarshal(data, &cache))
		ts.Check(p.put(s, cache))
		ts.Check(os.Truncate(file, 0))
		time.Sleep(50 * time.Millisecond)
		ts.Check(writeJSON(file, cache))
	default:
		der, err := x509.MarshalECPrivateKey(p.key)
		ts.Check(err)
		p.begun = time.Now().Add(-*ago)
		claims := fmt.Sprintf(`{"iat":%d,"sub":%q}`, p.begun.Unix(), loginSession)
		cache := map[string]any{
			"tokenType": "aws_sigv4", "clientId": loginClient, "idToken": "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".x",
			"dpopKey": string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})), "ours": "stays",
		}
		ts.Check(p.put(s, cache))
		if *over {
			cache["accessToken"].(map[string]any)["expiresAt"] = time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)
		}
		ts.Check(os.MkdirAll(filepath.Dir(file), 0o700))
		ts.Check(writeJSON(file, cache))
	}
}

func loginCacheFile(home string) string {
	sum := sha256.Sum256([]byte(loginSession))
	return filepath.Join(home, ".aws", "login", "cache", hex.EncodeToString(sum[:])+".json")
}

func writeJSON(file string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(data, 10), 0o600)
}

// put issues keys and a refresh token into a cache, as the aws cli writes it.
func (p *signIn) put(s *stack, cache map[string]any) error {
	c, err := s.session()
	if err != nil {
		return err
	}
	p.issue()
	cache["refreshToken"] = p.refresh
	cache["accessToken"] = map[string]any{
		"accessKeyId": c.AccessKeyID, "secretAccessKey": c.SecretAccessKey, "sessionToken": c.SessionToken,
		"accountId": "222222222222", "expiresAt": c.Expires.UTC().Format(time.RFC3339), "nested": "stays",
	}
	return nil
}

func (p *signIn) issue() {
	p.n++
	p.refresh = fmt.Sprint("login-hush-", p.n)
}

// serve is CreateOAuth2Token:
// https://docs.aws.amazon.com/signin/latest/APIReference/API_CreateOAuth2Token.html
func (p *signIn) serve(s *stack, w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var in struct{ ClientID, RefreshToken, GrantType string }
	err := json.NewDecoder(io.LimitReader(r.Body, 1<<16)).Decode(&in)
	switch {
	case p.down:
		http.Error(w, `{}`, http.StatusServiceUnavailable)
	case p.mute:
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"tokenType":"aws_sigv4"}`)
	case r.Method != http.MethodPost || r.URL.Path != "/v1/token":
		refuse(w, http.StatusNotFound, `{}`)
	case err != nil || in.ClientID != loginClient || in.GrantType != "refresh_token" || !p.proven(r):
		w.Header().Set("x-amzn-ErrorType", "ValidationException")
		refuse(w, http.StatusBadRequest, `{"error":"INVALID_REQUEST","message":"Invalid request"}`)
	case in.RefreshToken == "" || in.RefreshToken != p.refresh:
		w.Header().Set("x-amzn-ErrorType", "AccessDeniedException")
		refuse(w, http.StatusForbidden, `{"error":"TOKEN_EXPIRED","message":"The refresh token has expired"}`)
	default:
		p.issue()
		s.answer(w, func(c aws.Credentials) any {
			return map[string]any{
				"accessToken": map[string]string{"accessKeyId": c.AccessKeyID, "secretAccessKey": c.SecretAccessKey, "sessionToken": c.SessionToken},
				"tokenType":   "aws_sigv4", "expiresIn": int(time.Until(c.Expires).Round(time.Second).Seconds()), "refreshToken": p.refresh,
			}
		})
	}
}

// proven checks the DPoP header (RFC 9449, section 4.3).
func (p *signIn) proven(r *http.Request) bool {
	parts := strings.Split(r.Header.Get("DPoP"), ".")
	if len(parts) != 3 {
		return false
	}
	var decoded [3][]byte
	for i, part := range parts {
		decoded[i], _ = base64.RawURLEncoding.DecodeString(part)
	}
	var head struct {
		Typ, Alg string
		Jwk      struct{ Kty, Crv, X, Y string }
	}
	var claims struct {
		Jti, Htm, Htu string
		Iat           int64
	}
	if json.Unmarshal(decoded[0], &head) != nil || json.Unmarshal(decoded[1], &claims) != nil || len(decoded[2]) != 64 {
		return false
	}
	public, err := p.key.PublicKey.Bytes()
	encode := base64.RawURLEncoding.EncodeToString
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	half := func(b []byte) *big.Int { return new(big.Int).SetBytes(b) }
	return err == nil && head.Typ == "dpop+jwt" && head.Alg == "ES256" && head.Jwk.Kty == "EC" && head.Jwk.Crv == "P-256" &&
		head.Jwk.X == encode(public[1:33]) && head.Jwk.Y == encode(public[33:]) &&
		claims.Jti != "" && claims.Htm == http.MethodPost && claims.Htu == "http://"+r.Host+r.URL.Path &&
		time.Since(time.Unix(claims.Iat, 0)).Abs() < time.Minute &&
		ecdsa.Verify(&p.key.PublicKey, digest[:], half(decoded[2][:32]), half(decoded[2][32:]))
}
