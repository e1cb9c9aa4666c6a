package refresh

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

func TestBelieves(t *testing.T) {
	const min, h = time.Minute, time.Hour
	at := func(wall, run, skew time.Duration) *dating { return &dating{moment(wall, run), skew, 0} }
	inStep := at(0, 0, 0)
	// lasts is an answer that came at wall, says that it ends so much later and has a true Date.
	lasts := func(wall, life time.Duration) *aws.Credentials { c := issue(1, t0.Add(wall+life)); return &c }
	tests := []struct {
		name           string
		dated, doubted *dating
		m              *dating
		c              *aws.Credentials
		asked          time.Duration
		want           bool
	}{
		{"first, in step", nil, nil, at(0, 0, 0), lasts(0, h), h, true},
		{"first, fast, just what was asked", nil, nil, at(50*min, 0, 50*min), lasts(0, h), h, true},
		{"first, fast, of less life than asked", nil, nil, at(50*min, 0, 50*min), lasts(0, 12*sec), h, false},
		{"first, slow, of less life than asked", nil, nil, at(-50*min, 0, -50*min), lasts(0, 12*sec), h, true},
		{"first, fast, nobody knows what was asked", nil, nil, at(50*min, 0, 50*min), lasts(0, 12*sec), 0, true},
		{"first, 50 minutes behind", nil, nil, at(0, 0, 50*min), lasts(0, h), h, false},
		{"first, over an hour fast, just what was asked", nil, nil, at(2*h, 0, 2*h), lasts(0, h), h, true},
		{"first, over an hour fast", nil, nil, at(2*h, 0, 2*h), lasts(0, h), 0, false},
		{"first, over an hour slow", nil, nil, at(-2*h, 0, -2*h), lasts(0, 12*sec), h, false},
		{"second, over an hour fast", nil, at(2*h, 0, 2*h), at(2*h+sec, sec, 2*h), lasts(sec, 12*sec), h, true},
		{"second, in step again", nil, at(0, 0, 2*h), at(sec, sec, 0), lasts(sec, h), h, true},
		{"later, 50 minutes behind", inStep, nil, at(min, min, 50*min), lasts(min, 12*sec), h, false},
		{"later, two answers", inStep, at(min, min, 50*min), at(2*min, 2*min, 50*min), lasts(2*min, 12*sec), h, true},
		{"later, 61 seconds behind", inStep, nil, at(min, min, 61*sec), lasts(min, 12*sec), h, false},
		{"later, 50 minutes behind, told by the life", inStep, nil, at(min, min, 50*min), lasts(min, h), h, true},
		{"later, ahead", inStep, nil, at(min, min, -50*min), lasts(min, h), h, false},
		{"set forward", inStep, nil, at(h+min, min, h), lasts(min, 12*sec), h, true},
		{"slept", inStep, nil, at(h+min, min, 0), lasts(h+min, 12*sec), h, true},
		{"set back, Date as much behind", inStep, nil, at(-h+min, min, 0), lasts(min, 12*sec), h, false},
		{"error, first", nil, nil, at(0, 0, 0), nil, 0, false},
		{"error, nothing new", inStep, nil, at(min, min, sec), nil, 0, true},
		{"error, behind", inStep, nil, at(min, min, 61*sec), nil, 0, false},
		{"error, twice", inStep, at(sec, sec, 61*sec), at(min, min, 61*sec), nil, 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := driver{dated: tt.dated, doubted: tt.doubted}
			if got := d.believes(tt.m, tt.c, tt.asked); got != tt.want {
				t.Errorf("got %v; want %v", got, tt.want)
			}
		})
	}
}

// One wrong Date, of the first answer or a later one, whose credentials live less than was asked
// for; then STS is down.
func TestOneWrongDate(t *testing.T) {
	const life = 12 * sec
	for _, nth := range []int{1, 2} {
		for _, off := range []time.Duration{-50 * time.Minute, -years56, -61 * sec, 50 * time.Minute} {
			if nth == 1 && off > 0 {
				continue // nothing speaks against it: the answer is refused as expired
			}
			synctest.Test(t, func(t *testing.T) {
				w, r := clocked(t, life, nil)
				r.o.Asked = func(aws.Credentials) time.Duration { return time.Hour }
				r.src = aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
					c, err := w.Retrieve(ctx)
					w.mu.Lock()
					defer w.mu.Unlock()
					if err == nil && w.calls == nth {
						w.date(off)
						w.from, w.to = time.Now(), time.Now().Add(time.Hour)
					}
					return c, err
				})
				defer running(t, r)()
				served := 0
				for begun := time.Now(); time.Since(begun) < 4*life; time.Sleep(100 * ms) {
					ctx, cancel := context.WithTimeout(t.Context(), 10*ms)
					c, err := r.Retrieve(ctx)
					cancel()
					if err != nil {
						continue
					}
					served++
					if left := w.end(c).Sub(w.true()); left <= 0 {
						t.Fatalf("answer %d, Date off by %v: served what ended %v ago", nth, off, -left)
					}
				}
				if want := (nth*5 + 4) * 10; served < want {
					t.Errorf("answer %d, Date off by %v: %d served; want at least %d", nth, off, served, want)
				}
			})
		}
	}
}

// What was found expired by a reading of the wall clock that is taken back at once stays so, and a
// new one is fetched.
func TestExpiredStaysExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, r := clocked(t, time.Hour, nil)
		defer running(t, r)()
		synctest.Wait()
		w.change(0, 2*time.Hour)
		if _, ok := r.current(); ok {
			t.Fatal("valid two hours later")
		}
		w.change(0, -2*time.Hour)
		if _, ok := r.current(); ok {
			t.Error("valid again after the clock was set back")
		}
		// Who asks while the new one's Date bears out that the first hasn't ended may get that.
		if c, err := r.Retrieve(t.Context()); err != nil || !w.end(c).After(w.true()) {
			t.Errorf("got %s, %v", c.AccessKeyID, err)
		}
		synctest.Wait()
		if c, err := r.Retrieve(t.Context()); err != nil || c.AccessKeyID != "ASIA2" {
			t.Errorf("got %s, %v; want a new one", c.AccessKeyID, err)
		}
	})
}
