package rehearse

import (
	"net/netip"
	"strings"
	"time"
)

// subject is a process that fetched, or a number of them that all ended early.
type subject struct {
	pid       int // 0: not to be seen
	processes int
	name      string

	fetches     int
	bursts      int // fetches within burst of the first of them count as one
	first, last time.Time
	since       time.Time     // of the latest burst
	gap         time.Duration // the longest between two fetches
	expires     time.Time     // of the newest copy, as told
	ends        time.Time     // of the same, really; zero: never
	life        time.Duration // that the last fetch was told: expires less last

	alive  time.Time        // when it was last seen
	held   map[uint32]*held // its connections at the first look after expires; nil before
	talked time.Time        // when it was last seen to use the network after expires; zero: never
	to     netip.AddrPort   // what it talked to
}

// held is a connection that was there when the copy had ended.
type held struct {
	sent, received uint64
	answered       bool // since then: what is sent from now on is a further request
}

// burst is how close to each other the fetches of one start are: of an SDK that asks more than once before its first
// call, or of two clients that are made together.
const burst = time.Second

func (s *subject) fetched(at, expires, ends time.Time) {
	if s.fetches == 0 {
		s.first, s.last = at, at
	}
	if s.fetches == 0 || at.Sub(s.since) > burst {
		s.bursts++
		s.since = at
	}
	s.gap = max(s.gap, at.Sub(s.last))
	s.fetches++
	s.last, s.alive = at, at
	s.life = expires.Sub(at)
	s.expires, s.ends = expires, ends
	s.held, s.talked = nil, time.Time{}
}

// over reports whether the newest copy has ended.
func (s *subject) over(at time.Time) bool { return !at.Before(s.expires) }

// seen notes that the process lived at that time.
func (s *subject) seen(at time.Time) {
	if at.After(s.alive) { // else it fetched since
		s.alive = at
	}
}

// compare looks for what the process did, once its copy was over, on its connections to others than the endpoint.
func (s *subject) compare(at time.Time, conns []Conn) {
	if at.Before(s.last) || !s.over(at) {
		return // it fetched meanwhile
	}
	if s.held == nil {
		s.held = make(map[uint32]*held)
		for _, c := range conns {
			s.held[c.Inode] = &held{sent: c.Sent, received: c.Received}
		}
		return
	}
	for _, c := range conns {
		if s.uses(c) {
			s.talked, s.to = at, c.Remote
		}
	}
}

// uses reports whether something was begun on a connection since the copy's end.
func (s *subject) uses(c Conn) bool {
	h := s.held[c.Inode]
	if h == nil {
		s.held[c.Inode] = &held{c.Sent, c.Received, true}
		return true
	}
	further := h.answered && c.Sent > h.sent
	h.answered = h.answered || c.Received > h.received
	h.sent, h.received = c.Sent, c.Received
	return further
}

// next is when it is worth looking again.
func (s *subject) next(at time.Time) time.Duration {
	switch {
	case !s.over(at):
		return max(min(s.expires.Sub(at), loosely), closely)
	case s.talked.IsZero():
		return closely
	}
	return loosely
}

// early reports whether it was not seen to outlive its newest copy.
func (s *subject) early() bool { return s.pid != 0 && s.alive.Before(s.expires) }

// proven reports whether its fetches go on: they span a life. What it talks to after the last is then not AWS.
func (s *subject) proven() bool { return s.bursts > 1 && s.span() >= s.life }

func (s *subject) span() time.Duration { return s.last.Sub(s.first) }

// again reports whether it fetched again and not only twice at its start, as an SDK may that takes a while to come up.
func (s *subject) again() bool { return s.bursts > 2 || s.bursts == 2 && s.span() >= s.life/2 }

func (s *subject) judge() Kind {
	switch {
	case s.pid == 0:
		return NotExercised // it may be any number of processes
	case !s.talked.IsZero() && !s.proven():
		if s.kept() {
			return NotExercised
		}
		return WouldFail
	case s.again():
		return Refreshes
	}
	return NotExercised
}

// keepsUpTo is how long the Java SDK 2 of 2026 keeps credentials that came in their last minute, past their end.
const keepsUpTo = 10 * time.Minute

// kept reports whether it may be that SDK, which this rehearsal is too short for.
func (s *subject) kept() bool {
	program, _, _ := strings.Cut(s.name, " ")
	return program == "java" && s.life <= time.Minute && s.talked.Sub(s.last) <= keepsUpTo
}

// join adds another process of the same name.
func (s *subject) join(o *subject) {
	s.processes += o.processes
	s.fetches += o.fetches
	s.life = max(s.life, o.life)
	if o.first.Before(s.first) {
		s.first = o.first
	}
}
