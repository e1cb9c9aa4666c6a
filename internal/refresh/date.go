package refresh

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// A Date is one header of one answer. A cache, a proxy or a server whose clock is wrong sends a
// wrong one, and a wrong one lengthens every life that is reckoned by it. So a Date counts only
// where something else bears it out: the answer that it came with, this machine's clocks, or a
// second answer.

// A dating is one measurement of STS's clock.
type dating struct {
	at   instant
	skew time.Duration // the wall clock minus STS's
	took time.Duration // by the answer: Date may be as old
}

// date is STS's time at d.at.
func (d *dating) date() time.Time { return d.at.wall.Add(-d.skew) }

// clock counts on from d, as a credential's does.
func (d *dating) clock() reckoning { return reckoning{d.at} }

// tolerance is how far Dates may lie apart that say the same: they have no fractions, and are as
// old as their answers were slow.
func (d *dating) tolerance() time.Duration { return jump + time.Second + d.took }

// ran says whether the later dating m is what the running clock makes of d: the machine has not
// slept in between.
func (d *dating) ran(m *dating) bool {
	return m.date().Sub(d.date().Add(m.at.run-d.at.run)).Abs() <= d.tolerance()+m.took
}

// slept says whether m is what the wall clock makes of d: the machine may have slept. STS's clock
// doesn't go back, so a Date that the running clock has passed bears nothing out: the wall clock
// has only been set back by as much as the Date is wrong.
func (d *dating) slept(m *dating) bool {
	return (m.skew-d.skew).Abs() <= d.tolerance()+m.took && m.date().After(d.date().Add(m.at.run-d.at.run))
}

func (d *dating) agrees(m *dating) bool { return d != nil && (d.ran(m) || d.slept(m)) }

// believes reports whether the Date m is believed. c are the credentials of the same answer, for
// which a life was requested (0: nobody knows); nil: the answer was an error. A wrong Date of an
// error must neither lengthen nor end anything: it is believed only if it says nothing new.
func (d *driver) believes(m *dating, c *aws.Credentials, requested time.Duration) bool {
	if d.dated.agrees(m) {
		return true
	}
	if c == nil {
		return false
	}
	life := c.Expires.Sub(m.date())
	if requested > 0 && life > requested+m.tolerance() {
		// STS gives no longer life than it was asked for. Its time is what that makes it, if
		// anything bears that out.
		m.skew -= life - requested
		return d.dated.agrees(m) || d.dated == nil && d.doubted.agrees(m)
	}
	if requested > 0 && life >= requested-m.tolerance() || d.doubted.agrees(m) {
		return true // Expiration says the same, or a second answer
	}
	// The first is believed without a witness if nobody knows what was asked for, or if it only
	// shortens lives.
	return d.dated == nil && (requested == 0 || m.skew <= skewTold) && m.skew.Abs().Round(time.Minute) <= skewDoubted
}

// heedDate reads the source's measurement of STS's clock. It returns one that is doubted.
func (r *Refresher) heedDate(i instant, took time.Duration, c *aws.Credentials, requested time.Duration) *dating {
	if r.o.Skew == nil {
		return nil
	}
	skew, d := r.o.Skew(), &r.d
	if skew == d.skew || skew.Abs() > century {
		return nil
	}
	d.skew = skew
	m := &dating{i, skew, took}
	if !d.believes(m, c, requested) {
		d.doubted = m
		return m
	}
	awake := d.dated != nil && d.dated.ran(m)
	d.dated = m
	if !d.toldSkew && m.skew.Abs() > skewTold {
		d.toldSkew = true
		r.o.Log.Warn("this machine's clock and STS's disagree; lives are reckoned by STS's",
			"ahead_by", m.skew.Round(time.Second))
	}
	if awake {
		r.restore(i, shift(m.skew, took))
	}
	return nil
}

// restore gives what is held the life back that a wall clock set forward has taken: STS's Date and
// the running clock agree that the machine has not slept. It never gives more than there was.
func (r *Refresher) restore(i instant, shift time.Duration) {
	h := r.held.Load()
	if h == nil || !h.creds.CanExpire {
		return
	}
	s, now := h.reckonedAnew(i, shift), h.clock.at(i)
	left := s.ends.Sub(i.wall)
	if !h.valid(now) && left > 0 || left > h.ends.Sub(now)+jump {
		r.hold(s)
	}
}

// end returns when a credential that ends at stated by STS's clock does so as k reckons. took is
// the time since it was asked for.
func (d *driver) end(
	stated time.Time, i instant, k reckoning, requested, took time.Duration, doubted *dating,
) time.Time {
	now, ends := k.at(i), stated
	if b := d.dated; b != nil {
		ends = stated.Add(shift(b.skew, b.took))
		if set := b.clock().at(i).Sub(now); set.Abs() >= jump { // the wall clock was, since
			ends = ends.Add(-set)
		}
	} else if doubted != nil { // it may shorten a life, but not refuse it
		if left := stated.Sub(doubted.date()) - time.Second - took; left >= leastLife && left < ends.Sub(now) {
			ends = now.Add(left)
		}
	}
	if requested > 0 && ends.Sub(now) > requested {
		ends = now.Add(requested - took - time.Second) // a second, for Expiration has no fractions
	}
	return ends
}
