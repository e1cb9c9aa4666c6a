package refresh

import (
	"sync/atomic"
	"testing"
	"time"
)

// moment is an instant so long after t0, by the wall clock and by the running one.
func moment(wall, run time.Duration) instant { return instant{t0.Add(wall), run} }

func TestReckoning(t *testing.T) {
	k := reckoning{moment(0, 0)}
	tests := []struct {
		name string
		i    instant
		want time.Duration
	}{
		{"at the anchor", moment(0, 0), 0},
		{"both ran", moment(time.Minute, time.Minute), time.Minute},
		{"suspended, or set forward", moment(time.Hour, time.Minute), time.Hour},
		{"set back", moment(-time.Hour, time.Minute), time.Minute},
		{"a little late", moment(time.Minute-ns, time.Minute), time.Minute},
		{"a little early", moment(time.Minute+ns, time.Minute), time.Minute + ns},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := k.at(tt.i).Sub(t0); got != tt.want {
				t.Errorf("got %v; want %v", got, tt.want)
			}
		})
	}
}

// A clock that is set back after a suspend gives no life back, and one set forward after that none
// away.
func TestReckoningNeverGoesBack(t *testing.T) {
	k := reckoning{moment(0, 0)}
	asleep := moment(2*time.Hour+time.Minute, time.Minute)
	k = k.absorbed(asleep)
	back := moment(time.Hour, 2*time.Minute)
	if got, want := k.at(back).Sub(t0), 2*time.Hour+2*time.Minute; got != want {
		t.Errorf("set back after a suspend: got %v; want %v", got, want)
	}
	k = k.absorbed(back)
	again := moment(2*time.Hour+3*time.Minute, 3*time.Minute)
	if got, want := k.at(again).Sub(t0), 2*time.Hour+3*time.Minute; got != want {
		t.Errorf("set right again: got %v; want %v", got, want)
	}
}

// lasting is a credential issued at t0 that ends an hour later.
func lasting() *credential {
	ends := t0.Add(time.Hour)
	return &credential{creds: issue(1, ends), stated: ends, ends: ends, due: t0.Add(30 * time.Minute), over: time.Hour, clock: reckoning{moment(0, 0)}, expired: new(atomic.Bool)}
}

func TestAnswer(t *testing.T) {
	const min, h = time.Minute, time.Hour
	tests := []struct {
		name    string
		i       instant
		valid   bool
		steady  bool
		expires time.Duration // of the answer, by the wall clock
	}{
		{"at once", moment(0, 0), true, true, h},
		{"last nanosecond", moment(h-ns, h-ns), true, true, h},
		{"the end", moment(h, h), false, true, 0},
		{"the end by the wall clock", moment(h, min), false, true, 0},
		{"the end by the running clock", moment(min, h), false, true, 0},
		{"just before it, set back", moment(min, h-ns), true, false, min + ns},
		{"set back an hour", moment(-50*min, 10*min), true, false, 0},
		{"set back by less than a step", moment(10*min-2*sec+ns, 10*min), true, true, h},
		{"set back by a step", moment(10*min-2*sec, 10*min), true, false, h - 2*sec},
		{"set forward", moment(20*min, 10*min), true, true, h},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, valid, steady := lasting().answer(tt.i)
			if valid != tt.valid || steady != tt.steady {
				t.Errorf("valid %v, steady %v; want %v, %v", valid, steady, tt.valid, tt.steady)
			}
			if got := c.Expires.Sub(t0); valid && got != tt.expires {
				t.Errorf("expires at %v; want %v", got, tt.expires)
			}
			if !valid && c.HasKeys() {
				t.Errorf("keys that have expired were handed out")
			}
		})
	}
}

func TestAdjusted(t *testing.T) {
	h := lasting().adjusted(moment(-50*time.Minute, 10*time.Minute))
	if got := h.creds.Expires.Sub(t0); got != 0 {
		t.Errorf("told to expire at %v; want 0s: 50 minutes from now by the wall clock", got)
	}
	c, valid, steady := h.answer(moment(-40*time.Minute, 20*time.Minute))
	if !valid || !steady || !c.Expires.Equal(t0) {
		t.Errorf("later: %v, valid %v, steady %v; want the same answer", c.Expires, valid, steady)
	}
	if _, valid, _ := h.answer(moment(0, time.Hour)); valid {
		t.Error("valid after an hour")
	}
}

// After a step STS's Date says what is right, whatever was guessed before.
func TestReckonedAnew(t *testing.T) {
	const min, h = time.Minute, time.Hour
	forward := moment(70*min, 10*min) // set forward an hour after 10 minutes
	guess := lasting().adjusted(forward)
	if _, valid, _ := guess.answer(forward); valid {
		t.Fatal("valid without a witness")
	}
	r := guess.reckonedAnew(forward, h)
	c, valid, _ := r.answer(forward)
	if got := c.Expires.Sub(t0); !valid || got != 2*h {
		t.Errorf("valid %v, expires at %v; want true, 2h", valid, got)
	}
	if got := r.due.Sub(forward.wall); got != -40*min {
		t.Errorf("due in %v; want -40m: the guess is what it goes by", got)
	}
	if _, valid, _ := r.answer(moment(2*h, h)); valid {
		t.Error("valid after an hour")
	}
}

func TestSame(t *testing.T) {
	a, b := issue(1, t0), issue(1, t0.Add(time.Hour))
	if !same(a, b) {
		t.Error("another end makes another credential")
	}
	b.SessionToken = "other"
	if same(a, b) {
		t.Error("another token is the same credential")
	}
	if same(a, issue(2, t0)) {
		t.Error("another key is the same credential")
	}
}
