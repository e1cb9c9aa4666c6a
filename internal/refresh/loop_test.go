package refresh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"

	"brs-exec/internal/hint"
)

var (
	errDenied   = &smithy.GenericAPIError{Code: "AccessDenied", Message: "not authorized"}
	errThrottle = &smithy.GenericAPIError{Code: "Throttling"}
	errInternal = &smithy.GenericAPIError{Code: "InternalFailure"}
	errInput    = &smithy.GenericAPIError{Code: "ValidationError"}
)

func failing(err error) func(context.Context, int) error {
	return func(context.Context, int) error { return err }
}

func options(log *bytes.Buffer) Options {
	denied, input := hasCode("AccessDenied"), hasCode("ValidationError")
	o := Options{
		Permanent: func(err error) bool { return denied(err) || input(err) }, Throttled: hasCode("Throttling"), Denied: denied,
	}
	if log != nil {
		o.Log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{
			Level: slog.LevelInfo,
			ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
				if a.Key == slog.TimeKey {
					return slog.Attr{}
				}
				return a
			},
		}))
	}
	return o
}

// said is the level and message of each line.
func said(log *bytes.Buffer) (lines []string) {
	for line := range strings.Lines(log.String()) {
		level, rest, _ := strings.Cut(strings.TrimPrefix(line, "level="), " msg=")
		msg, ok := strings.CutPrefix(rest, `"`)
		if ok {
			msg, _, _ = strings.Cut(msg, `"`)
		}
		lines = append(lines, level+" "+msg)
	}
	return lines
}

func TestStart(t *testing.T) {
	tests := []struct {
		name          string
		fault         func(ctx context.Context, n int) error
		o             Options
		want          error
		least, most   time.Duration
		calls, atMost int
	}{
		{name: "at once", calls: 1, atMost: 1},
		{name: "denied", fault: failing(errDenied), want: errDenied, calls: 1, atMost: 1},
		{name: "down", fault: failing(errInternal), want: errInternal, least: 22800 * ms, most: 30 * sec, calls: 12, atMost: 24},
		{name: "down, shorter timeout", fault: failing(errInternal), o: Options{StartTimeout: 2 * sec}, want: errInternal, least: 1500 * ms, most: 2 * sec, calls: 5, atMost: 10},
		{name: "throttled", fault: failing(errThrottle), want: errThrottle, least: 20 * sec, most: 30 * sec, calls: 6, atMost: 11},
		{
			name: "hangs", want: context.DeadlineExceeded, least: 22 * sec, most: 31 * sec, calls: 5, atMost: 14,
			fault: func(ctx context.Context, _ int) error { <-ctx.Done(); return ctx.Err() },
		},
		{
			name: "the error that says something", want: errInternal, least: 22 * sec, most: 31 * sec, calls: 5, atMost: 14,
			fault: func(ctx context.Context, n int) error {
				if n == 2 {
					return errInternal
				}
				<-ctx.Done()
				return ctx.Err()
			},
		},
		{
			name: "a role made seconds ago", o: Options{RetryDenied: 10 * sec}, least: 250 * ms, most: 3 * sec, calls: 5, atMost: 5,
			fault: func(_ context.Context, n int) error {
				if n < 5 {
					return errDenied
				}
				return nil
			},
		},
		{name: "denied for good", o: Options{RetryDenied: time.Minute}, fault: failing(errDenied), want: errDenied, least: time.Minute, most: 80 * sec, calls: 15, atMost: 30},
		{name: "bad input is no new role", o: Options{RetryDenied: time.Minute}, fault: failing(errInput), want: errInput, calls: 1, atMost: 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &sts{life: time.Hour, fault: tt.fault}
				o := options(nil)
				o.StartTimeout, o.RetryDenied = tt.o.StartTimeout, tt.o.RetryDenied
				begun := time.Now()
				err := New(s, o).Start(t.Context())
				if !errors.Is(err, tt.want) {
					t.Errorf("got %v; want %v", err, tt.want)
				}
				if took := time.Since(begun); took < tt.least || took > tt.most {
					t.Errorf("took %v; want %v to %v", took, tt.least, tt.most)
				}
				if n := s.count(); n < tt.calls || n > tt.atMost {
					t.Errorf("%d calls; want %d to %d", n, tt.calls, tt.atMost)
				}
			})
		})
	}
}

func TestStartInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		interrupt := errors.New("interrupt")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(5*sec, func() { cancel(interrupt) })
		begun := time.Now()
		err := New(&sts{fault: failing(errInternal)}, Options{}).Start(ctx)
		if !errors.Is(err, interrupt) || !errors.Is(err, errInternal) {
			t.Errorf("got %v; want both the cause and STS's error", err)
		}
		if got := time.Since(begun); got != 5*sec {
			t.Errorf("took %v; want 5s", got)
		}
	})
}

// Before STS has said anything, the cause is all there is to say.
func TestStartInterruptedEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		interrupt := errors.New("interrupt")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(sec, func() { cancel(interrupt) })
		r := New(&sts{fault: func(ctx context.Context, _ int) error { <-ctx.Done(); return ctx.Err() }}, Options{})
		done := make(chan error)
		go func() { done <- r.Start(ctx) }()
		synctest.Wait()
		if err := r.Run(ctx); err != nil { // waits for its turn, which never comes
			t.Errorf("Run: %v; want nil", err)
		}
		if err := <-done; err != interrupt {
			t.Errorf("Start: %v; want the cause", err)
		}
		if err := r.Start(ctx); err != interrupt {
			t.Errorf("Start again: %v; want the cause", err)
		}
	})
}

// --start-early: clients ask while the role is being assumed.
func TestManyWaitForOneCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sts{life: time.Hour, fault: func(context.Context, int) error { time.Sleep(100 * ms); return nil }}
		r := New(s, Options{})
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				begun := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), 500*ms)
				defer cancel()
				if _, err := r.Retrieve(ctx); err != nil {
					t.Error(err)
				}
				if got := time.Since(begun); got != 100*ms {
					t.Errorf("waited %v; want 100ms", got)
				}
			})
		}
		if err := r.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		if n := s.count(); n != 1 {
			t.Errorf("%d calls; want one", n)
		}
	})
}

// Where the first fetch failed for good, nobody waits.
func TestRetrieveAfterFailedStart(t *testing.T) {
	for _, fault := range []error{errDenied, errInternal} {
		synctest.Test(t, func(t *testing.T) {
			r := New(&sts{fault: failing(fault)}, options(nil))
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			waited := make(chan error)
			go func() { _, err := r.Retrieve(ctx); waited <- err }()
			synctest.Wait()
			go r.Start(t.Context())
			if err := <-waited; !errors.Is(err, fault) {
				t.Errorf("who waited got %v; want %v", err, fault)
			}
			begun := time.Now()
			if _, err := r.Retrieve(ctx); !errors.Is(err, fault) || time.Since(begun) != 0 {
				t.Errorf("who comes later gets %v after %v; want %v at once", err, time.Since(begun), fault)
			}
		})
	}
}

// However many ask, an STS that is down is asked as seldom as if nobody did.
func TestFloodDoesNotHasten(t *testing.T) {
	calls := func(clients int) (n int) {
		synctest.Test(t, func(t *testing.T) {
			s := &sts{life: 12 * sec}
			s.fault = down(4*sec, time.Hour, fault{err: errInternal})
			r := New(s, Options{})
			r.rand = seeded("flood")
			stop := running(t, r)
			time.Sleep(13 * sec)
			ctx, cancel := context.WithTimeout(t.Context(), 10*sec)
			defer cancel()
			var wg sync.WaitGroup
			for range clients {
				wg.Go(func() {
					for ctx.Err() == nil {
						ctx, cancel := context.WithTimeout(ctx, 20*ms)
						if _, err := r.Retrieve(ctx); !errors.Is(err, errInternal) && !errors.Is(err, context.DeadlineExceeded) {
							t.Errorf("got %v", err)
						}
						cancel()
					}
				})
			}
			<-ctx.Done()
			wg.Wait()
			stop()
			n = s.count()
		})
		return n
	}
	if quiet, loud := calls(0), calls(20); loud != quiet {
		t.Errorf("%d calls with twenty clients; want %d as without", loud, quiet)
	}
}

