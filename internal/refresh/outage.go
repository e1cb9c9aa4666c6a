package refresh

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"brs-exec/internal/hint"
)

// failed plans the next attempt, and warns the user once in an outage.
func (r *Refresher) failed(err error, took time.Duration) {
	d := &r.d
	r.failures.Add(1)
	run := r.instant().run
	if d.err == nil {
		d.outageBegan = run - took
	}
	d.err = moreTelling(d.err, err)
	r.noteNothingValid(run)
	now := r.at()
	expires := r.expires(now)
	c := r.classify(err)
	d.permanent = c == permanent
	d.due = nextTry(now.Add(-took), now, retryIn(now, expires, c, r.rand()))
	if a, ok := errors.AsType[retryAfterer](err); ok {
		if at := now.Add(retryAfter(now, expires, a.RetryAfter())); at.After(d.due) {
			d.due = at
		}
	}
	r.warn(now, took, err)
}

// warn logs a failed attempt. It is a warning when an outage begins and when the credentials expire
// in it, else a debug record.
func (r *Refresher) warn(now time.Time, took time.Duration, err error) {
	d, h := &r.d, r.held.Load()
	level, message := slog.LevelDebug, "fetch failed"
	attrs := []slog.Attr{slog.String("event", "refresh_failed")}
	switch {
	case h == nil && d.starting: // Start returns the error
	case h == nil:
		if !d.warned {
			level, message = slog.LevelWarn, "no credentials yet"
		}
	case h.valid(now):
		attrs = append(attrs, slog.Any("expires", ending(h)))
		if !d.warned {
			level, message = slog.LevelWarn, "refresh failed; what is held stays valid"
		}
	default:
		attrs = append(attrs, slog.Time("expired", h.creds.Expires))
		if !d.toldExpired {
			level, message, d.toldExpired = slog.LevelWarn, "credentials have expired and can't be refreshed", true
		}
	}
	if level == slog.LevelWarn {
		d.warned, err = true, d.err
	}
	attrs = append(attrs, slog.Duration("took", took.Round(time.Millisecond)),
		slog.Duration("retry_in", d.due.Sub(now).Round(time.Millisecond)), slog.Any("error", err))
	r.o.Log.LogAttrs(context.Background(), level, message, attrs...)
}

// healed ends the outage, if there was one.
func (r *Refresher) healed() {
	d := &r.d
	if d.warned {
		r.o.Log.Warn("the source answers again", "event", "healed", "expires", ending(r.held.Load()),
			"outage", (r.instant().run - d.outageBegan).Round(time.Millisecond))
	}
	d.err, d.permanent, d.warned, d.toldExpired = nil, false, false, false
}

// ending returns h's end for the log.
func ending(h *credential) any {
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
		if r.roleMayBeNew(err) {
			return passing
		}
		return permanent
	}
	if r.o.Throttled != nil && r.o.Throttled(err) {
		return throttled
	}
	return passing
}

// roleMayBeNew says that err is what a role made seconds ago answers, and that Options.RetryDenied
// is not over.
func (r *Refresher) roleMayBeNew(err error) bool {
	return r.at().Before(r.d.retryDenied) && r.o.Denied != nil && r.o.Denied(err)
}

// moreTelling returns the error of an outage that is shown: the latest, unless that only says that
// time ran out.
func moreTelling(before, latest error) error {
	if before == nil || !errors.Is(latest, context.DeadlineExceeded) && !errors.Is(latest, context.Canceled) {
		return latest
	}
	return before
}

// expired is the error of an answer whose credentials have expired, or will within leastLife. Its
// hint names both possible causes: an STS shows its clock, and lives are reckoned by that; with
// other sources this machine's clock and theirs must agree.
func expired(at time.Time, left time.Duration) error {
	what := fmt.Sprintf("ended %v ago", -left.Round(time.Second))
	switch {
	case left > 0:
		what = fmt.Sprintf("end in %v", left.Round(time.Millisecond))
	case left < -24*time.Hour:
		what = "ended at " + at.UTC().Format(time.RFC3339)
	}
	return hint.Errorf("check this machine's clock (date -u) and what hands out the credentials",
		"source returned credentials that %s", what)
}
