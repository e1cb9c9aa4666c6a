package refresh

import (
	"math/rand/v2"
	"testing"
	"time"
)

const (
	ns  = time.Nanosecond
	ms  = time.Millisecond
	sec = time.Second
)

var t0 = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// almost is the largest u there is.
const almost = 1 - 1.0/(1<<53)

func TestRefreshAt(t *testing.T) {
	tests := []struct {
		name string
		life time.Duration
		u    float64
		want time.Duration // after t0
	}{
		{"an hour, earliest", time.Hour, 0, 27 * time.Minute},
		{"an hour, middle", time.Hour, 0.5, 30 * time.Minute},
		{"an hour, latest", time.Hour, almost, 33 * time.Minute},
		{"12 s, earliest", 12 * sec, 0, 5400 * ms},
		{"12 s, latest", 12 * sec, almost, 6600 * ms},
		{"4 s, latest", 4 * sec, almost, 2200 * ms},
		{"1 s", sec, 0.5, 500 * ms},
		{"no life", 0, 0.5, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := refreshAt(t0, t0.Add(tt.life), tt.u).Sub(t0)
			if (got - tt.want).Abs() > ns {
				t.Errorf("got %v; want %v", got, tt.want)
			}
		})
	}
}

func TestRetryIn(t *testing.T) {
	tests := []struct {
		name     string
		left     time.Duration // negative: past the end
		c        class
		min, max time.Duration // what u = 0 and u → 1 give
	}{
		{"half an hour left", 30 * time.Minute, passing, 112500 * ms, 225 * sec},
		{"the longest delay begins", 40 * time.Minute, passing, 150 * sec, 300 * sec},
		{"beyond it", 12 * time.Hour, passing, 150 * sec, 300 * sec},
		{"the shortest delay begins", 8 * sec, passing, 500 * ms, sec},
		{"below it", 8*sec - ns, passing, 500 * ms, sec},
		{"above it", 16 * sec, passing, sec, 2 * sec},
		{"half of what is left", 1500 * ms, passing, 375 * ms, 750 * ms},
		{"but half a second at the end", ns, passing, 250 * ms, 500 * ms},
		{"throttled doubles", 30 * time.Minute, throttled, 337500 * ms, 450 * sec},
		{"throttled, half of what is left", 3 * sec, throttled, 1125 * ms, 1500 * ms},
		{"throttled, a second at the end", ns, throttled, 750 * ms, sec},
		{"permanent is slow", 30 * time.Minute, permanent, 150 * sec, 300 * sec},
		{"permanent, half of what is left", 4 * time.Minute, permanent, 60 * sec, 120 * sec},

		{"at the end", 0, passing, 187500 * time.Microsecond, 312500 * time.Microsecond},
		{"1 s past", -sec, passing, 187500 * time.Microsecond, 312500 * time.Microsecond},
		{"4 s past", -4 * sec, passing, 750 * ms, 1250 * ms},
		{"a minute past", -time.Minute, passing, 11250 * ms, 18750 * ms},
		{"a minute and a bit past", -time.Minute - ns, passing, 11250 * ms, 18750 * ms},
		{"throttled, at the end", 0, throttled, 1700 * ms, 2 * sec},
		{"throttled, 6 s past", -6 * sec, throttled, 1700 * ms, 2 * sec},
		{"throttled, 30 s past", -30 * sec, throttled, 8500 * ms, 10 * sec},
		{"throttled, long past", -time.Hour, throttled, 25500 * ms, 30 * sec},
		{"permanent, just past", 0, permanent, 11250 * ms, 18750 * ms},
		{"permanent, long past", -time.Hour, permanent, 11250 * ms, 18750 * ms},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			now := t0.Add(-tt.left)
			if got := retryIn(now, t0, tt.c, 0); (got - tt.min).Abs() > ns {
				t.Errorf("u = 0: got %v; want %v", got, tt.min)
			}
			if got := retryIn(now, t0, tt.c, almost); (got - tt.max).Abs() > ns {
				t.Errorf("u → 1: got %v; want %v", got, tt.max)
			}
		})
	}
}

