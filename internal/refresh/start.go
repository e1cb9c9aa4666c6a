package refresh

import (
	"context"
	"fmt"
	"time"
)

// Start gets the first credentials. It tries again until Options.StartTimeout; what only a person
// can heal ends it at once. Its error wraps the source's own.
func (r *Refresher) Start(ctx context.Context) error {
	if !r.acquire(ctx) {
		return context.Cause(ctx)
	}
	defer r.release()
	r.d.starting = true
	defer func() { r.d.starting = false }()
	begun := r.at()
	r.d.retryDenied = begun.Add(r.o.RetryDenied)
	for !r.held.Load().valid(r.at()) {
		left := begun.Add(max(r.o.StartTimeout, r.o.RetryDenied)).Sub(r.at())
		r.attempt(ctx, startLimit(left, r.o.ReadTimeout))
		if err := r.giveUp(ctx, begun); err != nil {
			r.waitForCalls()
			r.publish(turn{stopped: true, err: err, permanent: r.d.permanent})
			return err
		}
	}
	return nil
}

// giveUp returns why Start ends without credentials, or waits until the next attempt is due and
// returns nil.
func (r *Refresher) giveUp(ctx context.Context, begun time.Time) error {
	d, now := &r.d, r.at()
	switch {
	case ctx.Err() != nil:
		return interrupted(ctx, d.err)
	case d.err == nil:
		return nil
	case d.permanent:
		return d.err
	case r.roleMayBeNew(d.err):
	case !d.due.Before(begun.Add(r.o.StartTimeout)):
		return fmt.Errorf("gave up after %v: %w", now.Sub(begun).Round(100*time.Millisecond), d.err)
	}
	if !d.warned && now.Sub(begun) > 3*time.Second {
		d.warned = true
		r.o.Log.Warn("no credentials yet, still trying", "event", "refresh_failed", "error", d.err)
	}
	for r.at().Before(d.due) {
		if !r.sleep(ctx) {
			return interrupted(ctx, d.err)
		}
	}
	return nil
}

// interrupted is the error of a Start that ctx ended, with what was wrong until then.
func interrupted(ctx context.Context, err error) error {
	if err == nil {
		return context.Cause(ctx)
	}
	return fmt.Errorf("%w (%w)", err, context.Cause(ctx))
}
