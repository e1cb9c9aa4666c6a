package refresh

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// attempt asks the source once and plans the next attempt. One that failed because ctx has ended
// changes nothing.
func (r *Refresher) attempt(ctx context.Context, limit time.Duration) {
	r.d.wanted = false
	if renewal := r.d.renewal; renewal != nil {
		r.d.renewal = nil
		defer close(renewal)
	}
	r.publish(turn{calling: true, err: r.d.err, permanent: r.d.permanent})
	begun := r.instant()
	c, calledAt, err := r.fetch(ctx, limit)
	if err != nil && ctx.Err() != nil {
		return
	}
	i := r.instant()
	// The new credential's life counts from before the call. Otherwise a clock that is set back
	// between the source's look at it and ours would lengthen it.
	k := reckoning{calledAt}.absorbed(i)
	took := i.run - begun.run
	if err == nil {
		err = r.accept(c, i, k, i.run-calledAt.run)
	} else {
		r.heedDate(i, took, nil, 0)
	}
	if err == nil {
		r.healed()
	} else {
		r.failed(err, took)
	}
	r.publish(turn{err: r.d.err, permanent: r.d.permanent})
}

// requestedLife is the life that the source asked for when it got c; 0: nobody knows.
func (r *Refresher) requestedLife(c aws.Credentials) time.Duration {
	if r.o.Asked == nil {
		return 0
	}
	return r.o.Asked(c)
}

// accept takes what the source returned, unless what is held lives longer. took is the time since
// it was asked.
func (r *Refresher) accept(c aws.Credentials, i instant, k reckoning, took time.Duration) error {
	if !c.HasKeys() {
		return errors.New("source returned no keys")
	}
	issued := k.at(i)
	requested := r.requestedLife(c)
	doubted := r.heedDate(i, took, &c, requested)
	h := &credential{creds: c, stated: c.Expires.Round(0), issued: issued, ends: issued.Add(rolling), clock: k,
		expired: new(atomic.Bool)}
	if c.CanExpire {
		h.ends = r.d.end(h.stated, i, k, requested, took, doubted)
		h.over = i.run + h.ends.Sub(issued)
		h = h.adjusted(i)
	}
	life := h.ends.Sub(issued)
	if life < leastLife {
		return expired(h.ends, life)
	}
	now, old := r.at(), r.held.Load()
	switch {
	case old.valid(now) && same(old.creds, c):
		if !h.stated.After(old.stated) { // else it has begun a new life
			h.issued = old.issued
		}
		r.keepSame(h, issued)
	case old.valid(now) && old.creds.CanExpire && c.CanExpire && old.ends.Sub(now) > life:
		r.d.due = now.Add(lookAgain(now, old.ends, old.ends.Sub(old.issued)))
		r.o.Log.Debug("kept what lives longer than what the source returned",
			"expires", old.creds.Expires, "returned", h.creds.Expires)
	default:
		h.due = withLeastLeft(r.o.LeastLeft, issued, h.ends, refreshAt(issued, h.ends, r.rand()))
		r.rotations.Add(1)
		r.hold(h)
		r.d.due = h.due
		r.logRotation(old, h, now, life)
	}
	return nil
}

// keepSame handles a source that has not rotated; it may have moved the end.
func (r *Refresher) keepSame(h *credential, now time.Time) {
	wait := lookAgain(now, h.ends, h.ends.Sub(h.issued))
	if !h.creds.CanExpire {
		wait = between(rolling, 0.45, 0.55, r.rand())
	}
	h.due = now.Add(wait)
	r.hold(h)
	r.d.due = h.due
	r.o.Log.Debug("source returned the same credentials", "expires", h.creds.Expires, "look_in", wait)
}

// logRotation tells of h, which has taken old's place.
func (r *Refresher) logRotation(old, h *credential, now time.Time, life time.Duration) {
	if h.creds.CanExpire {
		attrs := []slog.Attr{slog.String("event", "rotated"),
			slog.Time("expires", h.creds.Expires), slog.Duration("life", life.Round(time.Second))}
		if old != nil && old.creds.CanExpire {
			attrs = append(attrs, slog.Duration("left", max(old.ends.Sub(now), 0).Round(time.Millisecond)))
		}
		r.o.Log.LogAttrs(context.Background(), slog.LevelInfo, "new credentials", attrs...)
		return
	}
	if !r.d.toldEndless && h.creds.SessionToken != "" { // long-term keys don't end
		r.d.toldEndless = true
		r.o.Log.Warn("credentials do not say when they end; nothing can refresh them")
	}
}
