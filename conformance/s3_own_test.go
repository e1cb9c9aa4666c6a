package conformance

import (
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// The stand-in knows whom it answers, and refuses what AWS refuses.
func TestS3StandIn(t *testing.T) {
	w := newWorld(t, 2*time.Second, nil)
	good := w.assume(role, "conformance")
	other := w.assume(leak, "other")
	for _, tt := range []struct {
		name  string
		creds aws.Credentials
		want  string
	}{
		{"good", good, want},
		{"other secret", aws.Credentials{AccessKeyID: good.AccessKeyID, SecretAccessKey: other.SecretAccessKey, SessionToken: good.SessionToken}, "SignatureDoesNotMatch"},
		{"other token", aws.Credentials{AccessKeyID: good.AccessKeyID, SecretAccessKey: good.SecretAccessKey, SessionToken: other.SessionToken}, "InvalidClientTokenId"},
		{"unknown key", aws.Credentials{AccessKeyID: "ASIAUNKNOWN", SecretAccessKey: good.SecretAccessKey}, "InvalidClientTokenId"},
	} {
		if got := w.getWhoami(t, tt.creds); got != tt.want {
			t.Errorf("%s: got %q; want %q", tt.name, got, tt.want)
		}
	}
	time.Sleep(time.Until(good.Expires) + time.Millisecond)
	if got := w.getWhoami(t, good); got != "ExpiredToken" {
		t.Errorf("expired: got %q", got)
	}
}

// getWhoami is who S3 says the caller is, or the code of its refusal.
func (w *world) getWhoami(t *testing.T, c aws.Credentials) string {
	t.Helper()
	req, err := http.NewRequest("GET", w.s3URL+"/conformance/whoami", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	if err := signer.SignHTTP(context.Background(), c, req, "UNSIGNED-PAYLOAD", "s3", "us-east-1", time.Now()); err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if calls, _ := w.seen(); len(calls) == 1 && calls[0].code != "" {
		return calls[0].code
	}
	return string(body)
}
