package refresh

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// deaf is a source that takes its time, whatever its context says.
type deaf struct {
	mu    sync.Mutex
	takes []time.Duration // of each call; the last for all further ones
	calls int
	err   error
}

func (d *deaf) Retrieve(context.Context) (aws.Credentials, error) {
	d.mu.Lock()
	takes := d.takes[min(d.calls, len(d.takes)-1)]
	d.calls++
	n := d.calls
	d.mu.Unlock()
	time.Sleep(takes)
	d.mu.Lock()
	defer d.mu.Unlock()
	return issue(n, time.Now().Add(12*sec)), d.err
}

func (d *deaf) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err = err
}

func (d *deaf) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.calls
}

// A prompt answered after the attempt's limit is not asked again, and its answer taken at once.
func TestLateAnswerIsTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &deaf{takes: []time.Duration{20 * sec, 0}}
		r := New(s, Options{})
		begun := time.Now()
		if err := r.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := time.Since(begun); got != 20*sec || s.calls != 1 {
			t.Errorf("%v and %d calls; want 20s and one", got, s.calls)
		}
	})
}

// The call begins at 6 s and is given up 1.6 s later; what it brings between two attempts is taken
// when it comes, and its error is no reason to ask at once.
func TestLateAnswerWakesTheLoop(t *testing.T) {
	for _, late := range []error{nil, errInternal} {
		synctest.Test(t, func(t *testing.T) {
			s := &deaf{takes: []time.Duration{0, 1700 * ms, 0}}
			r := New(s, Options{})
			r.rand = func() float64 { return 0.5 }
			stop := running(t, r)
			time.Sleep(7690 * ms)
			if c, err := r.Retrieve(t.Context()); err != nil || c.AccessKeyID != "ASIA1" {
				t.Errorf("%s, %v; want the first still", c.AccessKeyID, err)
			}
			s.fail(late)
			time.Sleep(20 * ms)
			want := "ASIA2"
			if late != nil {
				want = "ASIA1"
			}
			if c, err := r.Retrieve(t.Context()); err != nil || c.AccessKeyID != want {
				t.Errorf("late %v: %s, %v; want %s", late, c.AccessKeyID, err, want)
			}
			if n := s.count(); n != 2 {
				t.Errorf("late %v: %d calls; want 2", late, n)
			}
			s.fail(nil)
			time.Sleep(sec)
			if c, err := r.Retrieve(t.Context()); err != nil || c.AccessKeyID == "ASIA1" {
				t.Errorf("late %v: %s, %v a second later", late, c.AccessKeyID, err)
			}
			stop()
		})
	}
}

// A source that never returns costs three goroutines, and delays nobody's end by more than a
// quarter of a second.
func TestSourceNeverReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &deaf{takes: []time.Duration{0, time.Hour}}
		r := New(s, Options{})
		stop := running(t, r)
		time.Sleep(30 * time.Minute)
		begun := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 500*ms)
		defer cancel()
		if _, err := r.Retrieve(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Retrieve: %v; want that there is no answer", err)
		}
		if got := time.Since(begun); got > 500*ms {
			t.Errorf("Retrieve took %v", got)
		}
		begun = time.Now()
		stop()
		if got := time.Since(begun); got != lastWait {
			t.Errorf("Run ended after %v; want %v", got, lastWait)
		}
		if s.count() != 1+mostCalls {
			t.Errorf("%d calls; want %d", s.count(), 1+mostCalls)
		}
		time.Sleep(2 * time.Hour) // the bubble waits for all goroutines
	})
}

func TestStartWithADeafSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		err := New(&deaf{takes: []time.Duration{time.Hour}}, Options{StartTimeout: 2 * sec}).Start(t.Context())
		if took := time.Since(begun); !errors.Is(err, context.DeadlineExceeded) || took > 2*sec+grace+lastWait {
			t.Errorf("%v after %v; want that there is no answer, after 2 s", err, took)
		}
		time.Sleep(time.Hour)
	})
}

// What heeds its context is waited for, and ends at once.
func TestRunWaitsForTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := false
		s := &sts{life: 12 * sec, fault: func(ctx context.Context, n int) error {
			if n == 1 {
				return nil
			}
			<-ctx.Done()
			time.Sleep(10 * ms)
			ended = true
			return ctx.Err()
		}}
		r := New(s, Options{})
		stop := running(t, r)
		time.Sleep(6700 * ms)
		begun := time.Now()
		stop()
		if got := time.Since(begun); got != 10*ms || !ended {
			t.Errorf("Run ended after %v, the call ended: %v; want 10ms, true", got, ended)
		}
		if _, err := r.Retrieve(t.Context()); err != nil {
			t.Errorf("what is valid is served after the end, too: %v", err)
		}
		time.Sleep(time.Minute)
		if _, err := r.Retrieve(t.Context()); err == nil {
			t.Error("an expired credential was served")
		}
		if got := time.Since(begun); got > 61*sec {
			t.Error("waited for a refresh that is not coming")
		}
	})
}
