package refresh

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// An instant is one look at both local clocks.
type instant struct {
	wall time.Time     // without monotonic reading; can be set, forwards and backwards
	run  time.Duration // monotonic; stands still while the machine is suspended
}

// A reckoning tells the time that both clocks together allow: the later of the two, counted from the anchor.
//
// After a suspend the wall clock is right and the monotonic one late; after a clock was set back it is the other way
// round; one set forward can't be told from a suspend (nor by CLOCK_BOOTTIME: it stands still in a paused VM). The later
// one errs on the safe side in all three: a credential may be given up too soon, and is then fetched anew, never too late.
type reckoning struct {
	anchor instant
}

func (k reckoning) at(i instant) time.Time {
	if ran := k.anchor.wall.Add(i.run - k.anchor.run); ran.After(i.wall) {
		return ran
	}
	return i.wall
}

// absorbed keeps what has been reckoned so far for good: a clock that is set back after a suspend gives no life back.
func (k reckoning) absorbed(i instant) reckoning {
	return reckoning{instant{k.at(i), i.run}}
}

// held is a credential and all that is needed to judge it. It is not changed after it was published.
type held struct {
	creds  aws.Credentials // as handed out: Expires is on this machine's wall clock
	stated time.Time       // Expires as the source said it: on STS's clock
	ends   time.Time       // when it ends, as reckoned
	due    time.Time       // when its successor is to be fetched, as reckoned
	lag    time.Duration   // reckoned minus wall time, as far as creds.Expires accounts for it
	clock  reckoning
}

// answer is what a client gets now. steady is false if the clocks have come apart since the credential was published.
func (h *held) answer(i instant) (c aws.Credentials, valid, steady bool) {
	if !h.creds.CanExpire {
		return h.creds, true, true
	}
	at := h.clock.at(i)
	if !at.Before(h.ends) {
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

// valid says the same of the reckoned time now.
func (h *held) valid(now time.Time) bool {
	return h != nil && (!h.creds.CanExpire || now.Before(h.ends))
}

// steadied is h with everything accounted for that the clocks did until i. A lag that is no step is none: Expires stays
// what it was, to the nanosecond.
func (h *held) steadied(i instant) *held {
	s := *h
	if s.lag = h.clock.at(i).Sub(i.wall); s.lag < jump {
		s.lag = 0
	}
	s.creds.Expires = h.ends.Add(-s.lag)
	s.clock = h.clock.absorbed(i)
	return &s
}

// restated is h reckoned anew, by k, from what STS's clock shows: the one witness that needs no guess.
func (h *held) restated(i instant, k reckoning, shift time.Duration) *held {
	s := *h
	back := h.clock.at(i).Sub(k.at(i)) // from the old reckoning's time to the new one's
	s.ends = h.stated.Add(shift)
	s.due = h.due.Add(-back)
	s.clock = k
	return s.steadied(i)
}

// same: the source has not rotated. The secret follows from the key ID and the token.
func same(a, b aws.Credentials) bool {
	return a.AccessKeyID == b.AccessKeyID && a.SessionToken == b.SessionToken
}
