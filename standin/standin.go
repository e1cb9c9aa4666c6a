// Package standin stands in for AWS in tests: the sandbox's STS, and who signed a request to another service.
//
// Sessions notes each session that its STS issues, so that an S3 of a test can take a caller for who he is. It checks
// with the SDK's signer, while the sandbox checks with code of its own. It is safe for concurrent use.
package standin

import (
	"bytes"
	"encoding/xml"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"brs-exec/internal/sandbox"
)

// Sessions is an STS over HTTP that knows later whom it gave what.
type Sessions struct {
	STS    *sandbox.STS
	mu     sync.Mutex
	issued map[string]Session // by access key id
}

// Session is a credential that was issued, and who it speaks for.
type Session struct {
	Creds aws.Credentials
	ARN   string
}

// New returns an STS that has issued nothing yet.
func New(o sandbox.Options) *Sessions {
	return &Sessions{STS: sandbox.New(o), issued: make(map[string]Session)}
}

// ServeHTTP is the sandbox's, noting what it issues.
func (s *Sessions) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	rec := httptest.NewRecorder()
	rec.Body = new(bytes.Buffer)
	s.STS.ServeHTTP(rec, r)
	var out struct {
		Result struct {
			AssumedRoleUser struct{ Arn string }
			Credentials     struct {
				AccessKeyId, SecretAccessKey, SessionToken string
				Expiration                                 time.Time
			}
		} `xml:",any"`
	}
	if c := &out.Result.Credentials; xml.Unmarshal(rec.Body.Bytes(), &out) == nil && c.AccessKeyId != "" {
		s.mu.Lock()
		s.issued[c.AccessKeyId] = Session{aws.Credentials{AccessKeyID: c.AccessKeyId, SecretAccessKey: c.SecretAccessKey,
			SessionToken: c.SessionToken, CanExpire: true, Expires: c.Expiration}, out.Result.AssumedRoleUser.Arn}
		s.mu.Unlock()
	}
	for name, values := range rec.Header() {
		rw.Header()[name] = values
	}
	rw.WriteHeader(rec.Code)
	rw.Write(rec.Body.Bytes())
}

// Session returns that of an access key; the base user's is one without an end.
func (s *Sessions) Session(key string) (Session, bool) {
	if base := s.STS.BaseCredentials(); key == base.AccessKeyID {
		return Session{base, "the base user"}, true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	session, ok := s.issued[key]
	return session, ok
}

// Caller returns the key and the ARN of who signed r, and the code of S3's refusal, "" for none.
func (s *Sessions) Caller(r *http.Request) (key, arn, code string) {
	auth, ok := strings.CutPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ")
	if !ok {
		return "", "", "AccessDenied"
	}
	fields := make(map[string]string)
	for part := range strings.SplitSeq(auth, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		fields[name] = value
	}
	scope := strings.Split(fields["Credential"], "/")
	if len(scope) != 5 {
		return "", "", "AuthorizationHeaderMalformed"
	}
	session, ok := s.Session(scope[0])
	return scope[0], session.ARN, refusal(r, session.Creds, ok, scope[2], fields)
}

// refusal judges a request by the credentials of its key.
func refusal(r *http.Request, c aws.Credentials, known bool, region string, fields map[string]string) string {
	switch {
	case !known:
		return "InvalidAccessKeyId"
	case r.Header.Get("X-Amz-Security-Token") != c.SessionToken:
		return "InvalidToken"
	case c.CanExpire && !time.Now().Before(c.Expires):
		return "ExpiredToken"
	case signature(r, c, region, fields["SignedHeaders"]) != fields["Signature"]:
		return "SignatureDoesNotMatch"
	}
	return ""
}

// signature is what creds give to the headers of r that were signed.
func signature(r *http.Request, creds aws.Credentials, region, signed string) string {
	again := &http.Request{Method: r.Method, Host: r.Host, Header: make(http.Header),
		URL: &url.URL{Scheme: "http", Host: r.Host, Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}}
	for name := range strings.SplitSeq(signed, ";") {
		switch name {
		case "host", "x-amz-date", "x-amz-security-token": // the signer's own
		case "content-length":
			again.ContentLength, _ = strconv.ParseInt(r.Header.Get("Content-Length"), 10, 64)
		default:
			again.Header[http.CanonicalHeaderKey(name)] = r.Header.Values(name)
		}
	}
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil {
		return ""
	}
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	if err := signer.SignHTTP(r.Context(), creds, again, r.Header.Get("X-Amz-Content-Sha256"), "s3", region, at); err != nil {
		return ""
	}
	_, sum, _ := strings.Cut(again.Header.Get("Authorization"), "Signature=")
	return sum
}