// The healing of an outage is noticed within max(2 s, a third of the time since the end): no delay
// may be longer, for no class but that which needs a person.
func TestRetryNoticesHealing(t *testing.T) {
	for since := time.Duration(0); since < 2*time.Hour; since += max(7*ms, since/97) {
		for _, c := range []class{passing, throttled} {
			if got, most := retryIn(t0.Add(since), t0, c, almost), max(2*sec, since/3); got > most {
				t.Fatalf("class %d, %v past the end: delay up to %v; want at most %v", c, since, got, most)
			}
		}
	}
}

// While anything is valid, a try must come before the end: an outage that stops in time costs
// nothing.
func TestRetryComesBeforeTheEnd(t *testing.T) {
	for left := sec; left < 12*time.Hour; left += max(7*ms, left/97) {
		for _, c := range []class{passing, throttled, permanent} {
			if got := retryIn(t0.Add(-left), t0, c, almost); got > max(left/2, sec) || c != throttled && got > left/2 {
				t.Fatalf("class %d, %v left: delay %v; want at most half of that", c, left, got)
			}
		}
	}
}

func TestLookAgain(t *testing.T) {
	tests := []struct {
		name       string
		left, want time.Duration // of an hour
	}{
		{"six hours", 6 * time.Hour, 90 * time.Minute},
		{"a quarter is over 30 s", 2*time.Minute + 4*ns, 30*sec + ns},
		{"a quarter is 30 s", 2 * time.Minute, 30 * sec},
		{"30 s at least", 61 * sec, 30 * sec},
		{"but no more than half", time.Minute - 2*ns, 30*sec - ns},
		{"20 s", 20 * sec, 10 * sec},
		{"half is 5 s", 10 * sec, 5 * sec},
		{"5 s at least", 10*sec - 2*ns, 5 * sec},
		{"but not past the end", 5*sec - ns, 5*sec - ns},
		{"at the end", 0, 0},
		{"past the end", -sec, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := lookAgain(t0, t0.Add(tt.left), time.Hour); got != tt.want {
				t.Errorf("got %v; want %v", got, tt.want)
			}
		})
	}
	if got := lookAgain(t0, t0.Add(2*sec), 6*sec); got != 1500*ms {
		t.Errorf("of a life of 6 s: got %v; want a quarter of it", got)
	}
}

func TestAttemptLimit(t *testing.T) {
	tests := []struct {
		name             string
		left, read, want time.Duration
	}{
		{"plenty left", time.Hour, 10 * sec, 10 * sec},
		{"a quarter is the read timeout", 40 * sec, 10 * sec, 10 * sec},
		{"a quarter", 40*sec - 4*ns, 10 * sec, 10*sec - ns},
		{"a quarter is 1 s", 4 * sec, 10 * sec, sec},
		{"1 s at least", 4*sec - 4*ns, 10 * sec, sec},
		{"at the end", 0, 10 * sec, sec},
		{"past the end it grows again", -12 * sec, 10 * sec, 3 * sec},
		{"up to the read timeout", -time.Hour, 10 * sec, 10 * sec},
		{"a read timeout below 1 s", time.Hour, 300 * ms, 300 * ms},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := attemptLimit(t0.Add(-tt.left), t0, tt.read); got != tt.want {
				t.Errorf("got %v; want %v", got, tt.want)
			}
		})
	}
}

func TestStartLimit(t *testing.T) {
	tests := []struct {
		name             string
		left, read, want time.Duration
	}{
		{"a quarter", 30 * sec, 10 * sec, 7500 * ms},
		{"the read timeout", time.Minute, 10 * sec, 10 * sec},
		{"1 s at least", 3 * sec, 10 * sec, sec},
		{"but no more than there is", 400 * ms, 10 * sec, 400 * ms},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := startLimit(tt.left, tt.read); got != tt.want {
				t.Errorf("got %v; want %v", got, tt.want)
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	tests := []struct {
		name              string
		left, asked, want time.Duration
	}{
		{"as asked", time.Hour, time.Minute, time.Minute},
		{"five minutes at most", time.Hour, 6 * time.Minute, 5 * time.Minute},
		{"not past the end", 20 * sec, time.Minute, 20 * sec},
		{"expired", 0, 10 * sec, 10 * sec},
		{"expired, 30 s at most", -sec, time.Minute, 30 * sec},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := retryAfter(t0.Add(-tt.left), t0, tt.asked); got != tt.want {
				t.Errorf("got %v; want %v", got, tt.want)
			}
		})
	}
}