func TestRetrieveError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sts{life: 12 * sec, fault: down(4*sec, time.Hour, fault{err: errInternal})}
		r := New(s, options(nil))
		defer running(t, r)()
		time.Sleep(20 * sec)
		begun := time.Now()
		_, err := r.Retrieve(t.Context()) // no deadline: until one attempt has failed
		if took := time.Since(begun); took > 5*sec {
			t.Errorf("took %v; want no more than one attempt", took)
		}
		if e, ok := errors.AsType[smithy.APIError](err); !ok || e.ErrorCode() != "InternalFailure" {
			t.Errorf("got %v; want STS's error in it", err)
		}
		if !strings.HasPrefix(fmt.Sprint(err), "credentials expired at 2000-01-01T00:00:12Z: ") || strings.Contains(err.Error(), "\n") {
			t.Errorf("got %q; want one line that names the end", err)
		}
	})
}

// What only a person can heal is said at once, tried at the slow end, and healed all the same.
func TestDeniedInTheLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sts{life: 12 * sec, fault: down(4*sec, 60*sec, fault{err: errDenied})}
		r := New(s, options(nil))
		defer running(t, r)()
		time.Sleep(30 * sec)
		begun := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 500*ms)
		defer cancel()
		if _, err := r.Retrieve(ctx); !errors.Is(err, errDenied) || time.Since(begun) != 0 {
			t.Errorf("%v after %v; want %v at once", err, time.Since(begun), errDenied)
		}
		time.Sleep(49 * sec)
		if _, err := r.Retrieve(t.Context()); err != nil {
			t.Errorf("19 s after the healing: %v", err)
		}
		if n := s.during(4*sec, 60*sec); n > 14 {
			t.Errorf("%d calls while denied; want at most 14", n)
		}
	})
}

type retryLater struct{ error }

func (retryLater) RetryAfter() time.Duration { return 20 * sec }

func TestRetryAfterIsHeeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sts{life: 12 * sec, fault: down(4*sec, 100*sec, fault{err: fmt.Errorf("wrapped: %w", retryLater{errInternal})})}
		r := New(s, Options{})
		defer running(t, r)()
		time.Sleep(100 * sec)
		calls := s.times()[2:] // the first, the one that failed while valid, and one when it ended
		for i := 1; i < len(calls); i++ {
			if gap := calls[i].Sub(calls[i-1]); gap < 20*sec {
				t.Errorf("asked again after %v; want 20s", gap)
			}
		}
		if len(calls) < 3 {
			t.Errorf("only %d calls after the end", len(calls))
		}
	})
}

func TestTold(t *testing.T) {
	const (
		rotated = "INFO new credentials"
		failed  = "WARN refresh failed; what is held stays valid"
		lost    = "WARN credentials have expired and can't be refreshed"
		healed  = "WARN the source answers again"
	)
	tests := []struct {
		name string
		to   time.Duration
		want []string
	}{
		{"no outage", 0, []string{rotated, rotated}},
		{"an outage", 9 * sec, []string{rotated, failed, rotated, healed}},
		{"longer than the life", 20 * sec, []string{rotated, failed, lost, rotated, healed}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				r := New(&sts{life: 12 * sec, fault: down(4*sec, tt.to, fault{err: errInternal})}, options(&log))
				stop := running(t, r)
				time.Sleep(max(tt.to, 8*sec) + 2500*ms)
				stop()
				if got := said(&log); !slices.Equal(got, tt.want) {
					t.Errorf("got %q; want %q", got, tt.want)
				}
				if strings.Contains(log.String(), "ASIA") || strings.Contains(log.String(), "secret") {
					t.Errorf("a credential was logged")
				}
			})
		})
	}
}

