package refresh

import (
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// An instant is one look at both local clocks.
type instant struct {
	wall time.Time     // without monotonic reading; can be set, forwards and backwards
	run  time.Duration // monotonic; stands still while the machine is suspended
}

// A reckoning counts both clocks from the anchor and takes the later of the two.
//
// After a suspend the wall clock is right and the monotonic one late. After the wall clock was set
// back it is the other way round. A wall clock that was set forward can't be told from a suspend,
// nor by CLOCK_BOOTTIME, which stands still in a paused VM. The later one errs on the safe side in
// all three: a credential may be given up too soon, and is then fetched anew, but never too late.
type reckoning struct {
	anchor instant
}

func (k reckoning) at(i instant) time.Time {
	if ran := k.anchor.wall.Add(i.run - k.anchor.run); ran.After(i.wall) {
		return ran
	}
	return i.wall
}

// absorbed moves the anchor to i. A clock that is set back after a suspend then gives no life back.
func (k reckoning) absorbed(i instant) reckoning {
	return reckoning{instant{k.at(i), i.run}}
}

// A credential is what is held, with all that is needed to judge it. It is not changed after it was
// published.
type credential struct {
	creds  aws.Credentials // as handed out: Expires is on this machine's wall clock
	stated time.Time       // Expires as the source said it: on STS's clock
	issued time.Time       // when it was asked for, as reckoned
	ends   time.Time       // when it ends, as reckoned
	due    time.Time       // when its successor is to be fetched, as reckoned
	lag    time.Duration   // reckoned minus wall time; creds.Expires allows for it
	over   time.Duration   // running time of its end, as reckoned when it came: no Date moves it
	clock  reckoning

	// expired says that it was once found so. It stays so then, whatever the wall clock does later.
	// All copies share it: who finds it need not be the driver.
	expired *atomic.Bool
}

// answer returns what a client gets now. steady is false if the clocks have come apart since h was
// published.
func (h *credential) answer(i instant) (c aws.Credentials, valid, steady bool) {
	if !h.creds.CanExpire {
		return h.creds, true, true
	}
	at := h.clock.at(i)
	if h.expired.Load() {
		return aws.Credentials{}, false, true
	}
	if !at.Before(h.ends) {
		h.expired.Store(true)
		return aws.Credentials{}, false, true
	}
	lag := at.Sub(i.wall)
	if (lag - h.lag).Abs() < jump {
		return h.creds, true, true
	}
	c = h.creds
	c.Expires = h.ends.Add(-lag)
	return c, true, false
}

// valid says whether h may be handed out at the reckoned time now; nil may not.
func (h *credential) valid(now time.Time) bool {
	return h != nil && (!h.creds.CanExpire || !h.expired.Load() && now.Before(h.ends))
}

// adjusted returns h with Expires corrected for what the clocks did until i. A lag of less than a
// step is left out, so that Expires stays what it was to the nanosecond.
func (h *credential) adjusted(i instant) *credential {
	s := *h
	if s.lag = h.clock.at(i).Sub(i.wall); s.lag < jump {
		s.lag = 0
	}
	s.creds.Expires = h.ends.Add(-s.lag)
	s.clock = h.clock.absorbed(i)
	return &s
}

// reckonedAnew returns h reckoned from i by STS's own clock, which needs no guess about a step.
func (h *credential) reckonedAnew(i instant, shift time.Duration) *credential {
	s := *h
	s.ends = h.stated.Add(shift)
	if over := i.wall.Add(h.over - i.run); over.Before(s.ends) {
		s.ends = over
	}
	s.due = h.due.Add(i.wall.Sub(h.clock.at(i))) // from the old reckoning's time to the new one's
	s.clock = reckoning{i}
	s.expired = new(atomic.Bool)
	return s.adjusted(i)
}

// same says that the source has not rotated. The secret follows from the key ID and the token.
func same(a, b aws.Credentials) bool {
	return a.AccessKeyID == b.AccessKeyID && a.SessionToken == b.SessionToken
}
