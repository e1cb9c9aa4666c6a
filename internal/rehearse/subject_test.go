package rehearse

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"brs-exec/internal/procfs"
)

var (
	t0 = time.Date(2026, 11, 23, 22, 0, 0, 0, time.UTC)
	s3 = netip.MustParseAddrPort("10.0.0.1:443")
	db = netip.MustParseAddrPort("10.0.0.2:5432")
)

// event is one thing that happens to a subject, in seconds from t0.
type event func(s *subject)

// fetch is told a life of 60 s out of an hour's.
func fetch(at float64) event {
	return func(s *subject) { s.fetched(sec(at), sec(at+60), sec(at+3600)) }
}

// look sees the process alive and these connections.
func look(at float64, conns ...procfs.Socket) event {
	return func(s *subject) { s.seenAlive(sec(at)); s.observe(sec(at), conns) }
}

func sec(s float64) time.Time { return t0.Add(time.Duration(s * float64(time.Second))) }

func conn(inode uint32, to netip.AddrPort, sent, received uint64) procfs.Socket {
	return procfs.Socket{Inode: inode, Remote: to, Sent: sent, Received: received}
}

func TestVerdict(t *testing.T) {
	steady := []event{}
	for at := 0.0; at <= 360; at += 58 {
		steady = append(steady, fetch(at), look(at+1, conn(uint32(at)+1, s3, 10, 10)))
	}
	for _, tt := range []struct {
		name   string
		events []event
		want   string
	}{
		{"fetches before each end", steady,
			"fetched 7 times in 5m48s, at most 58s apart: refreshes"},
		{"fetches at every call, hot loop", []event{fetch(0), fetch(0.5), fetch(1.1), fetch(1.9), fetch(2.2), look(2.3)},
			"fetched 5 times in 2.2s, at most 800ms apart: refreshes"},
		{"fetches only when the copy has ended, as PHP does", []event{fetch(0), look(60), fetch(65), look(66)},
			"fetched 2 times in 1m5s, at most 1m5s apart: refreshes"},
		{"fetches after it was idle for long, holding its connection", []event{fetch(0), look(60, conn(1, s3, 10, 10)), look(300, conn(1, s3, 10, 10)), fetch(300), look(301, conn(1, s3, 20, 20))},
			"fetched 2 times in 5m, at most 5m apart: refreshes"},
		{"refreshed for more than a life, then a database", append(steady[:len(steady):len(steady)], look(410), look(420, conn(9, db, 1, 1)), look(600, conn(9, db, 9, 9))),
			"fetched 7 times in 5m48s, at most 58s apart, then talked for 4m12s without (to 10.0.0.2:5432): refreshes"},

		{"opens a connection after its copy", []event{fetch(0), look(60), look(540, conn(1, s3, 10, 0))},
			"fetched once, still talking after 9m (to 10.0.0.1:443): would fail after 1h"},
		{"further requests on a connection that it had", []event{fetch(0), look(60, conn(1, s3, 10, 10)), look(61, conn(1, s3, 20, 20)), look(62, conn(1, s3, 30, 20))},
			"fetched once, still talking after 1m2s (to 10.0.0.1:443): would fail after 1h"},
		{"two clients at the start, both keep what they have", []event{fetch(0), fetch(0.2), look(60.2), look(90, conn(1, s3, 10, 0))},
			"fetched 2 times at once, still talking after 1m30s (to 10.0.0.1:443): would fail after 1h"},
		{"two fetches of a slow start, then none", []event{fetch(0), fetch(1.9), look(62), look(90, conn(1, s3, 10, 0))},
			"fetched 2 times in 1.9s, at most 1.9s apart, still talking after 1m28s (to 10.0.0.1:443): would fail after 1h"},
		{"hot loop for a while, then a frozen copy", []event{fetch(0), fetch(1.1), fetch(2.2), look(63), look(90, conn(1, s3, 10, 0))},
			"fetched 3 times in 2.2s, at most 1.1s apart, still talking after 1m28s (to 10.0.0.1:443): would fail after 1h"},

		{"ends early", []event{fetch(0), look(3)},
			"fetched once, seen for 3s: not exercised: must run longer than 1m"},
		{"ends early after two fetches of a start", []event{fetch(0), fetch(1.9), look(3)},
			"fetched 2 times in 1.9s, at most 1.9s apart, seen for 3s: not exercised: must run longer than 1m"},
		{"does nothing after its copy", []event{fetch(0), look(60), look(300)},
			"fetched once, not seen on the network in the 4m after its copy ended: not exercised: must run longer than 5m, until it calls AWS again"},
		{"only holds a connection", []event{fetch(0), look(60, conn(1, s3, 10, 10)), look(300, conn(1, s3, 10, 10))},
			"fetched once, not seen on the network in the 4m after its copy ended: not exercised: must run longer than 5m, until it calls AWS again"},
		{"a long upload and its answer", []event{fetch(0), look(60, conn(1, s3, 1e6, 0)), look(61, conn(1, s3, 2e6, 0)), look(180, conn(1, s3, 9e6, 200))},
			"fetched once, not seen on the network in the 2m after its copy ended: not exercised: must run longer than 3m, until it calls AWS again"},
		{"a long download", []event{fetch(0), look(60, conn(1, s3, 100, 1e6)), look(61, conn(1, s3, 100, 2e6)), look(120, conn(1, s3, 100, 9e6))},
			"fetched once, not seen on the network in the 1m after its copy ended: not exercised: must run longer than 2m, until it calls AWS again"},
		{"connections before the end prove nothing", []event{fetch(0), look(1, conn(1, s3, 10, 10)), look(59.5, conn(2, s3, 10, 10))},
			"fetched once, seen for 1m: not exercised: must run longer than 1m"},
		{"an older look than the last fetch", []event{fetch(0), fetch(30), look(29, conn(1, s3, 10, 10)), look(31)},
			"fetched 2 times in 30s, at most 30s apart: refreshes"},
	} {
		s := &subject{pid: 4711, processes: 1, name: "prog"}
		for _, e := range tt.events {
			e(s)
		}
		v := s.verdict()
		want := "prog (pid 4711): " + tt.want
		if v.String() != want {
			t.Errorf("%s: got\n\t%s\nwant\n\t%s", tt.name, v, want)
		}
		oneWord(t, v)
	}
}