func TestLazy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sts{life: 12 * sec, fault: func(context.Context, int) error { time.Sleep(50 * ms); return nil }}
		r := New(s, Options{Lazy: true})
		defer running(t, r)()
		get := func(want string, wait time.Duration) {
			t.Helper()
			begun := time.Now()
			c, err := r.Retrieve(t.Context())
			if err != nil || c.AccessKeyID != want || time.Since(begun) != wait {
				t.Errorf("%s, %v after %v; want %s after %v", c.AccessKeyID, err, time.Since(begun), want, wait)
			}
		}
		time.Sleep(5 * sec)
		get("ASIA1", 0)
		time.Sleep(2 * sec)
		if n := s.count(); n != 1 {
			t.Errorf("%d calls that nobody asked for", n-1)
		}
		get("ASIA1", 0) // past half: from memory, and starts a fetch
		get("ASIA1", 0)
		time.Sleep(51 * ms)
		get("ASIA2", 0)
		time.Sleep(time.Minute)
		if n := s.count(); n != 2 {
			t.Errorf("%d calls; want 2", n)
		}
		var wg sync.WaitGroup // long expired: all wait for one call
		for range 500 {
			wg.Go(func() { get("ASIA3", 50*ms) })
		}
		wg.Wait()
		time.Sleep(time.Minute)
		if n := s.count(); n != 3 {
			t.Errorf("%d calls; want 3", n)
		}
	})
}

// inner asks outer, which rotates at about half of its lives.
func TestNested(t *testing.T) {
	for _, life := range []time.Duration{4 * sec, 12 * sec, time.Minute, time.Hour} {
		t.Run(life.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &sts{life: life}
				outer := New(s, Options{})
				defer running(t, outer)()
				var asked, ends []time.Time // owned by inner's calls until it has ended
				inner := New(aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
					c, err := outer.Retrieve(ctx)
					asked, ends = append(asked, time.Now()), append(ends, c.Expires)
					return c, err
				}), Options{})
				stop := running(t, inner)
				poll(t, inner, 2*life, life/300, func(_ aws.Credentials, err error, took time.Duration) {
					if err != nil || took > 0 {
						t.Fatalf("%v after %v; want an answer at once", err, took)
					}
				})
				stop()
				for i := 1; i < len(asked); i++ {
					if gap := asked[i].Sub(asked[i-1]); gap < min(leastLook, life/10) && ends[i-1].Sub(asked[i]) > 500*ms {
						t.Errorf("asked again after %v", gap)
					}
				}
				if n := inner.Stats().Rotations; n < 2 || n > uint64(s.count()) {
					t.Errorf("%d rotations of %d", n, s.count())
				}
			})
		})
	}
}

// While the source is well nobody is ever given less than a third of the life, however short that is.
func TestShortLives(t *testing.T) {
	for _, life := range []time.Duration{4 * sec, 5 * sec, 6 * sec, 8 * sec, 12 * sec, 30 * sec} {
		t.Run(life.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &sts{life: life}
				r := New(s, Options{})
				defer running(t, r)()
				poll(t, r, 50*life, life/100, func(c aws.Credentials, err error, _ time.Duration) {
					if left := time.Until(c.Expires); err != nil || left < life/3 {
						t.Fatalf("%v, %v left; want a third of %v", err, left, life)
					}
				})
			})
		})
	}
}

// still is a source that says what it was told to.
type still struct {
	mu    sync.Mutex
	creds aws.Credentials
	err   error
	asked []time.Duration // since the first
	begun time.Time
}

func (s *still) Retrieve(context.Context) (aws.Credentials, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.begun.IsZero() {
		s.begun = time.Now()
	}
	s.asked = append(s.asked, time.Since(s.begun))
	return s.creds, s.err
}

func (s *still) set(c aws.Credentials, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.creds, s.err = c, err
}

