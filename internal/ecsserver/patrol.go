package ecsserver

import (
	"context"
	"net/http"
	"time"
)

// limits are how long a connection may be in one state, and how often it is looked at. net/http's own timeouts change
// half a dozen timers per request, three per cent of what a GET costs; this costs a GET nothing.
type limits struct {
	// ask is for the first header. Ten seconds is far more than an SDK needs on a machine that swaps: who takes
	// longer is broken or means harm.
	ask time.Duration
	// answer is from the end of the header until the answer is taken and the body, if any, has come. It must
	// exceed Options.Wait.
	answer time.Duration
	// idle must exceed what clients keep a connection for, or their next request races our close: Go and
	// Rust's hyper 90 s, Java's Apache client 60 s. The header of a later request counts as idle, too.
	idle time.Duration
	// look is the time between two looks, and how exact the others are.
	look time.Duration
}

var defaultLimits = limits{ask: 10 * time.Second, answer: 10 * time.Second, idle: 2 * time.Minute, look: time.Second}

// patrol closes what is overdue. It sleeps while no connection is open.
func (l *listener) patrol(ctx context.Context) {
	now := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.opened:
		}
		for open := 1; open > 0; {
			slept := time.Now()
			if within(ctx.Done(), l.limits.look) {
				return
			}
			now = now.Add(l.limits.counted(time.Since(slept)))
			open = l.conns.closeOverdue(now, l.limits) + l.foreigners.closeOverdue(now, l.limits)
		}
	}
}

// counted is how much of the time since the last look is a connection's. When we were stopped (Ctrl-Z, a container's
// freezer) or got no processor, neither could its goroutine go on.
func (lim limits) counted(d time.Duration) time.Duration { return min(d, 2*lim.look) }

// closeOverdue returns how many connections are left.
func (s *conns) closeOverdue(now time.Time, lim limits) (open int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.all {
		if v := c.state.Load(); v != c.seen {
			c.seen, c.since = v, now
		} else if now.Sub(c.since) >= lim.of(c.phase()) {
			c.Close() // its goroutine ends and removes it
		}
	}
	return s.strangers.Len() + s.friends.Len()
}

func (lim limits) of(state http.ConnState) time.Duration {
	switch state {
	case http.StateNew:
		return lim.ask
	case http.StateIdle:
		return lim.idle
	}
	return lim.answer
}
