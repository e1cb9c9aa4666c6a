package conformance

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// s3 is as much of S3 as clients here need: objects, and GET /BUCKET/whoami whose body is
// the caller's ARN (whoami.tfstate: a Terraform state with that output). It takes a caller for who the sandbox says that the key's session is, refuses
// what has expired, and checks the signature with the SDK's signer. There is one bucket, of any name.
type s3 struct {
	w       *world
	mu      sync.Mutex
	objects map[string][]byte
}

func (s *s3) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	c, code := s.w.authenticate(r)
	c.service, c.code = "s3", code
	c.agent = r.UserAgent()
	s.w.mu.Lock()
	s.w.calls = append(s.w.calls, c)
	s.w.mu.Unlock()
	if code != "" {
		s.refuse(rw, http.StatusForbidden, code)
		return
	}
	s.answer(rw, r, c.arn, body)
}

func (s *s3) answer(rw http.ResponseWriter, r *http.Request, arn string, body []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := r.URL.Path
	object, ok := s.objects[key]
	switch {
	case strings.HasSuffix(key, "/whoami"):
		object, ok = []byte(arn), true
	case strings.HasSuffix(key, "/whoami.tfstate"):
		object, ok = []byte(`{"version":4,"terraform_version":"1.0.0","serial":1,"lineage":"0","resources":[],`+
			`"outputs":{"arn":{"value":"`+arn+`","type":"string"}}}`), true
	}
	switch {
	case r.Method == http.MethodGet && strings.Count(strings.Trim(key, "/"), "/") == 0: // the bucket: nothing to list
		rw.Header().Set("Content-Type", "application/xml")
		io.WriteString(rw, `<?xml version="1.0"?><ListBucketResult><KeyCount>0</KeyCount><IsTruncated>false</IsTruncated></ListBucketResult>`)
	case r.Method == http.MethodPut:
		s.objects[key] = body
		rw.Header().Set("ETag", `"0"`)
	case r.Method == http.MethodDelete:
		delete(s.objects, key)
		rw.WriteHeader(http.StatusNoContent)
	case !ok:
		s.refuse(rw, http.StatusNotFound, "NoSuchKey")
	default:
		rw.Header().Set("ETag", `"0"`)
		rw.Header().Set("Content-Type", "binary/octet-stream")
		http.ServeContent(rw, r, "", time.Now().Add(-time.Hour), strings.NewReader(string(object)))
	}
}

func (s *s3) refuse(rw http.ResponseWriter, status int, code string) {
	rw.Header().Set("Content-Type", "application/xml")
	rw.WriteHeader(status)
	fmt.Fprintf(rw, `<?xml version="1.0"?><Error><Code>%s</Code><Message>%s</Message></Error>`, code, code)
}

// authenticate returns who signed r, or the code of S3's refusal.
func (w *world) authenticate(r *http.Request) (call, string) {
	auth, ok := strings.CutPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ")
	if !ok {
		return call{}, "AccessDenied"
	}
	fields := make(map[string]string)
	for part := range strings.SplitSeq(auth, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		fields[name] = value
	}
	scope := strings.Split(fields["Credential"], "/")
	if len(scope) != 5 {
		return call{}, "AuthorizationHeaderMalformed"
	}
	c := call{key: scope[0]}
	w.mu.Lock()
	id, ok := w.issued[c.key]
	w.mu.Unlock()
	if base := w.sts.BaseCredentials(); c.key == base.AccessKeyID {
		id, ok = session{base, "the base user"}, true
	}
	c.arn = id.arn
	switch {
	case !ok:
		return c, "InvalidAccessKeyId"
	case r.Header.Get("X-Amz-Security-Token") != id.creds.SessionToken:
		return c, "InvalidToken"
	case id.creds.CanExpire && !time.Now().Before(id.creds.Expires):
		return c, "ExpiredToken"
	case signature(r, id.creds, scope[2], fields["SignedHeaders"]) != fields["Signature"]:
		return c, "SignatureDoesNotMatch"
	}
	return c, ""
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
