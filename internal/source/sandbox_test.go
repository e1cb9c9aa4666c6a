package source

import (
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec/internal/sandbox"
)

// A testSTS is the sandbox, which checks signatures, expiry, tokens and MFA codes as AWS does.
type testSTS struct {
	*sandbox.STS
	mu    sync.Mutex
	calls []sandbox.Call
}

func newSandbox(t *testing.T, o sandbox.Options) *testSTS {
	t.Helper()
	s := new(testSTS)
	o.OnCall = func(c sandbox.Call) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.calls = append(s.calls, c)
	}
	s.STS = sandbox.New(o)
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	t.Setenv("AWS_ENDPOINT_URL_STS", srv.URL)
	return s
}

// useKeys puts the sandbox's long-term keys into the environment.
func (s *testSTS) useKeys(t *testing.T) {
	t.Helper()
	c := s.BaseCredentials()
	t.Setenv("AWS_ACCESS_KEY_ID", c.AccessKeyID)
	t.Setenv("AWS_SECRET_ACCESS_KEY", c.SecretAccessKey)
}

func (s *testSTS) count(action string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.calls {
		if c.Action == action {
			n++
		}
	}
	return n
}

// whoIs asks the sandbox, which refuses expired and forged credentials.
func whoIs(t *testing.T, s *Source, c aws.Credentials) string {
	t.Helper()
	_, arn, _, err := s.CallerIdentity(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return arn
}

// refreshThrice retrieves three times; before each, change may change what the source reads. Each
// answer is a new one, good for want.
func refreshThrice(t *testing.T, s *Source, want string, change func(i int)) {
	t.Helper()
	seen := map[string]bool{}
	for i := range 3 {
		if change != nil {
			change(i)
		}
		c := mustRetrieve(t, s)
		if got := whoIs(t, s, c); got != want {
			t.Errorf("refresh %d: %s; want %s", i+1, got, want)
		}
		if seen[c.SessionToken] {
			t.Errorf("refresh %d brought the same credentials", i+1)
		}
		if !c.CanExpire || time.Until(c.Expires) <= 0 {
			t.Errorf("refresh %d: expires %v", i+1, c.Expires)
		}
		seen[c.SessionToken] = true
	}
}
