package sandbox

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// signRequest signs r at any time, which the SDK's client can't.
func signRequest(t *testing.T, r *http.Request, c aws.Credentials, region, service string, now time.Time, body string) {
	t.Helper()
	if err := v4.NewSigner().SignHTTP(t.Context(), c, r, hashOf([]byte(body)), service, region, now); err != nil {
		t.Fatal(err)
	}
}

// TestAWSExamples: the examples that AWS publishes with their signatures, so that signer and
// verifier can't agree on a mistake.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html and the general
// SigV4 page (ListUsers).
func TestAWSExamples(t *testing.T) {
	const secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
	for _, tt := range []struct {
		name, url, scope, date string
		headers                map[string]string
		signed, want           string
	}{
		{
			name: "ListUsers", url: "https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08",
			scope: "AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request", date: "20150830T123600Z",
			headers: map[string]string{"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"},
			signed:  "content-type;host;x-amz-date",
			want:    "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
		},
		{ // aws-sig-v4-test-suite, get-vanilla-query-order-key-case
			name: "query order", url: "https://example.amazonaws.com/?Param2=value2&Param1=value1",
			scope: "AKIDEXAMPLE/20150830/us-east-1/service/aws4_request", date: "20150830T123600Z",
			signed: "host;x-amz-date",
			want:   "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
		},
		{ // aws-sig-v4-test-suite, get-header-value-trim
			name: "header trim", url: "https://example.amazonaws.com/",
			scope: "AKIDEXAMPLE/20150830/us-east-1/service/aws4_request", date: "20150830T123600Z",
			headers: map[string]string{"My-Header1": " value1", "My-Header2": ` "a   b   c"`},
			signed:  "host;my-header1;my-header2;x-amz-date",
			want:    "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
		},
		{ // not AWS's, but by its text: headers that the SDK itself never signs
			name: "signed by others", url: "https://example.amazonaws.com/",
			scope: "AKIDEXAMPLE/20150830/us-east-1/service/aws4_request", date: "20150830T123600Z",
			headers: map[string]string{"Expect": "100-continue", "User-Agent": "aws-cli/2", "X-Amzn-Trace-Id": "Root=1"},
			signed:  "expect;host;user-agent;x-amz-date;x-amzn-trace-id",
			want:    "2bd6846d85356662bc8a2f046173faf80741065fb5fa41e1f26ff65431ea1ba6",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", tt.url, nil)
			r.Header.Set("X-Amz-Date", tt.date)
			for name, value := range tt.headers {
				r.Header.Set(name, value)
			}
			r.Header.Set("Authorization", algorithm+" Credential="+tt.scope+", SignedHeaders="+tt.signed+", Signature="+tt.want)
			g, err := parseAuthorization(r.Header)
			if err != nil {
				t.Fatal(err)
			}
			at, err := time.Parse(dateForm, tt.date)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := g.sign(r, secret, hashOf(nil), at); got != tt.want || err != nil {
				t.Errorf("got %s, %v; want %s", got, err, tt.want)
			}
		})
	}
}

func TestScope(t *testing.T) {
	w := newWorld(t, Options{})
	now := w.now
	const body = "Action=GetCallerIdentity&Version=2011-06-15"
	for _, tt := range []struct{ region, service, want string }{
		{"eu-west-1", "sts", "GetCallerIdentityResult"},
		{"eu-west-1", "s3", "Credential should be scoped to correct service: &#39;sts&#39;."},
		{"", "sts", "Credential should be scoped to a valid region."},
	} {
		r := httptest.NewRequest("POST", "/", strings.NewReader(body))
		signRequest(t, r, w.BaseCredentials(), tt.region, tt.service, now, body)
		rec := httptest.NewRecorder()
		w.ServeHTTP(rec, r)
		if !strings.Contains(rec.Body.String(), tt.want) {
			t.Errorf("%s/%s: got %s; want …%s…", tt.region, tt.service, rec.Body, tt.want)
		}
	}
}

// TestPathIsSigned: an endpoint URL may have a path, which the SDKs sign doubly encoded.
func TestPathIsSigned(t *testing.T) {
	w := newWorld(t, Options{})
	w.url += "/a b/c%2Fd/é"
	if _, err := w.baseClient().GetCallerIdentity(t.Context(), nil); err != nil {
		t.Error(err)
	}
}
