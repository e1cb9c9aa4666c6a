// Package rehearse tells which of the processes that fetch credentials will live longer than those.
//
// A rehearsal is a run whose credentials are real but are said to end soon. A program that heeds what it is told
// fetches again; one that read them once goes on with a copy that, at night, AWS would refuse. Which of the two a
// process is, is judged by what can be seen from outside: when it fetched, and whether it used the network after its
// copy had ended.
//
// # Verdicts
//
// Refreshes: it fetched again, later than in the burst of its start (SDKs with a small window, and several clients in
// one process, fetch more than once within a second). WouldFail: its last copy had ended, and then it opened a TCP
// connection to something other than the endpoint, or sent a further request on one that it had. NotExercised: neither
// was seen. What is not a request proves nothing: a connection that is only held (a pool), or on which something is
// still sent and nothing was answered (an upload that began in time), or only received (a download).
//
// A process whose fetches span a whole life or more is known to refresh; that it talks to something at the end, after
// its last copy, is then taken for talk with others than AWS. One that fetched only at its start and then talks to a
// database for longer than a life can't be told from one that would fail: the verdict names whom it talked to.
//
// Nothing is known of a copy that was handed on: to a child in its environment, to a forked worker that doesn't fetch.
//
// # How it looks
//
// Linux only: /proc/PID/stat and /proc/PID/fd of those who fetched, and sock_diag(7) for the connections with their
// byte counts. Of a process its name and its first argument that is a file are kept, never the rest of the command
// line. A process that can't be seen (another user's) is a subject, too, of whom nothing can be proved.
//
// # Concurrency
//
// Fetched may be called by any number of goroutines, before the answer is sent; Run looks until its context ends;
// Verdicts, called once the command has ended, takes a last look. Times are wall time, as the clients judge.
package rehearse

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Watch observes one rehearsal.
type Watch struct {
	system system

	mu       sync.Mutex     // guards what follows
	endpoint netip.AddrPort // talk with it doesn't count
	living   map[id]*subject
	ended    []*subject
	brief    map[string]*subject // of those that fetched once and ended early, all of one name as one
}

// id is a process for ever: its number is used again.
type id struct {
	pid   int
	birth uint64 // clock ticks since boot; 0 with a pid of 0: all that can't be seen
}

// system is what is asked of the operating system; a test has its own.
type system struct {
	// birth returns when a process was started; ok is false when it is gone (a zombie is).
	birth func(pid int) (ticks uint64, ok bool)
	// name is that of the program and its first argument that is a file.
	name func(pid int) string
	// connections returns the open TCP connections of these processes; ok is false when they can't be seen.
	connections func(pids []int) (whose map[int][]Conn, ok bool)
}

// Conn is an open TCP connection, as one look saw it.
type Conn struct {
	Inode          uint32
	Remote         netip.AddrPort // an IPv4 address as such
	Sent, Received uint64         // bytes so far
}

// New begins a rehearsal.
func New() *Watch {
	return &Watch{
		system: newSystem(),
		living: make(map[id]*subject),
		brief:  make(map[string]*subject),
	}
}

// Fetched notes that process pid is about to be told that its credentials end at expires; they really end at ends
// (zero: never). pid is 0 if it isn't known.
func (w *Watch) Fetched(pid int, expires, ends time.Time) {
	who, name := id{pid: pid}, unknown
	if birth, ok := w.system.birth(pid); ok {
		who.birth, name = birth, w.system.name(pid)
	} else {
		who.pid = 0
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.living[who]
	if s == nil {
		s = &subject{pid: who.pid, processes: 1}
		w.living[who] = s
	}
	s.name = name // the latest: it may have called exec
	s.fetched(time.Now().Round(0), expires, ends)
}

const unknown = "unknown process"

const (
	// closely is the pace at which a process is looked at whose copy has ended and that was not seen to talk since: a
	// request over a real network takes longer.
	closely = 50 * time.Millisecond
	// loosely is the pace for the others.
	loosely = time.Second
)

// Run looks until ctx ends. Connections to the endpoint are no talk.
func (w *Watch) Run(ctx context.Context, endpoint netip.AddrPort) {
	w.mu.Lock()
	w.endpoint = endpoint
	w.mu.Unlock()
	t := time.NewTimer(loosely)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			t.Reset(w.look())
		}
	}
}

// look takes one look at all living subjects and returns when the next is due.
func (w *Watch) look() time.Duration {
	began := time.Now()
	at := began.Round(0)
	w.mu.Lock()
	who := make([]id, 0, len(w.living))
	var late []int // of whom it matters whether they talk
	for i, s := range w.living {
		if i.pid != 0 {
			who = append(who, i)
			if s.over(at) {
				late = append(late, i.pid)
			}
		}
	}
	w.mu.Unlock()
	var (
		conns  map[int][]Conn
		looked bool
	)
	if len(late) > 0 {
		conns, looked = w.system.connections(late)
	}
	gone := make(map[id]bool)
	for _, i := range who {
		if birth, ok := w.system.birth(i.pid); !ok || birth != i.birth {
			gone[i] = true
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	next := loosely
	for _, i := range who {
		s := w.living[i]
		if s == nil {
			continue // another look was faster
		}
		if gone[i] {
			delete(w.living, i)
			w.bury(s)
			continue
		}
		s.seen(at)
		if looked {
			s.compare(at, w.others(conns[i.pid]))
		}
		next = min(next, s.next(at))
	}
	return max(next, 10*time.Since(began)) // on a machine with very many connections: a tenth of one processor
}

// others leaves out the connections to the endpoint.
func (w *Watch) others(conns []Conn) (others []Conn) {
	for _, c := range conns {
		if c.Remote != w.endpoint {
			others = append(others, c)
		}
	}
	return others
}

// bury keeps of a process that has ended what the verdict needs. Of those that ended early there may be very many.
func (w *Watch) bury(s *subject) {
	if s.judge() != NotExercised || !s.early() {
		w.ended = append(w.ended, s)
		return
	}
	if b := w.brief[s.name]; b != nil {
		b.join(s)
		return
	}
	w.brief[s.name] = s
}

// Verdicts takes a last look and judges, in the order of the first fetches.
func (w *Watch) Verdicts() []Verdict {
	w.look()
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, s := range w.living {
		delete(w.living, i)
		w.bury(s)
	}
	all := w.ended
	for _, s := range w.brief {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *subject) int {
		return cmp.Or(a.first.Compare(b.first), cmp.Compare(a.pid, b.pid))
	})
	verdicts := make([]Verdict, 0, len(all))
	for _, s := range all {
		verdicts = append(verdicts, s.verdict())
	}
	return verdicts
}