// oneWord: the verdict is one of the three words, and no line holds another.
func oneWord(t *testing.T, v Verdict) {
	t.Helper()
	for _, k := range []Kind{NotExercised, Refreshes, WouldFail} {
		n := 0
		if k == v.Kind {
			n = 1
		}
		if strings.Count(v.String(), k.String()) != n {
			t.Errorf("%q: %q occurs not %d times", v, k, n)
		}
	}
}

// The Java SDK keeps what it got in its last minute for up to ten more: only what goes on longer is
// a proof.
func TestJava(t *testing.T) {
	for until, want := range map[float64]Kind{540: NotExercised, 720: WouldFail} {
		s := &subject{pid: 1, processes: 1, name: "java app.jar"}
		fetch(0)(s)
		look(60)(s)
		look(until, conn(1, s3, 1, 0))(s)
		if v := s.verdict(); v.Kind != want {
			t.Errorf("talking for %v s: got %q; want %v", until, v, want)
		} else {
			oneWord(t, v)
		}
	}
}

func TestUnseen(t *testing.T) {
	s := &subject{name: unknown, processes: 1}
	for at := 0.0; at < 300; at += 10 {
		fetch(at)(s) // one process or thirty
	}
	v := s.verdict()
	if v.Kind != NotExercised || !strings.HasPrefix(v.String(), "unknown process: fetched 30 times: not exercised: ") {
		t.Errorf("got %q", v)
	}
	oneWord(t, v)
}

func TestNeverEnding(t *testing.T) {
	s := &subject{pid: 1, processes: 1, name: "prog"}
	s.fetched(t0, sec(60), time.Time{})
	look(60)(s)
	look(70, conn(1, s3, 1, 0))(s)
	if got, want := s.verdict().String(), "prog (pid 1): fetched once, still talking after 1m10s (to 10.0.0.1:443): would fail when the credentials end"; got != want {
		t.Errorf("got %q; want %q", got, want)
	}
}

func TestReadable(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                             "0s",
		440 * time.Millisecond:        "400ms",
		9940 * time.Millisecond:       "9.9s",
		58400 * time.Millisecond:      "58s",
		59900 * time.Millisecond:      "1m",
		358 * time.Second:             "5m58s",
		time.Hour - time.Second:       "1h",
		90 * time.Minute:              "1h30m",
		10*time.Minute - time.Second:  "9m59s",
		100*time.Hour + 3*time.Second: "100h",
	} {
		if got := readable(d); got != want {
			t.Errorf("%v: got %s; want %s", d, got, want)
		}
	}
}
