package refresh

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// failed plans the next try and tells the user, once an outage.
func (r *Refresher) failed(err error, took time.Duration) {
	d := &r.d
	r.failures.Add(1)
	run := r.instant().run
	if d.err == nil {
		d.broke = run - took
	}
	d.err = telling(d.err, err)
	r.lack(run)
	now := r.at()
	expires := r.expires(now)
	c := r.classify(err)
	d.fatal = c == permanent
	d.due = nextTry(now.Add(-took), now, retryIn(now, expires, c, r.rand()))
	if a, ok := errors.AsType[retryAfterer](err); ok {
		if at := now.Add(retryAfter(now, expires, a.RetryAfter())); at.After(d.due) {
			d.due = at
		}
	}
	r.warn(now, took, err)
}

// warn makes the one record of a failed attempt: a warning of what it means for the child when an outage begins, and when
// it has outlasted the credentials; the rest is for those who debug.
func (r *Refresher) warn(now time.Time, took time.Duration, err error) {
	d, h := &r.d, r.held.Load()
	level, message := slog.LevelDebug, "fetch failed"
	attrs := []slog.Attr{slog.String("event", "refresh_failed")}
	switch {
	case h == nil: // Start returns the error
	case h.valid(now):
		attrs = append(attrs, slog.Any("expires", ending(h)))
		if !d.warned {
			level, message = slog.LevelWarn, "refresh failed; what is held stays valid"
		}
	default:
		attrs = append(attrs, slog.Time("expired", h.creds.Expires))
		if !d.lost {
			level, message, d.lost = slog.LevelWarn, "credentials have expired and can't be refreshed", true
		}
	}
	if level == slog.LevelWarn {
		d.warned, err = true, d.err
	}
	attrs = append(attrs, slog.Duration("took", took.Round(time.Millisecond)),
		slog.Duration("retry_in", d.due.Sub(now).Round(time.Millisecond)), slog.Any("error", err))
	r.o.Log.LogAttrs(context.Background(), level, message, attrs...)
}

// healed ends the outage, if there is one.
func (r *Refresher) healed() {
	d := &r.d
	if d.warned {
		r.o.Log.Warn("the source answers again", "event", "healed", "expires", ending(r.held.Load()),
			"outage", (r.instant().run - d.broke).Round(time.Millisecond))
	}
	d.err, d.fatal, d.warned, d.lost = nil, false, false, false
}

// ending is for the log.
func ending(h *held) any {
	if !h.creds.CanExpire {
		return "never"
	}
	return h.creds.Expires
}

type retryAfterer interface {
	error
	RetryAfter() time.Duration
}

func (r *Refresher) classify(err error) class {
	if r.o.Permanent != nil && r.o.Permanent(err) {
		if r.mayBeNew(err) {
			return passing
		}
		return permanent
	}
	if r.o.Throttled != nil && r.o.Throttled(err) {
		return throttled
	}
	return passing
}

// mayBeNew: err is what a role that was made seconds ago answers, and time is left for it to be known everywhere.
func (r *Refresher) mayBeNew(err error) bool {
	return r.at().Before(r.d.denied) && r.o.Denied != nil && r.o.Denied(err)
}

// telling is the error of an outage to show: the latest, unless it only says that time ran out and an earlier one says more.
func telling(before, latest error) error {
	if before == nil || !errors.Is(latest, context.DeadlineExceeded) && !errors.Is(latest, context.Canceled) {
		return latest
	}
	return before
}

// An endedError is an answer that is over already, or as good as.
type endedError struct {
	at   time.Time
	left time.Duration
}

func (e endedError) Error() string {
	if e.left > 0 {
		return fmt.Sprintf("source returned credentials that end in %v", e.left.Round(time.Millisecond))
	}
	if e.left < -24*time.Hour {
		return "source returned credentials that ended at " + e.at.UTC().Format(time.RFC3339)
	}
	return fmt.Sprintf("source returned credentials that ended %v ago", -e.left.Round(time.Second))
}

// Hints: where STS is asked and its clock known, lives are reckoned by that; elsewhere the two clocks must agree.
func (endedError) Hints() []string {
	return []string{"check this machine's clock (date -u) and what hands out the credentials"}
}
