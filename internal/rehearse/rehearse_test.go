package rehearse

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"brs-exec/internal/procfs"
)

var endpoint = netip.MustParseAddrPort("127.0.0.1:4000")

// world is a system in which processes live and talk as the test says.
type world struct {
	mu    sync.Mutex
	alive map[int]uint64 // start times
	conns map[int][]procfs.Socket
	blind bool
	looks int // at connections
}

func (w *world) system() system {
	return system{
		startTime: func(pid int) (uint64, bool) {
			w.mu.Lock()
			defer w.mu.Unlock()
			b, ok := w.alive[pid]
			return b, ok
		},
		program: func(pid int) string { return fmt.Sprintf("prog%d", pid/100) },
		connections: func(pids []int) (map[int][]procfs.Socket, bool) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.looks++
			whose := make(map[int][]procfs.Socket)
			for _, pid := range pids {
				whose[pid] = w.conns[pid]
			}
			return whose, !w.blind
		},
	}
}

func (w *world) change(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

// looked returns the looks at connections since the last time.
func (w *world) looked() (n int) {
	w.change(func() { n, w.looks = w.looks, 0 })
	return n
}

// rehearsal runs play beside a Watch and returns the verdict lines.
func rehearsal(t *testing.T, play func(w *world, fetch func(pid int))) (lines []string) {
	synctest.Test(t, func(t *testing.T) {
		sys := &world{alive: make(map[int]uint64), conns: make(map[int][]procfs.Socket)}
		w := New()
		w.system = sys.system()
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { w.Run(ctx, endpoint) })
		play(sys, func(pid int) {
			sys.change(func() {
				if pid != 0 && sys.alive[pid] == 0 {
					sys.alive[pid] = 1
				}
			})
			w.Fetched(pid, "", time.Now().Add(time.Minute), time.Now().Add(time.Hour))
		})
		for _, v := range w.Verdicts() {
			oneWord(t, v)
			lines = append(lines, v.String())
		}
		cancel()
		wg.Wait()
	})
	return lines
}

func want(t *testing.T, got []string, want ...string) {
	t.Helper()
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		t.Errorf("got\n%s\nwant\n%s", g, w)
	}
}

// A request a second over a new connection that is gone 60 ms later: it is seen.
func TestShortConnections(t *testing.T) {
	got := rehearsal(t, func(w *world, fetch func(int)) {
		fetch(100)
		for i := range 540 {
			w.change(func() { w.conns[100] = []procfs.Socket{conn(uint32(i+1), s3, 10, 10)} })
			time.Sleep(60 * time.Millisecond)
			w.change(func() { w.conns[100] = nil })
			time.Sleep(940 * time.Millisecond)
		}
	})
	if len(got) != 1 || !strings.HasPrefix(got[0], "prog1 (pid 100): fetched once, still talking after 8m5") ||
		!strings.HasSuffix(got[0], "s (to 10.0.0.1:443): would fail after 1h") {
		t.Errorf("got %q", got) // within the last ten seconds: timers of one instant fire in any order
	}
}

// The endpoint's own connections, kept or new, are no talk.
func TestEndpointIsNoTalk(t *testing.T) {
	want(t, rehearsal(t, func(w *world, fetch func(int)) {
		fetch(100)
		for i := range 120 {
			w.change(func() { w.conns[100] = []procfs.Socket{conn(uint32(i+1), endpoint, 10, 10)} })
			time.Sleep(time.Second)
		}
	}), "prog1 (pid 100): fetched once, not seen on the network in the 1m after its copy ended: not exercised: must run longer than 2m, until it calls AWS again")
}

// Where connections can't be seen, nothing is proved, nor by one that can be seen again.
func TestBlind(t *testing.T) {
	got := rehearsal(t, func(w *world, fetch func(int)) {
		fetch(100)
		w.change(func() { w.blind = true; w.conns[100] = []procfs.Socket{conn(1, s3, 10, 10)} })
		time.Sleep(2 * time.Minute)
		w.change(func() { w.blind = false })
		time.Sleep(time.Minute)
	})
	if len(got) != 1 || !strings.Contains(got[0], "not exercised") {
		t.Errorf("got %q", got)
	}
}

// Fifty at once, and each in turn: one line for those of a name that ended early, one for each of
// the others.
func TestManyProcesses(t *testing.T) {
	want(t, rehearsal(t, func(w *world, fetch func(int)) {
		for pid := 100; pid < 150; pid++ {
			fetch(pid)
		}
		time.Sleep(5 * time.Second)
		w.change(func() { clear(w.alive) })
		time.Sleep(2 * time.Second)
		fetch(200)
		time.Sleep(31 * time.Second)
		fetch(200)
	}),
		"prog1 (50 processes): fetched 50 times, each ended before its copy did: not exercised: each must run longer than 1m (a new process fetches anew)",
		"prog2 (pid 200): fetched 2 times in 31s, at most 31s apart: refreshes")
}

// A process id that is used again is another process: their fetches together prove nothing.
func TestReusedID(t *testing.T) {
	want(t, rehearsal(t, func(w *world, fetch func(int)) {
		fetch(100)
		time.Sleep(40 * time.Second)
		w.change(func() { w.alive[100] = 2 })
		fetch(100)
		time.Sleep(40 * time.Second)
	}), "prog1 (2 processes): fetched 2 times, each ended before its copy did: not exercised: each must run longer than 1m (a new process fetches anew)")
}

func TestUnknownAndNobody(t *testing.T) {
	want(t, rehearsal(t, func(*world, func(int)) { time.Sleep(time.Minute) }))
	want(t, rehearsal(t, func(_ *world, fetch func(int)) { fetch(0); fetch(0) }),
		"unknown process: fetched 2 times: not exercised: "+whyUnseen)
}

// Nobody is looked at closely whose copy is good, or who was seen to talk.
func TestPace(t *testing.T) {
	rehearsal(t, func(w *world, fetch func(int)) {
		fetch(100)
		time.Sleep(59 * time.Second)
		if n := w.looked(); n != 0 {
			t.Errorf("%d looks at connections within the life; want none", n)
		}
		time.Sleep(11 * time.Second)
		if n := w.looked(); n < 150 {
			t.Errorf("%d looks in the ten seconds after; want one each %v", n, closely)
		}
		w.change(func() { w.conns[100] = []procfs.Socket{conn(1, s3, 1, 1)} })
		time.Sleep(20 * time.Second)
		if n := w.looked(); n > 25 {
			t.Errorf("%d looks in 20 s after it was seen to talk; want one a second", n)
		}
	})
}
