package source

import (
	"sync/atomic"
	"time"
)

// RenewableUntil is until when credentials can be had without a person's help, as far as is known now;
// zero if no end is known. What was obtained last may live a little longer.
func (s *Source) RenewableUntil() time.Time {
	var first time.Time
	for _, until := range s.untils {
		if t := until(); !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}

// A deadline is an end that one part of the chain knows; Retrieve may move it while others look.
type deadline struct{ unix atomic.Int64 }

// newDeadline makes one of the chain's, which RenewableUntil heeds.
func (b *builder) newDeadline() *deadline {
	d := new(deadline)
	b.s.untils = append(b.s.untils, d.get)
	return d
}

func (d *deadline) set(t time.Time) {
	if t.IsZero() {
		d.unix.Store(0)
		return
	}
	d.unix.Store(t.Unix())
}

func (d *deadline) get() time.Time {
	if n := d.unix.Load(); n != 0 {
		return time.Unix(n, 0)
	}
	return time.Time{}
}
