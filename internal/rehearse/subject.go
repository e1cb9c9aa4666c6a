package rehearse

import (
	"net/netip"
	"strings"
	"time"

	"brs-exec/internal/procfs"
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

	alive   time.Time           // when it was last seen
	carried map[uint32]*traffic // by its connections, since the first look after expires; nil before
	talked  time.Time           // when it was last seen to use the network after expires; zero: never
	to      netip.AddrPort      // what it talked to
}

// traffic is what a connection had carried at the last look.
type traffic struct {
	sent, received uint64
	answered       bool // since the copy's end: what is sent from now on is a further request
}

// burst is how close to each other the fetches of one start are: of an SDK that asks more than once
// before its first call, or of two clients that are made together.
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
	s.carried, s.talked = nil, time.Time{}
}

// expired reports whether the newest copy has ended.
func (s *subject) expired(at time.Time) bool { return !at.Before(s.expires) }

// seenAlive notes that the process lived at that time.
func (s *subject) seenAlive(at time.Time) {
	if at.After(s.alive) { // else it fetched since
		s.alive = at
	}
}

// observe looks for what the process did, once its copy was over, on its connections to others than
// the endpoint.
func (s *subject) observe(at time.Time, conns []procfs.Socket) {
	if at.Before(s.last) || !s.expired(at) {
		return // it fetched meanwhile
	}
	if s.carried == nil {
		s.carried = make(map[uint32]*traffic)
		for _, c := range conns {
			s.carried[c.Inode] = &traffic{sent: c.Sent, received: c.Received}
		}
		return
	}
	for _, c := range conns {
		if s.isNewTalk(c) {
			s.talked, s.to = at, c.Remote
		}
	}
}

// isNewTalk reports whether something was begun on a connection since the copy's end.
func (s *subject) isNewTalk(c procfs.Socket) bool {
	last := s.carried[c.Inode]
	if last == nil {
		s.carried[c.Inode] = &traffic{c.Sent, c.Received, true}
		return true
	}
	further := last.answered && c.Sent > last.sent
	last.answered = last.answered || c.Received > last.received
	last.sent, last.received = c.Sent, c.Received
	return further
}

// nextLook is when it is worth looking again.
func (s *subject) nextLook(at time.Time) time.Duration {
	switch {
	case !s.expired(at):
		return max(min(s.expires.Sub(at), loosely), closely)
	case s.talked.IsZero():
		return closely
	}
	return loosely
}

// endedEarly reports whether it was not seen to outlive its newest copy.
func (s *subject) endedEarly() bool { return s.pid != 0 && s.alive.Before(s.expires) }

// keepsFetching reports whether its fetches go on: they span a life. What it talks to after the
// last is then not AWS.
func (s *subject) keepsFetching() bool { return s.bursts > 1 && s.span() >= s.life }

func (s *subject) span() time.Duration { return s.last.Sub(s.first) }

// fetchedAgain reports whether it fetched again. A second fetch at the start doesn't count: an SDK
// that takes a while to come up may make one.
func (s *subject) fetchedAgain() bool { return s.bursts > 2 || s.bursts == 2 && s.span() >= s.life/2 }

func (s *subject) judge() Kind {
	switch {
	case s.pid == 0:
		return NotExercised // it may be any number of processes
	case !s.talked.IsZero() && !s.keepsFetching():
		if s.mayBeCaching() {
			return NotExercised
		}
		return WouldFail
	case s.fetchedAgain():
		return Refreshes
	}
	return NotExercised
}

// keepsUpTo is how long past their end the Java SDK 2 of 2026 keeps credentials that it got in
// their last minute.
const keepsUpTo = 10 * time.Minute

// mayBeCaching reports whether it may be that SDK, which this rehearsal is too short for.
func (s *subject) mayBeCaching() bool {
	program, _, _ := strings.Cut(s.name, " ")
	return program == "java" && s.life <= time.Minute && s.talked.Sub(s.last) <= keepsUpTo
}

// merge adds another process of the same name.
func (s *subject) merge(o *subject) {
	s.processes += o.processes
	s.fetches += o.fetches
	s.life = max(s.life, o.life)
	if o.first.Before(s.first) {
		s.first = o.first
	}
}
