package refresh

import (
	"context"
	"fmt"
	"time"
)

// Start gets the first credentials, trying again for as long as that makes sense, or returns why there are none: the
// source's own last error. What only a person can heal ends it at once.
func (r *Refresher) Start(ctx context.Context) error {
	if !r.begin(ctx) {
		return context.Cause(ctx)
	}
	defer r.end()
	begun := r.at()
	r.d.denied = begun.Add(r.o.RetryDenied)
	for !r.held.Load().valid(r.at()) {
		left := begun.Add(max(r.o.StartTimeout, r.o.RetryDenied)).Sub(r.at())
		r.attempt(ctx, startLimit(left, r.o.ReadTimeout))
		if err := r.giveUp(ctx, begun); err != nil {
			r.settle()
			r.publish(turn{over: true, err: err, fatal: r.d.fatal})
			return err
		}
	}
	return nil
}

// giveUp says why Start goes on no longer, or waits for the next attempt.
func (r *Refresher) giveUp(ctx context.Context, begun time.Time) error {
	d, now := &r.d, r.at()
	switch {
	case ctx.Err() != nil:
		return interrupted(ctx, d.err)
	case d.err == nil:
		return nil
	case d.fatal:
		return d.err
	case r.mayBeNew(d.err):
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

func interrupted(ctx context.Context, err error) error {
	if err == nil {
		return context.Cause(ctx)
	}
	return fmt.Errorf("%w (%w)", err, context.Cause(ctx))
}