// The source keeps one credential and may move its end.
func TestRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		expires := time.Now().Add(time.Hour)
		s := &still{creds: issue(1, expires)}
		r := New(s, Options{})
		r.rand = func() float64 { return 0.5 }
		stop := running(t, r)
		time.Sleep(time.Hour - sec)
		if c, err := r.Retrieve(t.Context()); err != nil || !c.Expires.Equal(expires) {
			t.Errorf("%v, %v; want it served to the end", c.Expires, err)
		}
		expires = expires.Add(time.Hour) // nothing is told until the next look
		s.set(issue(1, expires), nil)
		time.Sleep(2 * sec)
		if c, err := r.Retrieve(t.Context()); err != nil || !c.Expires.Equal(expires) {
			t.Errorf("%v, %v; want the new end %v", c.Expires, err, expires)
		}
		stop()
		if want := []time.Duration{0, 30 * time.Minute, 37*time.Minute + 30*sec}; !slices.Equal(s.asked[:3], want) {
			t.Errorf("asked at %v; want it to begin %v", s.asked, want)
		}
		if n := len(s.asked); n > 20 {
			t.Errorf("asked %d times; want at most 20", n)
		}
		if n := r.Stats().Rotations; n != 1 {
			t.Errorf("%d rotations; want one", n)
		}
	})
}

// A source that gives the same keys a new life at each call (moto's GetSessionToken, an instance role that is kept alive) is
// asked again in time, however often it has done so.
func TestMovedEnd(t *testing.T) {
	for _, life := range []time.Duration{3 * sec, 12 * sec, time.Minute, time.Hour} {
		t.Run(life.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
					return issue(1, time.Now().Add(life)), nil
				})
				r := New(src, Options{})
				defer running(t, r)()
				poll(t, r, 50*life, life/100, func(c aws.Credentials, err error, _ time.Duration) {
					if left := time.Until(c.Expires); err != nil || left < life/3 {
						t.Fatalf("%v, %v left; want a third of %v", err, left, life)
					}
				})
				if n := r.Stats().Fetches; n > 250 {
					t.Errorf("%d calls in 50 lives", n)
				}
			})
		})
	}
}

// A cached answer of another life is not taken for a better one.
func TestShorterLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		s := &still{creds: issue(1, begun.Add(time.Hour))}
		r := New(s, Options{})
		defer running(t, r)()
		time.Sleep(20 * time.Minute)
		s.set(issue(2, begun.Add(50*time.Minute)), nil)
		time.Sleep(25 * time.Minute)
		if c, err := r.Retrieve(t.Context()); err != nil || c.AccessKeyID != "ASIA1" {
			t.Errorf("%s, %v; want what lives longer", c.AccessKeyID, err)
		}
		s.set(issue(3, begun.Add(61*time.Minute)), nil)
		time.Sleep(14 * time.Minute)
		if c, err := r.Retrieve(t.Context()); err != nil || c.AccessKeyID != "ASIA3" {
			t.Errorf("%s, %v; want what lives longer", c.AccessKeyID, err)
		}
	})
}

// From an instance role to long-term keys in the same file, and back.
func TestEndlessAfterEnding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &still{creds: issue(1, time.Now().Add(12*time.Hour))}
		r := New(s, Options{})
		r.rand = func() float64 { return 0.5 }
		defer running(t, r)()
		endless := issue(2, time.Time{})
		endless.CanExpire = false
		s.set(endless, nil)
		time.Sleep(7*time.Hour + time.Minute)
		if c, err := r.Retrieve(t.Context()); err != nil || c.AccessKeyID != "ASIA2" {
			t.Errorf("%s, %v; want what never ends", c.AccessKeyID, err)
		}
		s.set(issue(3, time.Now().Add(50*time.Minute)), nil) // read in half an hour, with 21 minutes left
		time.Sleep(34 * time.Minute)
		if c, err := r.Retrieve(t.Context()); err != nil || c.AccessKeyID != "ASIA3" {
			t.Errorf("%s, %v; want the newest", c.AccessKeyID, err)
		}
	})
}

// A source that gave up: it hands out the same expired credential for ever.
func TestRepeatedPastItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		expires := time.Now().Add(time.Minute)
		r := New(aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return issue(1, expires), nil
		}), Options{})
		defer running(t, r)()
		time.Sleep(5 * time.Minute)
		_, err := r.Retrieve(t.Context())
		if err == nil || !strings.Contains(err.Error(), "source returned credentials that ended") {
			t.Errorf("got %v; want that they ended", err)
		}
		if hint.Of(err) == "" {
			t.Errorf("no hint in %v", err)
		}
	})
}

