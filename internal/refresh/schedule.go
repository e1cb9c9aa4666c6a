package refresh

import "time"

// Every decision about time is a function of what it is given: no clock, no random source, no goroutine.
// u is uniform in [0, 1).
const (
	// lookEvery bounds every sleep of the loop: timers stand still while the machine is suspended, wall time does not.
	lookEvery = 30 * time.Second
	// leastLife is the shortest life with which an answer is of use to anybody.
	leastLife = time.Second
	// rolling is the life that credentials without an end are treated as having: clients demand one.
	rolling = time.Hour
	// leastLook keeps a nested brs-exec from asking the outer one all the time.
	leastLook = 5 * time.Second
	// skewTold: below it, clocks are in step for all that AWS cares (signatures are good for five minutes).
	skewTold = time.Minute
	// jump is how far wall time and running time may drift apart between two looks before it was a step or a suspend.
	// A leap second is none: a whole fleet would fetch at once.
	jump = 2 * time.Second
)

// A class of failure decides how soon it is worth trying again.
type class int

const (
	passing   class = iota // 5xx, network, an answer of no use
	throttled              // STS has too much to do already
	permanent              // only a person can heal it
)

// refreshAt is when a credential's successor is fetched: about half of its life, spread so that a fleet which one
// cron line started does not refresh in step. Lives of seconds are let go further: what is half over when it comes is
// another's, who has no successor yet and is not to be asked more often than every 5 s.
func refreshAt(issued, expires time.Time, u float64) time.Time {
	life := expires.Sub(issued)
	return issued.Add(max(between(life, 0.45, 0.55, u), min(leastLook, life-500*time.Millisecond)))
}

// Window is when the successor of a credential with such a life is fetched, counted from its issue.
func Window(life time.Duration) (from, to time.Duration) {
	var issued time.Time
	expires := issued.Add(life)
	return refreshAt(issued, expires, 0).Sub(issued), refreshAt(issued, expires, 1).Sub(issued)
}

// lookAgain is how long to leave alone a source that handed out the same credential again, or a shorter-lived one.
// It never sleeps past the end of what is held.
func lookAgain(now, expires time.Time) time.Duration {
	left := expires.Sub(now)
	d := min(max(30*time.Second, left/4), left/2)
	return max(min(max(d, leastLook), left), 0)
}

// retryIn is the delay from the start of a failed attempt to the start of the next.
func retryIn(now, expires time.Time, c class, u float64) time.Duration {
	if now.Before(expires) {
		return retryValid(expires.Sub(now), c, u)
	}
	return retryExpired(now.Sub(expires), c, u)
}

// retryValid spreads the tries over what is left, so that the fewest calls still find every outage's end in time:
// nobody suffers yet. Never past half of what is left, but for the last moments.
func retryValid(left time.Duration, c class, u float64) time.Duration {
	d, last, low := min(max(left/8, time.Second), 5*time.Minute), 500*time.Millisecond, 0.5
	switch c {
	case throttled:
		d, last, low = 2*d, 2*last, 0.75
	case permanent:
		d = 5 * time.Minute
	}
	return between(min(d, max(left/2, last)), low, 1, u)
}

// retryExpired grows with the time since the end: the healing is noticed within a third of it, or 2 s.
//
// DESIGN's doubling for throttling would miss that bound; starting at 2 s and growing by thirds keeps it and costs fewer
// calls in the first minute than doubled quarters do.
func retryExpired(since time.Duration, c class, u float64) time.Duration {
	switch c {
	case throttled:
		return between(min(max(since/3, 2*time.Second), 30*time.Second), 0.85, 1, u)
	case permanent:
		return between(15*time.Second, 0.75, 1.25, u)
	}
	return between(min(max(since/4, 250*time.Millisecond), 15*time.Second), 0.75, 1.25, u)
}

// retryAfter bounds what a server's Retry-After can ask: not beyond the end of what is held, and once that is over not
// beyond our own longest delay.
func retryAfter(now, expires time.Time, asked time.Duration) time.Duration {
	if left := expires.Sub(now); left > 0 {
		return min(asked, left, 5*time.Minute)
	}
	return min(asked, 30*time.Second)
}

// nextTry: the time that a failed attempt took counts as waiting, or a hanging STS would be asked more rarely than one
// that refuses at once, and its healing be noticed too late.
func nextTry(begun, ended time.Time, delay time.Duration) time.Time {
	if at := begun.Add(delay); at.After(ended.Add(delay / 4)) {
		return at
	}
	return ended.Add(delay / 4)
}

// attemptLimit is how long one attempt may take. Once expired it grows again: an STS that needs 3 s would otherwise never
// be heard.
func attemptLimit(now, expires time.Time, readTimeout time.Duration) time.Duration {
	return min(readTimeout, max(time.Second, expires.Sub(now).Abs()/4))
}

// startLimit is the same for the first credentials; left is what remains of the start timeout.
func startLimit(left, readTimeout time.Duration) time.Duration {
	return min(readTimeout, max(time.Second, left/4), left)
}

// afterJump spreads the fetch that follows a clock step or a resume: a hypervisor does that to many machines at once.
func afterJump(now, expires time.Time, u float64) time.Duration {
	return between(min(max(expires.Sub(now)/8, 0), lookEvery), 0, 1, u)
}

// shift is what is added to STS's Expiration to have it on this machine's clock; skew is local minus STS, read from an
// answer that took so long.
//
// A clock that is a little fast shortens lives by as much, which hurts nobody: 0, and the Expiration served is STS's own.
// A clock that is a little slow would have us serve what has ended, so it counts from the first instant. The second taken
// off is what the Date header cuts off, and Date may be as old as the answer was slow: skew reads too large by both.
func shift(skew, took time.Duration) time.Duration {
	if 0 <= skew && skew <= skewTold {
		return 0
	}
	return skew - time.Second - took
}

// between is d × U(low, high). The conversion keeps compilers from fusing: docs/fleet.md is the same on every machine.
func between(d time.Duration, low, high, u float64) time.Duration {
	return time.Duration(float64(d) * (low + float64((high-low)*u)))
}
