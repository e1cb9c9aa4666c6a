package e2e

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// registry is an AWS that remembers whose keys it gave to whom: an STS, an Identity Center portal and a container
// endpoint. Each answer's Arn says the whole way by which the caller came to his keys. It checks the signature, and that
// a session's token is there and no other's: a client that drops or adds one is refused, as by AWS.
type registry struct {
	*httptest.Server
	mu     sync.Mutex        // guards the rest
	owners map[string]string // access key id: the way
	keys   map[string]string // the way: access key id
}

func newRegistry(t *testing.T) *registry {
	r := &registry{owners: map[string]string{}, keys: map[string]string{}}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

// longTerm is the access key id of a user's keys, session that of temporary ones. The secret is always "secret".
func (r *registry) longTerm(way string) string { return r.key("AKIA", way) }
func (r *registry) session(way string) string  { return r.key("ASIA", way) }

func (r *registry) key(kind, way string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if id, ok := r.keys[kind+way]; ok {
		return id
	}
	id := fmt.Sprintf("%s%016d", kind, len(r.keys))
	r.keys[kind+way], r.owners[id] = id, way
	return id
}

// token is the session token that belongs to an access key id; "" for a user's own keys.
func token(id string) string {
	if strings.HasPrefix(id, "ASIA") {
		return "token-of-" + id
	}
	return ""
}

// owner says whose these credentials are: false if AWS would refuse them.
func (r *registry) owner(id, secret, sessionToken string) (string, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	way, ok := r.owners[id]
	return way, ok && secret == "secret" && sessionToken == token(id)
}

func (r *registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	switch {
	case req.URL.Path == "/container":
		r.json(w, r.session("container"), "Token")
	case req.URL.Path == "/federation/credentials":
		q := req.URL.Query()
		id := r.session("sso " + q.Get("account_id") + "/" + q.Get("role_name") + " by " + req.Header.Get("X-Amz-Sso_bearer_token"))
		json.NewEncoder(w).Encode(map[string]any{"roleCredentials": map[string]any{"accessKeyId": id, "secretAccessKey": "secret",
			"sessionToken": token(id), "expiration": time.Now().Add(time.Hour).UnixMilli()}})
	default:
		r.sts(w, req)
	}
}

func (r *registry) json(w http.ResponseWriter, id, tokenName string) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{"Version": 1, "AccessKeyId": id, "SecretAccessKey": "secret", tokenName: token(id),
		"Expiration": time.Now().Add(time.Hour).UTC().Format(time.RFC3339)})
}

func (r *registry) sts(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	req.Body = io.NopCloser(bytes.NewReader(body))
	req.ParseForm()
	if strings.ContainsAny(req.Form.Get("RoleArn"), " \t\n") { // no role has such a name
		refuse(w, "ValidationError")
		return
	}
	if req.Form.Get("Action") == "AssumeRoleWithWebIdentity" {
		r.answer(w, req, "role "+req.Form.Get("RoleArn")+" by web identity "+req.Form.Get("WebIdentityToken"))
		return
	}
	_, id, _ := strings.Cut(req.Header.Get("Authorization"), "Credential=")
	id, _, _ = strings.Cut(id, "/")
	way, ok := r.owner(id, "secret", req.Header.Get("X-Amz-Security-Token"))
	if !ok {
		refuse(w, "InvalidClientTokenId")
		return
	}
	if !isSigned(req, body) {
		refuse(w, "SignatureDoesNotMatch")
		return
	}
	if req.Form.Get("Action") == "AssumeRole" {
		way = "role " + req.Form.Get("RoleArn") + " by " + way
	}
	r.answer(w, req, way)
}

// isSigned says whether a request to "/" is signed with our secret.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
func isSigned(req *http.Request, body []byte) bool {
	_, credential, _ := strings.Cut(req.Header.Get("Authorization"), "Credential=")
	credential, rest, _ := strings.Cut(credential, ", SignedHeaders=")
	names, signature, _ := strings.Cut(rest, ", Signature=")
	_, scope, _ := strings.Cut(credential, "/")
	hash := func(b []byte) string { sum := sha256.Sum256(b); return hex.EncodeToString(sum[:]) }
	canonical := req.Method + "\n/\n" + req.URL.RawQuery + "\n"
	for _, name := range strings.Split(names, ";") {
		value := req.Header.Get(name)
		switch name {
		case "host":
			value = req.Host
		case "content-length":
			value = fmt.Sprint(len(body))
		}
		canonical += name + ":" + strings.TrimSpace(value) + "\n"
	}
	canonical += "\n" + names + "\n" + hash(body)
	key := []byte("AWS4secret")
	for _, part := range append(strings.Split(scope, "/"),
		"AWS4-HMAC-SHA256\n"+req.Header.Get("X-Amz-Date")+"\n"+scope+"\n"+hash([]byte(canonical))) {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	return hex.EncodeToString(key) == signature
}

func (r *registry) answer(w http.ResponseWriter, req *http.Request, way string) {
	action, id := req.Form.Get("Action"), r.session(way)
	w.Header().Set("Content-Type", "text/xml")
	if action == "GetCallerIdentity" {
		fmt.Fprintf(w, `<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>%s</Arn><UserId>U</UserId><Account>000000000000</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`, way)
		return
	}
	fmt.Fprintf(w, `<%[1]sResponse><%[1]sResult><Credentials><AccessKeyId>%[2]s</AccessKeyId><SecretAccessKey>secret</SecretAccessKey><SessionToken>%[3]s</SessionToken><Expiration>%[4]s</Expiration></Credentials></%[1]sResult></%[1]sResponse>`,
		action, id, token(id), time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
}

func sha1Hex(name string) string {
	sum := sha1.Sum([]byte(name))
	return hex.EncodeToString(sum[:])
}

func refuse(w http.ResponseWriter, code string) {
	w.WriteHeader(http.StatusForbidden)
	fmt.Fprintf(w, `<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>refused</Message></Error></ErrorResponse>`, code)
}
