package refresh

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// sts is a source that gives credentials of life life; fault, if set, decides about each call first.
type sts struct {
	mu    sync.Mutex
	life  time.Duration
	calls []time.Time
	fault func(ctx context.Context, n int) error
}

func (s *sts) Retrieve(ctx context.Context) (aws.Credentials, error) {
	s.mu.Lock()
	s.calls = append(s.calls, time.Now())
	n, fault := len(s.calls), s.fault
	s.mu.Unlock()
	if fault != nil {
		if err := fault(ctx, n); err != nil {
			return aws.Credentials{}, err
		}
	}
	return issue(n, time.Now().Add(s.life)), nil
}

func (s *sts) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.calls)
}

func issue(n int, expires time.Time) aws.Credentials {
	return aws.Credentials{
		AccessKeyID: fmt.Sprintf("ASIA%d", n), SecretAccessKey: "secret", SessionToken: fmt.Sprintf("token%d", n),
		CanExpire: true, Expires: expires,
	}
}

// running starts r and returns what ends it.
func running(t *testing.T, r *Refresher) (stop func()) {
	t.Helper()
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return loop(t, r)
}

func loop(t *testing.T, r *Refresher) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := r.Run(ctx); err != nil {
			t.Errorf("Run: %v; want nil", err)
		}
	})
	return func() { cancel(); wg.Wait() }
}

func TestRotatesAtHalfLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sts{life: 12 * time.Second}
		r := New(s, Options{})
		defer running(t, r)()
		for range 14 * 25 {
			c, err := r.Retrieve(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if left := time.Until(c.Expires); left < 4*time.Second {
				t.Fatalf("answer with %v left; want at least 4s", left)
			}
			time.Sleep(40 * time.Millisecond)
		}
		if n := s.count(); n < 2 || n > 5 {
			t.Errorf("%d calls in 14 s; want 2 to 5", n)
		}
	})
}

func TestStartPermanent(t *testing.T) {
	denied := errors.New("AccessDenied")
	synctest.Test(t, func(t *testing.T) {
		s := &sts{fault: func(context.Context, int) error { return denied }}
		r := New(s, Options{Permanent: func(err error) bool { return errors.Is(err, denied) }})
		begun := time.Now()
		if err := r.Start(t.Context()); !errors.Is(err, denied) {
			t.Errorf("Start: %v; want %v", err, denied)
		}
		if d := time.Since(begun); d != 0 || s.count() != 1 {
			t.Errorf("took %v and %d calls; want none and 1", d, s.count())
		}
		if _, err := r.Retrieve(t.Context()); !errors.Is(err, denied) {
			t.Errorf("Retrieve: %v; want %v", err, denied)
		}
	})
}