func TestNextTry(t *testing.T) {
	tests := []struct {
		name              string
		took, delay, want time.Duration // want counts from the start of the attempt
	}{
		{"failed at once", 0, 4 * sec, 4 * sec},
		{"its time counts", sec, 4 * sec, 4 * sec},
		{"but a quarter of the delay stays", 3*sec + ns, 4 * sec, 4*sec + ns},
		{"took longer than the delay", 10 * sec, 4 * sec, 11 * sec},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := nextTry(t0, t0.Add(tt.took), tt.delay).Sub(t0); got != tt.want {
				t.Errorf("got %v; want %v", got, tt.want)
			}
		})
	}
}

func TestShift(t *testing.T) {
	tests := []struct {
		name             string
		skew, took, want time.Duration
	}{
		{"unknown or in step", 0, sec, 0},
		{"a little fast", time.Minute, sec, 0},
		{"fast", time.Minute + ns, 0, time.Minute + ns - sec},
		{"an hour fast", time.Hour, 0, time.Hour - sec},
		{"a slow answer", time.Hour, 3 * sec, time.Hour - 4*sec},
		{"a little slow", -ns, 0, -sec - ns},
		{"an hour slow", -time.Hour, 0, -time.Hour - sec},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := shift(tt.skew, tt.took); got != tt.want {
				t.Errorf("got %v; want %v", got, tt.want)
			}
		})
	}
}

func TestAfterJump(t *testing.T) {
	tests := []struct {
		name string
		left time.Duration
		u    float64
		want time.Duration
	}{
		{"expired: at once", -sec, almost, 0},
		{"ends now: at once", 0, almost, 0},
		{"a little left", 80 * sec, 0.5, 5 * sec},
		{"much left", time.Hour, 0.5, 15 * sec},
		{"first of the fleet", time.Hour, 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := afterJump(t0, t0.Add(tt.left), tt.u); got != tt.want {
				t.Errorf("got %v; want %v", got, tt.want)
			}
		})
	}
}

// tries counts the attempts of an outage that fails each at once, from the first try at half of the
// life to length past the end.
func tries(life, past time.Duration, c class, u func() float64) (n int) {
	end := t0.Add(life)
	for now := refreshAt(t0, end, u()); now.Before(end.Add(past)); n++ {
		now = now.Add(retryIn(now, end, c, u()))
	}
	return n
}

// The whole of an outage, the tries before the end included.
func TestTriesAreFew(t *testing.T) {
	tests := []struct {
		name       string
		life, past time.Duration
		c          class
		most       int
	}{
		{"12 s, 7 s past the end", 12 * sec, 7 * sec, passing, 30},
		{"12 s, throttled for a minute past the end", 12 * sec, time.Minute, throttled, 20},
		{"12 s, denied for a minute past the end", 12 * sec, time.Minute, permanent, 15},
		{"an hour, 10 minutes past the end", time.Hour, 10 * time.Minute, passing, 140},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(1, 2))
			most, sum := 0, 0
			for range 20000 {
				n := tries(tt.life, tt.past, tt.c, rnd.Float64)
				most, sum = max(most, n), sum+n
			}
			t.Logf("mean %.1f, most %d", float64(sum)/20000, most)
			if most > tt.most {
				t.Errorf("up to %d tries; want at most %d", most, tt.most)
			}
		})
	}
}

// What Window tells people is what refreshAt does.
func TestWindow(t *testing.T) {
	for _, c := range []struct{ life, from, to time.Duration }{
		{time.Hour, 27 * time.Minute, 33 * time.Minute},
		{12 * time.Hour, 5*time.Hour + 24*time.Minute, 6*time.Hour + 36*time.Minute},
		{4 * time.Second, 1800 * time.Millisecond, 2200 * time.Millisecond},
	} {
		from, to := Window(c.life)
		if from != c.from || to != c.to {
			t.Errorf("a life of %v: between %v and %v; want %v and %v", c.life, from, to, c.from, c.to)
		}
		issued := time.Now()
		for _, u := range []float64{0, 0.3, 0.7, 1 - 1e-9} {
			if at := refreshAt(issued, issued.Add(c.life), u).Sub(issued); at < from || at > to {
				t.Errorf("a life of %v, u = %v: refreshed after %v, not between %v and %v", c.life, u, at, from, to)
			}
		}
	}
}
