package refresh

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// attempt asks the source once and plans the next attempt. One that our own end cut short counts for nothing.
func (r *Refresher) attempt(ctx context.Context, limit time.Duration) {
	r.d.asked = false
	r.publish(turn{flying: true, err: r.d.err, fatal: r.d.fatal})
	begun := r.instant()
	c, asked, err := r.fetch(ctx, limit)
	if err != nil && ctx.Err() != nil {
		return
	}
	i := r.instant()
	// Reckoned from before the call: a clock that is set back between the source's look at it and ours gives no life.
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
	r.publish(turn{err: r.d.err, fatal: r.d.fatal})
}

// heedSkew reads what the source saw of STS's clock. After a clock step even an error's Date settles what is still valid.
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
		r.o.Log.Warn("this machine's clock and STS's disagree; lives are reckoned by STS's", "ahead_by", skew.Round(time.Second))
	}
	if h := r.held.Load(); h != nil && h.creds.CanExpire {
		s := h.restated(i, k, r.d.shift)
		if (s.creds.Expires.Sub(h.creds.Expires)).Abs() > jump {
			r.hold(s)
		}
	}
}

// accept takes what the source brought, unless what is held is better.
func (r *Refresher) accept(c aws.Credentials, i instant, k reckoning) error {
	if !c.HasKeys() {
		return errors.New("source returned no keys")
	}
	issued := k.at(i)
	h := &held{creds: c, stated: c.Expires.Round(0), ends: issued.Add(rolling), clock: k}
	if c.CanExpire {
		h.ends = h.stated.Add(r.d.shift)
		h = h.steadied(i)
	}
	life := h.ends.Sub(issued)
	if life < leastLife {
		return endedError{h.ends, life}
	}
	now, old := r.at(), r.held.Load()
	switch {
	case old.valid(now) && same(old.creds, c):
		r.repeated(h, issued)
	case old.valid(now) && old.creds.CanExpire && c.CanExpire && old.ends.Sub(now) > life:
		r.d.due = now.Add(lookAgain(now, old.ends))
		r.o.Log.Debug("kept what lives longer than what the source returned", "expires", old.creds.Expires, "returned", h.creds.Expires)
	default:
		h.due = refreshAt(issued, h.ends, r.rand())
		r.rotate(old, h, now)
		r.tell(old, h, now, life)
	}
	return nil
}

// repeated: the source has not rotated, but may have moved the end.
func (r *Refresher) repeated(h *held, now time.Time) {
	wait := lookAgain(now, h.ends)
	if !h.creds.CanExpire {
		wait = between(rolling, 0.45, 0.55, r.rand())
	}
	h.due = now.Add(wait)
	r.hold(h)
	r.d.due = h.due
	r.o.Log.Debug("source returned the same credentials", "expires", h.creds.Expires, "look_in", wait)
}

func (r *Refresher) rotate(old, h *held, now time.Time) {
	if old != nil && old.creds.CanExpire {
		left := int64(max(old.ends.Sub(now), 0))
		if r.rotations.Load() == 1 || left < r.leastLeft.Load() {
			r.leastLeft.Store(left)
		}
	}
	r.rotations.Add(1)
	r.hold(h)
	r.d.due = h.due
}

func (r *Refresher) tell(old, h *held, now time.Time, life time.Duration) {
	if h.creds.CanExpire {
		attrs := []slog.Attr{slog.String("event", "rotated"), slog.Time("expires", h.creds.Expires), slog.Duration("life", life.Round(time.Second))}
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
