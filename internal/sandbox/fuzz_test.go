package sandbox

import (
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// FuzzServeHTTP: whatever arrives is answered with XML, and only what was signed with the key is
// let in.
func FuzzServeHTTP(f *testing.F) {
	s := New(Options{TTL: time.Minute})
	const whoami = "Action=GetCallerIdentity&Version=2011-06-15"
	scope := algorithm + " Credential=" + s.base.AccessKeyID + "/20260301/us-east-1/sts/aws4_request, SignedHeaders=host;x-amz-date, Signature=00"
	f.Add("", scope, "20260301T000500Z", "", whoami)
	f.Add("", scope, "20260301T000500Z", "x", "Action=AssumeRole&Version=2011-06-15&RoleArn=arn:aws:iam::111122223333:role/x&RoleSessionName=me&Tags.member.1.Key=a")
	f.Add("", "", "", "", "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn:aws:iam::111122223333:role/denied&RoleSessionName=me&WebIdentityToken="+WebIdentityToken("s", "a", time.Now().Add(time.Hour)))
	f.Add("%zz", "AWS4-HMAC-SHA256 ,,=,", "x", "y", "a=b;c")
	f.Fuzz(func(t *testing.T, query, auth, date, token, body string) {
		r := httptest.NewRequest("POST", "/", strings.NewReader(body))
		r.URL.RawQuery = query
		for name, value := range map[string]string{"Authorization": auth, "X-Amz-Date": date, "X-Amz-Security-Token": token} {
			if value != "" {
				r.Header.Set(name, value)
			}
		}
		rec := httptest.NewRecorder()
		s.ServeHTTP(rec, r)
		p, err := url.ParseQuery(query + "&" + body)
		if rec.Code == 200 && (err != nil || p.Get("Action") != "AssumeRoleWithWebIdentity") {
			t.Errorf("let in: %q %q %q %q", query, auth, token, body)
		}
		if got := rec.Body.String(); !strings.HasPrefix(got, "<") || !strings.HasSuffix(got, ">\n") {
			t.Errorf("got %q; want XML", got)
		}
		if strings.Contains(rec.Body.String(), s.base.SecretAccessKey) {
			t.Error("the answer shows the secret")
		}
	})
}

// FuzzOpen: no string that this STS didn't seal opens.
func FuzzOpen(f *testing.F) {
	s := New(Options{})
	sealed := s.seal(s.user())
	f.Add(sealed)
	f.Add(sealed[:len(sealed)-4])
	f.Add("")
	f.Fuzz(func(t *testing.T, token string) {
		if _, ok := s.open(token); ok != (token == sealed) {
			t.Errorf("open(%q) = %v", token, ok)
		}
	})
}