func TestEndless(t *testing.T) {
	endless := func(n int) aws.Credentials {
		c := issue(n, time.Time{})
		c.CanExpire = false
		return c
	}
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := &still{creds: endless(1)}
		r := New(s, options(&log))
		stop := running(t, r)
		get := func(want string) {
			t.Helper()
			if c, err := r.Retrieve(t.Context()); err != nil || c.AccessKeyID != want || c.CanExpire {
				t.Errorf("%s, %v, can expire %v; want %s", c.AccessKeyID, err, c.CanExpire, want)
			}
		}
		time.Sleep(3*time.Hour + sec)
		get("ASIA1")
		s.set(endless(2), nil)
		time.Sleep(34 * time.Minute)
		get("ASIA2")
		s.set(aws.Credentials{}, errInternal)
		time.Sleep(3 * time.Hour)
		get("ASIA2")
		stop()
		if n := len(s.asked); s.asked[5] < 5*27*time.Minute || s.asked[5] > 5*33*time.Minute || n > 70 {
			t.Errorf("asked %d times, first at %v; want every half hour, oftener while it fails", n, s.asked[:7])
		}
		want := []string{"WARN credentials do not say when they end; nothing can refresh them", "WARN refresh failed; what is held stays valid"}
		if got := said(&log); !slices.Equal(got, want) {
			t.Errorf("said %q; want %q", got, want)
		}
	})
}

// Long-term keys end when somebody deletes them: that is no news.
func TestLongTermKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		stop := running(t, New(&still{creds: aws.Credentials{AccessKeyID: "AKIA", SecretAccessKey: "s"}}, options(&log)))
		time.Sleep(3 * time.Hour)
		if stop(); log.Len() > 0 {
			t.Errorf("said %s", log.String())
		}
	})
}

// An answer without an end, which the year 1 stands for, is further away than a Duration reaches.
func TestEndedLongAgo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options(nil)
		o.StartTimeout = time.Second
		err := New(&still{creds: issue(1, time.Time{})}, o).Start(t.Context())
		if err == nil || !strings.Contains(err.Error(), "ended at 0001-01-01T00:00:00Z") {
			t.Errorf("got %v", err)
		}
	})
}

// clocked is a source and a local clock that differ.
func clocked(t *testing.T, life time.Duration, log *bytes.Buffer) (*world, *Refresher) {
	w := &world{life: life, ends: map[string]time.Time{}, fault: faults[2]}
	o := options(log)
	o.Skew = w.skew
	o.Asked = func(aws.Credentials) time.Duration { return life }
	r := New(w, o)
	r.now = w.wall
	t.Helper()
	return w, r
}

func TestSkewToldOnce(t *testing.T) {
	for _, fast := range []time.Duration{time.Hour, -time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			var log bytes.Buffer
			w, r := clocked(t, 15*time.Minute, &log)
			w.change(0, fast)
			stop := running(t, r)
			time.Sleep(time.Hour)
			c, err := r.Retrieve(t.Context())
			stop()
			if err != nil {
				t.Fatal(err)
			}
			if got, want := c.Expires, w.end(c).Add(fast); got.After(want) || got.Before(want.Add(-2*sec)) {
				t.Errorf("told to expire at %v; want %v by this machine's clock", got, want)
			}
			if n := strings.Count(log.String(), "clock and STS's disagree"); n != 1 {
				t.Errorf("told %d times; want once", n)
			}
		})
	}
}

