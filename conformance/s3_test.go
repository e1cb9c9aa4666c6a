package conformance

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// s3 is as much of S3 as clients here need: objects, and GET /BUCKET/whoami whose body is
// the caller's ARN (whoami.tfstate: a Terraform state with that output). It takes and refuses a caller
// as the sandbox's STS does, with its codes. There is one bucket, of any name.
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
	who := s.w.sts.Caller(r, "s3", r.Header.Get("X-Amz-Content-Sha256"))
	c := call{"s3", who.CallerARN, who.AccessKeyID, who.Code, who.UserAgent}
	s.w.mu.Lock()
	s.w.calls = append(s.w.calls, c)
	s.w.mu.Unlock()
	if c.code != "" {
		s.refuse(rw, http.StatusForbidden, c.code)
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
