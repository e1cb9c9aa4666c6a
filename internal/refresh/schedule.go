package refresh

import "time"

// Every decision about time is here, as a function of its arguments: no clock, no random source, no
// goroutine. u is a random number, uniform in [0, 1).
const (
	// lookEvery bounds every sleep of the loop: timers stand still while the machine is suspended,
	// wall time does not.
	lookEvery = 30 * time.Second
	// leastLife is the shortest life with which an answer is of use.
	leastLife = time.Second
	// rolling is the life that credentials without an end are given: clients demand an end.
	rolling = time.Hour
	// leastLook is the least time between two looks at a source that has not rotated; of a short
	// life a quarter. It keeps a nested brs-exec from asking the outer one all the time.
	leastLook = 5 * time.Second
	// skewTold is the skew from which the user is told. AWS accepts signatures of a clock that is
	// five minutes off.
	skewTold = time.Minute
	// skewDoubted is the skew, in whole minutes, above which one Date alone is never believed.
	skewDoubted = time.Hour
	// century bounds what is a time at all, and not an overflow.
	century = 100 * 365 * 24 * time.Hour
	// jump is how far wall time and running time may drift apart between two looks before it was a
	// step or a suspend. A leap second must not count as a step: a whole fleet would fetch at once.
	jump = 2 * time.Second
)

// A class of failures decides how soon the next attempt comes.
type class int

const (
	passing   class = iota // 5xx, network, an answer of no use
	throttled              // STS has too much to do already
	permanent              // only a person can heal it
)

// refreshAt returns when a credential's successor is fetched: at about half of its life. That is
// spread, so that a fleet which one cron line started does not refresh in step.
func refreshAt(issued, expires time.Time, u float64) time.Time {
	return issued.Add(between(expires.Sub(issued), 0.45, 0.55, u))
}

// withLeastLeft brings due forward so that least is left of the life then. A life of less than 30 s
// more keeps its due: its successor would be asked for all the time.
func withLeastLeft(least time.Duration, issued, expires, due time.Time) time.Time {
	early := expires.Add(-least)
	if least == 0 || early.Sub(issued) < 30*time.Second || due.Before(early) {
		return due
	}
	return early
}

// Window returns the earliest and the latest time, from a credential's issue, at which its
// successor is fetched.
func Window(life time.Duration) (from, to time.Duration) {
	var issued time.Time
	expires := issued.Add(life)
	return refreshAt(issued, expires, 0).Sub(issued), refreshAt(issued, expires, 1).Sub(issued)
}

// lookAgain returns the delay after a source handed out the same credential again, or a
// shorter-lived one. It never reaches past the end of what is held, whose whole life is given.
func lookAgain(now, expires time.Time, life time.Duration) time.Duration {
	left := expires.Sub(now)
	d := min(max(30*time.Second, left/4), left/2)
	return max(min(max(d, min(leastLook, life/4)), left), 0)
}

// retryIn returns the delay from the start of a failed attempt to the start of the next.
func retryIn(now, expires time.Time, c class, u float64) time.Duration {
	if now.Before(expires) {
		return retryValid(expires.Sub(now), c, u)
	}
	return retryExpired(now.Sub(expires), c, u)
}

// retryValid spreads the attempts over what is left of a valid credential: no client suffers yet,
// and few calls find the outage's end in time. Until the last moments it never waits for more than
// half of what is left.
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

// retryExpired grows with the time since the end, so that healing is noticed within a third of that
// time, or 2 s.
//
// A throttled source is asked after a third of that time, from 2 s on. Doubled quarters would cost
// more calls in the first minute and miss the bound.
func retryExpired(since time.Duration, c class, u float64) time.Duration {
	switch c {
	case throttled:
		return between(min(max(since/3, 2*time.Second), 30*time.Second), 0.85, 1, u)
	case permanent:
		return between(15*time.Second, 0.75, 1.25, u)
	}
	return between(min(max(since/4, 250*time.Millisecond), 15*time.Second), 0.75, 1.25, u)
}

// retryAfter bounds a server's Retry-After: by the end of what is held, and after that by our own
// longest delay.
func retryAfter(now, expires time.Time, asked time.Duration) time.Duration {
	if left := expires.Sub(now); left > 0 {
		return min(asked, left, 5*time.Minute)
	}
	return min(asked, 30*time.Second)
}

// nextTry returns when the next attempt begins. The time that the failed one took counts as
// waiting: else a hanging STS would be asked more rarely than one that refuses at once, and its
// healing be noticed too late.
func nextTry(begun, ended time.Time, delay time.Duration) time.Time {
	if at := begun.Add(delay); at.After(ended.Add(delay / 4)) {
		return at
	}
	return ended.Add(delay / 4)
}

// attemptLimit returns how long one attempt may take. It shrinks until the end and grows again
// after it: an STS that needs 3 s for an answer would otherwise never be heard.
func attemptLimit(now, expires time.Time, readTimeout time.Duration) time.Duration {
	return min(readTimeout, max(time.Second, expires.Sub(now).Abs()/4))
}

// startLimit returns the same for the first credentials; left is what remains of the start timeout.
func startLimit(left, readTimeout time.Duration) time.Duration {
	return min(readTimeout, max(time.Second, left/4), left)
}

// afterJump spreads the fetch that follows a clock step or a resume: a hypervisor does that to many
// machines at once.
func afterJump(now, expires time.Time, u float64) time.Duration {
	return between(min(max(expires.Sub(now)/8, 0), lookEvery), 0, 1, u)
}

// shift returns what is added to STS's Expiration to have it on this machine's clock. skew is local
// minus STS time, read from an answer that took took.
//
// A clock that is a little fast shortens lives by as much, which does no harm: then the shift is 0,
// and the Expiration that is served is STS's own. A clock that is slow would have us serve what has
// expired, so any slowness counts. A second is taken off because the Date header has no fractions,
// and took because Date may be as old as the answer was slow: both make skew too large.
func shift(skew, took time.Duration) time.Duration {
	if 0 <= skew && skew <= skewTold {
		return 0
	}
	return skew - time.Second - took
}

// between returns d × U(low, high). The inner conversion keeps compilers from fusing multiplication
// and addition, so that docs/evidence/fleet.md comes out the same on every machine.
func between(d time.Duration, low, high, u float64) time.Duration {
	return time.Duration(float64(d) * (low + float64((high-low)*u)))
}