// The credential's true end is kept across any step, and the step makes the loop fetch anew.
func TestClockSteps(t *testing.T) {
	tests := []struct {
		name        string
		slept, fast time.Duration
	}{
		{"set back", 0, -20 * time.Minute},
		{"set forward", 0, 20 * time.Minute},
		{"suspended", 20 * time.Minute, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				w, r := clocked(t, time.Hour, &log)
				stop := running(t, r)
				time.Sleep(10*time.Minute + sec) // not when the loop looks, every 30 s
				w.change(tt.slept, tt.fast)
				c, err := r.Retrieve(t.Context()) // before anybody looked
				if err != nil {
					t.Fatal(err)
				}
				if told, true := c.Expires.Sub(w.wall()), w.end(c).Sub(w.true()); told > true {
					t.Errorf("told %v; %v are left", told, true)
				}
				synctest.Wait() // that Retrieve had the driver look
				if _, _, steady := r.held.Load().answer(r.instant()); !steady {
					t.Error("the step was not taken notice of")
				}
				time.Sleep(61 * sec)
				if n := r.Stats().Rotations; n != 2 {
					t.Errorf("%d rotations a minute later; want 2", n)
				}
				stop()
				if n := strings.Count(log.String(), "clock stepped or machine slept"); n != 1 {
					t.Errorf("noticed %d times; want once\n%s", n, log.String())
				}
			})
		})
	}
}

// A clock that runs slow, too little at a time to be a step, is accounted for all the same, and not
// anew at every GET.
func TestClockDrifts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, r := clocked(t, time.Hour, nil)
		stop := running(t, r)
		for range 20 {
			w.change(0, -1500*ms)
			time.Sleep(lookEvery)
		}
		stop()
		c, valid, steady := r.held.Load().answer(r.instant())
		if told, left := c.Expires.Sub(w.wall()), w.end(c).Sub(w.true()); !valid || !steady || told > left+jump {
			t.Errorf("valid %v, steady %v, told %v of %v", valid, steady, told, left)
		}
	})
}

// A clock may step after the source read it and before we do.
func TestClockStepsDuringCall(t *testing.T) {
	for _, step := range []time.Duration{time.Hour, -time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			w, r := clocked(t, 12*sec, nil)
			stepped := false
			r.src = aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
				c, err := w.Retrieve(ctx)
				if !stepped && time.Since(r.birth) > 4*sec {
					stepped = true
					w.change(0, step)
					w.fail(time.Minute)
				}
				return c, err
			})
			defer running(t, r)()
			poll := time.Now()
			for time.Since(poll) < 30*sec {
				ctx, cancel := context.WithTimeout(t.Context(), 10*ms)
				c, err := r.Retrieve(ctx)
				cancel()
				if left := w.end(c).Sub(w.true()); err == nil && (left <= 0 || c.Expires.Sub(w.wall()) > left) {
					t.Fatalf("step of %v: served what has %v left, told %v", step, left, c.Expires.Sub(w.wall()))
				}
				time.Sleep(40 * ms)
			}
		})
	}
}

// A machine that wakes up long after the end: the first client starts the fetch, and gets its
// answer.
func TestResume(t *testing.T) {
	for _, lazy := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w, r := clocked(t, time.Hour, nil)
			r.o.Lazy = lazy
			defer running(t, r)()
			time.Sleep(10 * time.Minute)
			w.change(8*time.Hour, 0)
			begun := time.Now()
			c, err := r.Retrieve(t.Context())
			if err != nil || c.AccessKeyID != "ASIA2" || time.Since(begun) != 0 {
				t.Errorf("%s, %v after %v; want a new one at once", c.AccessKeyID, err, time.Since(begun))
			}
		})
	}
}

// After a resume the network needs a moment; tries are then as frequent as if the credential had
// just ended.
func TestResumeWithoutNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, r := clocked(t, time.Hour, nil)
		defer running(t, r)()
		time.Sleep(10 * time.Minute)
		w.change(8*time.Hour, 0)
		w.fail(5 * sec)
		var healed time.Duration
		poll := time.Now()
		for healed == 0 && time.Since(poll) < time.Minute {
			ctx, cancel := context.WithTimeout(t.Context(), 500*ms)
			if _, err := r.Retrieve(ctx); err == nil {
				healed = time.Since(w.to)
			}
			cancel()
		}
		if healed > 2*sec {
			t.Errorf("healed %v after the network; want at most 2s", healed)
		}
	})
}

func TestWithoutKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{CanExpire: true, Expires: time.Now().Add(time.Hour)}, nil
		}), Options{})
		if err := r.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "source returned no keys") {
			t.Errorf("got %v; want that there are no keys", err)
		}
	})
}
