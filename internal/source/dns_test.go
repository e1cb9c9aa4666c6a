package source

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// A host that was never there is a typing error; one that was there is a VPN that is down.
func TestNoSuchHost(t *testing.T) {
	nowhere := sends(&net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "sts.us-east-99.amazonaws.com", IsNotFound: true}})
	down := false
	s := mustNew(t, Options{CredentialCommand: "true"})
	s.chain.provider = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		if down {
			return aws.Credentials{}, s.explain(call{op: "outer"}, fmt.Errorf("x: %w", s.explain(call{op: "assume role r"}, nowhere)))
		}
		return aws.Credentials{AccessKeyID: "A"}, nil
	})
	for i, want := range []bool{true, true, false, false} {
		down = true
		_, err := s.Retrieve(t.Context())
		if Permanent(err) != want || !strings.Contains(err.Error(), "no such host") {
			t.Errorf("look %d: %v; permanent %v, want %v", i+1, err, Permanent(err), want)
		}
		if region := strings.Contains(hintOf(err), "the region right?"); region != want {
			t.Errorf("look %d: hint %q", i+1, hintOf(err))
		}
		if down = false; i > 0 {
			mustRetrieve(t, s)
		}
	}
	if !Permanent(mustNew(t, Options{CredentialCommand: "true"}).explain(call{}, nowhere)) {
		t.Error("another source's success counts")
	}
}
