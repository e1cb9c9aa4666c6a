package refresh

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// attempt asks the source once and plans the next attempt. One that failed because ctx has ended
// changes nothing.
func (r *Refresher) attempt(ctx context.Context, limit time.Duration) {
	r.d.wanted = false
	r.publish(turn{calling: true, err: r.d.err, permanent: r.d.permanent})
	begun := r.instant()
	c, asked, err := r.fetch(ctx, limit)
	if err != nil && ctx.Err() != nil {
		return
	}
	i := r.instant()
	// The new credential's life counts from before the call. Otherwise a clock that is set back
	// between the source's look at it and ours would lengthen it.
	k := reckoning{asked}.absorbed(i)
	took := i.run - begun.run
	r.heedSkew(i, k, took)
	if err == nil {
		err = r.accept(c, i, k)
	}
	if err == nil {
		r.healed()
	} else {
		r.failed(err, took)
	}
	r.publish(turn{err: r.d.err, permanent: r.d.permanent})
}

// heedSkew reads the source's measurement of STS's clock and reckons what is held anew by it. So
// even an error's Date decides, after a clock step, what is still valid.
func (r *Refresher) heedSkew(i instant, k reckoning, took time.Duration) {
	if r.o.Skew == nil {
		return
	}
	skew := r.o.Skew()
	if skew == r.d.skew {
		return
	}
	r.d.skew, r.d.shift = skew, shift(skew, took)
	if !r.d.toldSkew && skew.Abs() > skewTold {
		r.d.toldSkew = true
		r.o.Log.Warn("this machine's clock and STS's disagree; lives are reckoned by STS's",
			"ahead_by", skew.Round(time.Second))
	}
	if h := r.held.Load(); h != nil && h.creds.CanExpire {
		s := h.reckonedAnew(i, k, r.d.shift)
		if (s.creds.Expires.Sub(h.creds.Expires)).Abs() > jump {
			r.hold(s)
		}
	}
}

// accept takes what the source returned, unless what is held lives longer.
func (r *Refresher) accept(c aws.Credentials, i instant, k reckoning) error {
	if !c.HasKeys() {
		return errors.New("source returned no keys")
	}
	issued := k.at(i)
	h := &credential{creds: c, stated: c.Expires.Round(0), ends: issued.Add(rolling), clock: k}
	if c.CanExpire {
		h.ends = h.stated.Add(r.d.shift)
		h = h.adjusted(i)
	}
	life := h.ends.Sub(issued)
	if life < leastLife {
		return expiredError{h.ends, life}
	}
	now, old := r.at(), r.held.Load()
	switch {
	case old.valid(now) && same(old.creds, c):
		r.keepSame(h, issued)
	case old.valid(now) && old.creds.CanExpire && c.CanExpire && old.ends.Sub(now) > life:
		r.d.due = now.Add(lookAgain(now, old.ends))
		r.o.Log.Debug("kept what lives longer than what the source returned",
			"expires", old.creds.Expires, "returned", h.creds.Expires)
	default:
		h.due = refreshAt(issued, h.ends, r.rand())
		r.rotations.Add(1)
		r.hold(h)
		r.d.due = h.due
		r.logRotation(old, h, now, life)
	}
	return nil
}

// keepSame handles a source that has not rotated; it may have moved the end.
func (r *Refresher) keepSame(h *credential, now time.Time) {
	wait := lookAgain(now, h.ends)
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
