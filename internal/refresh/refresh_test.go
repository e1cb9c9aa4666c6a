package refresh

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// sts is a source that gives credentials of life life; fault, if set, decides about each call
// first.
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
	return issue(n, time.Now().Add(s.life).Truncate(sec)), nil // as STS does
}

func (s *sts) count() int { return len(s.times()) }

func (s *sts) times() []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
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

// poll is a client that asks again and again for a while; report gets each answer.
func poll(t *testing.T, r *Refresher, d, every time.Duration, report func(c aws.Credentials, err error, took time.Duration)) {
	for until := time.Now().Add(d); time.Now().Before(until); time.Sleep(every) {
		asked := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 500*ms)
		c, err := r.Retrieve(ctx)
		cancel()
		if c.CanExpire && !c.Expires.After(time.Now()) {
			t.Fatalf("served what ended %v ago", time.Since(c.Expires))
		}
		report(c, err, time.Since(asked))
	}
}

func TestWellSTS(t *testing.T) {
	tests := []struct {
		life, run, least time.Duration // least that an answer may have left
		min, max         int
	}{
		{12 * sec, 14 * sec, 4 * sec, 2, 5},
		{8 * sec, 22 * sec, 1900 * ms, 4, 9},
		{time.Hour, 10 * time.Hour, 26 * time.Minute, 19, 23},
	}
	for _, tt := range tests {
		t.Run(tt.life.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &sts{life: tt.life}
				r := New(s, Options{})
				stop := running(t, r)
				var last aws.Credentials
				poll(t, r, tt.run, tt.life/300, func(c aws.Credentials, err error, took time.Duration) {
					if err != nil || took > 0 {
						t.Fatalf("%v after %v; want an answer at once", err, took)
					}
					if left := time.Until(c.Expires); left < tt.least {
						t.Fatalf("answer with %v left; want at least %v", left, tt.least)
					}
					if left := time.Until(last.Expires); last.CanExpire && c.AccessKeyID != last.AccessKeyID && left < tt.least {
						t.Fatalf("rotated with %v left; want at least %v", left, tt.least)
					}
					last = c
				})
				stop()
				if n := s.count(); n < tt.min || n > tt.max {
					t.Errorf("%d calls; want %d to %d", n, tt.min, tt.max)
				}
				if st := r.Stats(); st.Fetches != uint64(s.count()) || st.Rotations != st.Fetches || st.Failures != 0 {
					t.Errorf("stats %+v", st)
				}
			})
		})
	}
}

// down makes a source fail between two moments, counted from its first call.
func down(from, to time.Duration, f fault) func(context.Context, int) error {
	begun := time.Now()
	return func(ctx context.Context, _ int) error {
		at := time.Since(begun)
		if at < from || at >= to {
			return nil
		}
		if f.hang {
			<-ctx.Done()
			return ctx.Err()
		}
		return f.err
	}
}

// The figures that docs/evidence/FRESH.md promises, over many courses of events: an outage that ends before
// the credential does costs nothing; a longer one is bounded, and its end soon noticed.
func TestBudgets(t *testing.T) {
	tests := []struct {
		name     string
		from, to time.Duration
		faults   []fault
		healthy  bool // nobody notices
		calls    int
	}{
		{"12 s lives, down from 4 to 10", 4 * sec, 10 * sec, faults[:4], true, 30},
		{"down for 7 s past the end", 4 * sec, 19 * sec, faults[:4], false, 30},
		{"throttled for a minute past the end", 4 * sec, 72 * sec, faults[:1], false, 20},
	}
	for _, tt := range tests {
		for _, f := range tt.faults {
			t.Run(tt.name+"/"+f.name, func(t *testing.T) {
				t.Parallel()
				most := 0
				for i := range 30 {
					synctest.Test(t, func(t *testing.T) {
						time.Sleep(time.Duration(i) * 33 * ms) // Expiration is a whole second: at any phase of it
						s := &sts{life: 12 * sec, fault: down(tt.from, tt.to, f)}
						r := New(s, Options{Throttled: hasCode("Throttling")})
						r.rand = seeded(fmt.Sprint(t.Name(), i))
						budget(t, s, r, tt.from, tt.to, tt.healthy)
						most = max(most, s.during(tt.from, tt.to))
					})
				}
				if t.Logf("at most %d calls", most); most > tt.calls {
					t.Errorf("%d calls in the outage; want at most %d", most, tt.calls)
				}
			})
		}
	}
}

func budget(t *testing.T, s *sts, r *Refresher, from, to time.Duration, healthy bool) {
	begun := time.Now()
	defer running(t, r)()
	var ends time.Time
	poll(t, r, to+10*sec, 40*ms, func(c aws.Credentials, err error, took time.Duration) {
		if healthy && (err != nil || took > 200*ms) {
			t.Fatalf("%v after %v at %v; want an answer", err, took, time.Since(begun))
		}
		if took > 500*ms {
			t.Fatalf("answer after %v", took)
		}
		at := time.Since(begun)
		if err == nil && at < to {
			ends = c.Expires
		}
		if late := at - to; err != nil && late > max(2*sec, begun.Add(to).Sub(ends)/3)+500*ms {
			t.Fatalf("not healed %v after the outage", late)
		}
	})
}

// during counts the calls between two moments after the first.
func (s *sts) during(from, to time.Duration) (n int) {
	calls := s.times()
	for _, c := range calls {
		if at := c.Sub(calls[0]); at >= from && at < to {
			n++
		}
	}
	return n
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
