// Package rehearse tells which of the processes that fetch credentials would outlive them.
//
// A rehearsal is a run whose credentials are real but are said to end soon. A program that heeds
// what it is told fetches again; one that read them once goes on with a copy that, at night, AWS
// would refuse. What can be seen from outside tells the two apart: when a process fetched, and
// whether it used the network after its copy had ended.
//
// # Verdicts
//
// Refreshes: it fetched again, later than in the burst of its start (SDKs with a small window, and
// several clients in one process, fetch more than once within a second). WouldFail: its last copy
// had ended, and then it opened a TCP connection to something other than the endpoint, or sent a
// further request on one that it had. NotExercised: neither was seen. Only a request proves
// something. A connection that is merely held (a pool) is none; neither is the rest of an upload
// that began in time, before its answer, nor that of a download.
//
// A process whose fetches span a whole life or more is known to refresh. If it still talks after
// the end of its last copy, it is assumed to talk to something other than AWS. One that fetched
// only at its start and then talks to a database for longer than a life can't be told from one that
// would fail: the verdict names whom it talked to.
//
// A copy that was handed on is not seen: to a child in its environment, to a forked worker that
// doesn't fetch.
//
// # How it looks
//
// Linux only, through procfs: when a process was started, which connections it has opened, and how
// many bytes each has carried. It keeps a process's name and its first argument that is a file,
// never the rest of the command line. A process that can't be seen (another user's) is a subject,
// too, but nothing can be proved of it.
//
// # Concurrency
//
// Fetched may be called by any number of goroutines, before the answer is sent; Run looks until its
// context ends; Verdicts, called once the command has ended, takes a last look. Times are wall
// time, as the clients judge.
package rehearse

import (
	"cmp"
	"context"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"brs-exec/internal/procfs"
)

// Watch observes one rehearsal.
type Watch struct {
	system system

	mu         sync.Mutex     // guards what follows
	endpoint   netip.AddrPort // talk with it doesn't count
	running    map[process]*subject
	ended      []*subject
	shortLived map[string]*subject // of those that fetched once and ended early: one for all of a name
}

// process names a process for ever. Its id alone doesn't: the system uses that again.
type process struct {
	pid     int    // 0: all that can't be seen
	started uint64 // clock ticks since boot
	profile string // whose credentials it fetched; "": the command's own
}

// system is what is asked of the operating system; a test has its own.
type system struct {
	startTime   func(pid int) (ticks uint64, ok bool)
	program     func(pid int) string
	connections func(pids []int) (opened map[int][]procfs.Socket, ok bool)
}

// New begins a rehearsal.
func New() *Watch {
	return &Watch{
		system:     system{procfs.StartTime, procfs.Program, connections},
		running:    make(map[process]*subject),
		shortLived: make(map[string]*subject),
	}
}

// Fetched notes that process pid is about to be told that the credentials of a profile end at
// expires; they really end at ends (zero: never). pid is 0 if it isn't known, profile empty for the
// command's own identity. A process is judged for each profile by itself.
func (w *Watch) Fetched(pid int, profile string, expires, ends time.Time) {
	who, name := process{profile: profile}, unknown
	if started, ok := w.system.startTime(pid); ok {
		who.pid, who.started, name = pid, started, w.system.program(pid)
	}
	if profile != "" {
		name += " as " + profile
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.running[who]
	if s == nil {
		s = &subject{pid: who.pid, processes: 1}
		w.running[who] = s
	}
	s.name = name // the latest: it may have called exec
	s.fetched(time.Now().Round(0), expires, ends)
}

const unknown = "unknown process"

const (
	// closely is the pace for a process whose copy has ended and which was not seen to talk since.
	// A request over a real network takes longer than that.
	closely = 50 * time.Millisecond
	// loosely is the pace for the others.
	loosely = time.Second
)

// Run looks until ctx ends. Connections to the endpoint are no talk.
func (w *Watch) Run(ctx context.Context, endpoint netip.AddrPort) {
	w.mu.Lock()
	w.endpoint = endpoint
	w.mu.Unlock()
	for wait := loosely; ; wait = w.look() {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// look takes one look at all running processes and returns when the next is due.
func (w *Watch) look() time.Duration {
	began := time.Now()
	at := began.Round(0)
	running, expired := w.visible(at)
	var (
		opened map[int][]procfs.Socket
		looked bool
	)
	if len(expired) > 0 {
		opened, looked = w.system.connections(expired)
	}
	exited := make(map[process]bool)
	for _, p := range running {
		started, ok := w.system.startTime(p.pid)
		exited[p] = !ok || started != p.started
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	next := loosely
	for _, p := range running {
		s := w.running[p]
		switch {
		case s == nil: // another look was faster
			continue
		case exited[p]:
			delete(w.running, p)
			w.end(s)
			continue
		}
		s.seenAlive(at)
		if looked {
			s.observe(at, w.withoutEndpoint(opened[p.pid]))
		}
		next = min(next, s.nextLook(at))
	}
	return max(next, 10*time.Since(began)) // on a machine with very many connections: a tenth of one processor
}

// visible lists the running processes that can be seen, and those whose copy has ended: it matters
// whether they talk.
func (w *Watch) visible(at time.Time) (running []process, expired []int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for p, s := range w.running {
		if p.pid == 0 {
			continue
		}
		running = append(running, p)
		if s.expired(at) {
			expired = append(expired, p.pid)
		}
	}
	return running, expired
}

// withoutEndpoint leaves out the connections to the endpoint.
func (w *Watch) withoutEndpoint(conns []procfs.Socket) (others []procfs.Socket) {
	for _, c := range conns {
		if c.Remote != w.endpoint {
			others = append(others, c)
		}
	}
	return others
}

// end keeps of a process that has ended what the verdict needs. Of those that ended early there may
// be very many.
func (w *Watch) end(s *subject) {
	if s.judge() != NotExercised || !s.endedEarly() {
		w.ended = append(w.ended, s)
		return
	}
	if same := w.shortLived[s.name]; same != nil {
		same.merge(s)
		return
	}
	w.shortLived[s.name] = s
}

// Verdicts takes a last look and judges, in the order of the first fetches.
func (w *Watch) Verdicts() []Verdict {
	w.look()
	w.mu.Lock()
	defer w.mu.Unlock()
	for p, s := range w.running {
		delete(w.running, p)
		w.end(s)
	}
	all := slices.AppendSeq(w.ended, maps.Values(w.shortLived))
	slices.SortFunc(all, func(a, b *subject) int {
		return cmp.Or(a.first.Compare(b.first), cmp.Compare(a.pid, b.pid))
	})
	verdicts := make([]Verdict, 0, len(all))
	for _, s := range all {
		verdicts = append(verdicts, s.verdict())
	}
	return verdicts
}
