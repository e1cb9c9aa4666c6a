package main

import (
	"math/rand/v2"
	"net/http/httptest"
	"sync"
	"time"

	"brs-exec/internal/sandbox"
)

// life is what each credential gets. AWS tells whole seconds, so up to one of it is lost; brs-exec fetches the next
// after five.
const life = 8 * time.Second

// longOnes is how rarely a fault outlasts the credential.
const longOnes = 12

// kinds are what goes wrong, and for how long at most without costing the client anything: the next credential is asked
// for when 2 to 3 s are left, and what is refused then is asked again within 1 s, within 1.5 s after throttling.
var kinds = []struct {
	name  string
	fault error
	most  time.Duration
}{
	{"throttle", sandbox.Throttling, 700 * time.Millisecond},
	{"500", sandbox.InternalFailure, 700 * time.Millisecond},
	{"reset", sandbox.ErrReset, 700 * time.Millisecond},
	{"hang", sandbox.ErrHang, 300 * time.Millisecond},
	{"slow", nil, 700 * time.Millisecond},
}

// outage is a time in which STS could give nothing, and that the credential did not outlive.
type outage struct{ expired, end time.Time }

// excuses says whether a client that asked at from and was refused at to has met this outage.
func (o outage) excuses(from, to time.Time) bool {
	const clock = time.Second // this machine's own unpunctuality
	heal := max(2*time.Second, o.end.Sub(o.expired)/3)
	return !to.Before(o.expired) && from.Before(o.end.Add(heal+clock))
}

// faultySTS is an STS whose faults begin when it is asked: each one is met.
type faultySTS struct {
	*sandbox.STS
	*httptest.Server

	mu       sync.Mutex
	calls    map[string]int // by what was answered
	injected map[string]int // by the fault's kind
	held     time.Time      // the end of the last credential that was given
	until    time.Time      // the end of the fault in progress
	kind     int
	calm     bool // the next call passes: two faults in a row would be a longer one
	outages  []outage
}

func newSTS() *faultySTS {
	s := &faultySTS{calls: make(map[string]int), injected: make(map[string]int), calm: true}
	s.STS = sandbox.New(sandbox.Options{TTL: life, Fault: s.fault, OnCall: s.called})
	s.Server = httptest.NewServer(s.STS)
	return s
}

func (s *faultySTS) called(c sandbox.Call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.Code != "" {
		s.calls[c.Action+" "+c.Code]++
		return
	}
	s.calls[c.Action]++
	if c.Action == "AssumeRole" {
		s.held = time.Now().Add(life).Truncate(time.Second)
	}
}

// fault is asked before every answer; only those that give credentials go wrong.
func (s *faultySTS) fault(c sandbox.Call) error {
	if c.Action != "AssumeRole" {
		return nil
	}
	slow, err := s.decide(time.Now())
	time.Sleep(slow)
	return err
}

func (s *faultySTS) decide(now time.Time) (slow time.Duration, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case now.Before(s.until):
	case s.calm || rand.IntN(5) == 0:
		s.calm = false
		return 0, nil
	default:
		s.begin(now)
	}
	k := kinds[s.kind]
	s.injected[k.name]++
	if k.fault == nil {
		s.until, s.calm = time.Time{}, false // one answer is slow, and good
		return k.most/4 + rand.N(k.most*3/4), nil
	}
	return 0, k.fault
}

// begin chooses a fault and its length.
func (s *faultySTS) begin(now time.Time) {
	s.kind, s.calm = rand.IntN(len(kinds)), true
	k := kinds[s.kind]
	s.until = now.Add(k.most/2 + rand.N(k.most/2))
	if k.fault != nil && rand.IntN(longOnes) == 0 {
		s.until = now.Add(4*time.Second + rand.N(5*time.Second))
		s.outages = append(s.outages, outage{s.held, s.until})
	}
}

// excused says whether a refusal is right: no credential could be had.
func (s *faultySTS) excused(from, to time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.outages {
		if o.excuses(from, to) {
			return true
		}
	}
	return false
}
