package refresh

import (
	"bytes"
	"cmp"
	"container/heap"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write docs/evidence/fleet.md and docs/evidence/fleet.svg")

const (
	fleetSize  = 10_000
	fleetSpan  = time.Minute // in which they all start
	fleetLife  = time.Hour
	fleetQuota = 600 // calls/s; docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
	hourOne    = 3600
)

// A fleet is many wrappers under one STS, in virtual time, driven by the schedule's own functions.
type fleet struct {
	name     string
	from, to time.Duration // STS is down; counted from the first start
	class    class         // how it says so
	took     time.Duration // how long it takes to
	span     time.Duration // simulated
	naive    bool          // exponential backoff instead: 1 s doubled up to 60 s, U(0.5, 1)
	size     int           // 0: fleetSize
	start    time.Duration // 0: fleetSpan
}

type wrapper struct {
	next, expires time.Time
	failed        int
}

type byNext []*wrapper

func (q byNext) Len() int           { return len(q) }
func (q byNext) Less(i, j int) bool { return q[i].next.Before(q[j].next) }
func (q byNext) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *byNext) Push(x any)        { *q = append(*q, x.(*wrapper)) }
func (q *byNext) Pop() any          { panic("nobody leaves") }

// A trace is what STS and the children saw, by the second.
type trace struct {
	calls, refused []int
	expired        int // wrappers that were ever without a valid credential
	lastHealed     time.Duration
}

func (f fleet) run(seed uint64) (tr trace) {
	u := rand.New(rand.NewPCG(seed, 0)).Float64
	tr.calls, tr.refused = make([]int, f.span/time.Second), make([]int, f.span/time.Second)
	q := make(byNext, cmp.Or(f.size, fleetSize))
	lost := map[*wrapper]bool{}
	for i := range q {
		at := t0.Add(between(cmp.Or(f.start, fleetSpan), 0, 1, u()))
		q[i] = &wrapper{next: at, expires: at}
	}
	heap.Init(&q)
	for {
		w := q[0]
		at := w.next.Sub(t0)
		if at >= f.span {
			tr.expired = len(lost)
			return tr
		}
		second := int(at / time.Second)
		tr.calls[second]++
		down, over := at >= f.from && at < f.to, tr.calls[second] > fleetQuota
		switch {
		case down || over:
			tr.refused[second]++
			w.fail(f, down, u())
		default:
			if w.failed > 0 && at >= f.to {
				tr.lastHealed = at - f.to
			}
			*w = wrapper{expires: w.next.Add(fleetLife), next: refreshAt(w.next, w.next.Add(fleetLife), u())}
		}
		if w.next.After(w.expires) && w.expires.Sub(t0) > fleetSpan {
			lost[w] = true
		}
		heap.Fix(&q, 0)
	}
}

func (w *wrapper) fail(f fleet, down bool, u float64) {
	c, ended := f.class, w.next.Add(f.took)
	if !down { // over the quota
		c, ended = throttled, w.next
	}
	delay := retryIn(ended, w.expires, c, u)
	if f.naive {
		delay = between(min(time.Second<<min(w.failed, 6), time.Minute), 0.5, 1, u)
	}
	w.next = nextTry(w.next, ended, delay)
	w.failed++
}

var traces = map[string]trace{}

// trace is run, once for all tests.
func (f fleet) trace() trace {
	if _, ok := traces[f.name]; !ok {
		traces[f.name] = f.run(1)
	}
	return traces[f.name]
}

// peak is the most calls in one second between two.
func peak(calls []int, from, to int) (most int) {
	for _, n := range calls[from:min(to, len(calls))] {
		most = max(most, n)
	}
	return most
}

func total(calls []int) (n int) {
	for _, c := range calls {
		n += c
	}
	return n
}

const fleetRun = 150 * time.Minute

// fleets begins with the fleet that nothing happens to.
var fleets = []fleet{
	{name: "STS well", span: fleetRun},
	{name: "10 minutes of errors from 20:00", from: 20 * time.Minute, to: 30 * time.Minute, span: fleetRun},
	{name: "10 minutes of errors from 25:00", from: 25 * time.Minute, to: 35 * time.Minute, span: fleetRun},
	{name: "10 minutes of errors from 30:00", from: 30 * time.Minute, to: 40 * time.Minute, span: fleetRun},
	{name: "10 minutes of throttling from 25:00", from: 25 * time.Minute, to: 35 * time.Minute, class: throttled, span: fleetRun},
	{name: "10 minutes without an answer from 25:00", from: 25 * time.Minute, to: 35 * time.Minute, took: 10 * time.Second, span: fleetRun},
	{name: "10 minutes of AccessDenied from 25:00", from: 25 * time.Minute, to: 35 * time.Minute, class: permanent, span: fleetRun},
}

// beyond is where the 3× doesn't hold, nor can.
var beyond = []fleet{
	{name: "40 minutes of errors from 25:00 (all expire)", from: 25 * time.Minute, to: 65 * time.Minute, span: fleetRun},
	{name: "40 minutes of throttling from 25:00 (all expire)", from: 25 * time.Minute, to: 65 * time.Minute, class: throttled, span: fleetRun},
	{name: "for comparison, a plain backoff: 10 minutes of errors from 25:00", from: 25 * time.Minute, to: 35 * time.Minute, naive: true, span: fleetRun},
}

// An outage that ends before the credentials do raises what STS sees to less than three times what
// the fleet's refresh window costs anyway, wherever it falls and whatever it looks like, and no
// child is ever without.
func TestFleet(t *testing.T) {
	usual := peak(fleets[0].trace().calls, int(fleetSpan/time.Second)+1, hourOne)
	for _, f := range fleets {
		t.Run(f.name, func(t *testing.T) {
			tr := f.trace()
			if got := peak(tr.calls, int(fleetSpan/time.Second)+1, len(tr.calls)); got >= 3*usual {
				t.Errorf("peak of %d calls/s; want less than three times %d", got, usual)
			}
			if tr.expired > 0 {
				t.Errorf("%d wrappers were without a valid credential", tr.expired)
			}
		})
	}
	for at := 18 * time.Minute; at < 60*time.Minute; at += 9 * time.Minute {
		tr := fleet{from: at, to: at + 10*time.Minute, span: fleetRun}.run(2)
		if got := peak(tr.calls, int(fleetSpan/time.Second)+1, len(tr.calls)); got >= 3*usual || tr.expired > 0 {
			t.Errorf("from %v: peak of %d calls/s, %d expired; want less than three times %d, none", at, got, tr.expired, usual)
		}
	}
}

// TestFleetDocs holds docs/evidence/fleet.* to what the schedule does now.
func TestFleetDocs(t *testing.T) {
	dir := filepath.Join("..", "..", "docs", "evidence")
	for name, want := range map[string][]byte{"fleet.md": fleetTable(), "fleet.svg": fleetPicture(), "array.svg": arrayPicture()} {
		path := filepath.Join(dir, name)
		if *update {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(bytes.ReplaceAll(got, []byte("\r\n"), []byte("\n")), want) {
			t.Errorf("%s is out of date: go test ./internal/refresh -run TestFleetDocs -update", path)
		}
	}
}

func fleetTable() []byte {
	var b bytes.Buffer
	b.WriteString(fleetWords)
	b.WriteString("\n| | peak, calls/s | × usual window | of the quota | calls in 2.5 h | refused | last healed after | children ever without |\n|---|---|---|---|---|---|---|---|\n")
	usual := 0
	for _, f := range append(append([]fleet{}, fleets...), beyond...) {
		tr := f.trace()
		p := peak(tr.calls, int(fleetSpan/time.Second)+1, len(tr.calls))
		if usual == 0 {
			usual = p
		}
		fmt.Fprintf(&b, "| %s | %d | %.1f | %d %% | %d | %d | %v | %d |\n", f.name, p, float64(p)/float64(usual),
			p*100/fleetQuota, total(tr.calls), total(tr.refused), tr.lastHealed.Round(time.Second), tr.expired)
	}
	b.WriteString("\nMean calls/s by five minutes:\n\n| minute | STS well | errors from 25:00 to 35:00 | plain backoff |\n|---|---|---|---|\n")
	well, down, plain := fleets[0].trace(), fleets[2].trace(), beyond[2].trace()
	for m := 0; m < 75; m += 5 {
		fmt.Fprintf(&b, "| %d | %s | %s | %s |\n", m, mean(well.calls, m*60), mean(down.calls, m*60), mean(plain.calls, m*60))
	}
	b.Write(arrayTable())
	return b.Bytes()
}

func mean(calls []int, from int) string {
	return fmt.Sprintf("%.1f", float64(total(calls[from:from+300]))/300)
}

const fleetWords = `# Ten thousand wrappers under one STS

Written by ` + "`go test ./internal/refresh -run TestFleetDocs -update`" + `: virtual time, the scheduling functions that brs-exec itself uses.

![calls per second over time](fleet.svg)

Assumptions: 10,000 wrappers of one account and region, started evenly within one minute; roles of one hour; STS answers
at once when it is well; it refuses what exceeds 600 calls in any one second, which is AWS's documented quota per account
and region ([IAM and STS quotas](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html)), shared with
whatever else the account does. Errors are answered at once; "without an answer" takes the read timeout of 10 s. The peak
is the busiest second after the first minute, in which 10,000 commands started by somebody else's hand cost 10,000 calls.

What an outage costs depends on what is left of the lives, not on how many times a call has failed: a wrapper with half an
hour left asks every two to four minutes, and so does its neighbour, at another moment. Where the outage outlasts the
credentials, children are failing, healing soon is worth more than sparing an STS that is down, and no multiple of a
quiet window can hold; the quota then refuses some, and those slow down.
`

// A chart shows ten-second means of calls per second.
type chart struct {
	title string
	most  int // calls/s at its top
	down  bool
	lines []line
}

type line struct {
	name, color string
	f           fleet
}

func fleetPicture() []byte {
	return chart{"AssumeRole calls per second from 10,000 wrappers (quota: 600)", 400, true, []line{
		{"plain backoff, 60 s at most", "#c60", beyond[2]}, {"brs-exec, STS down for 10 minutes", "#06c", fleets[2]},
		{"brs-exec, STS well", "#2a2", fleets[0]},
	}}.draw()
}

func (c chart) draw() []byte {
	const width, height, left, top, minutes = 860, 360, 52, 46, 80
	most := c.most
	x := func(second int) int { return left + second*(width-left-20)/(minutes*60) }
	y := func(tenths int) int { return top + (height-top-46)*(most*10-min(tenths, most*10))/(most*10) }
	var b bytes.Buffer
	fmt.Fprintf(&b, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" font-size=\"12\">\n", width, height)
	fmt.Fprintf(&b, "<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n", width, height)
	if c.down {
		fmt.Fprintf(&b, "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"#f3e6e6\"/>\n", x(25*60), top, x(35*60)-x(25*60), y(0)-top)
		fmt.Fprintf(&b, "<text x=\"%d\" y=\"%d\" fill=\"#844\" text-anchor=\"middle\">STS down</text>\n", x(30*60), top+14)
	}
	for n := 0; n <= most; n += most / 4 {
		fmt.Fprintf(&b, "<path d=\"M%d %dH%d\" stroke=\"#ddd\"/><text x=\"%d\" y=\"%d\" text-anchor=\"end\">%d</text>\n", left, y(n*10), width-20, left-6, y(n*10)+4, n)
	}
	for m := 0; m <= minutes; m += 10 {
		fmt.Fprintf(&b, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">%d</text>\n", x(m*60), height-28, m)
	}
	fmt.Fprintf(&b, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">minutes since the first start</text>\n", (left+width)/2, height-8)
	fmt.Fprintf(&b, "<text x=\"%d\" y=\"16\">%s</text>\n", left, c.title)
	legend := left
	for _, l := range c.lines {
		fmt.Fprintf(&b, "<text x=\"%d\" y=\"34\" fill=\"%s\">— %s</text>\n", legend, l.color, l.name)
		legend += 40 + 7*len(l.name)
		calls := l.f.trace().calls
		var path strings.Builder
		for s := 0; s < minutes*60; s += 10 {
			fmt.Fprintf(&path, "%c%d %d", "ML"[min(s, 1)], x(s), y(total(calls[s:s+10])))
		}
		fmt.Fprintf(&b, "<path d=\"%s\" fill=\"none\" stroke=\"%s\" stroke-width=\"1.5\"/>\n", path.String(), l.color)
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

const (
	perNode = 64
	nodes   = (fleetSize + perNode - 1) / perNode
)

// arrays are 10,000 tasks of an array, by a wrapper in each, and by one server a node.
var arrays = []fleet{
	{name: "a wrapper in each of 10,000 tasks", span: fleetRun},
	{name: fmt.Sprintf("one `--serve` on each of %d nodes", nodes), size: nodes, span: fleetRun},
	{name: "a wrapper in each, all started within ten seconds", start: 10 * time.Second, span: fleetRun},
	{name: "one `--serve` a node, all started within ten seconds", size: nodes, start: 10 * time.Second, span: fleetRun},
}

func arrayPicture() []byte {
	return chart{"AssumeRole calls per second from an array of 10,000 tasks (quota: 600)", 200, false, []line{
		{"a wrapper in each task", "#06c", arrays[0]}, {"one server a node", "#2a2", arrays[1]},
	}}.draw()
}

func arrayTable() []byte {
	var b bytes.Buffer
	b.WriteString(arrayWords)
	for _, f := range arrays {
		tr, last := f.trace(), int(cmp.Or(f.start, fleetSpan)/time.Second)
		first, later := peak(tr.calls, 0, 120), peak(tr.calls, 120, len(tr.calls))
		served := fmt.Sprintf("%ds", last)
		if tr.lastHealed > 0 {
			served = tr.lastHealed.Round(time.Second).String()
		}
		fmt.Fprintf(&b, "| %s | %d (%.1f %%) | %d (%.1f %%) | %d | %s |\n", f.name, first, float64(first)*100/fleetQuota,
			later, float64(later)*100/fleetQuota, total(tr.refused), served)
	}
	return b.Bytes()
}

const arrayWords = `
## An array of 10,000 tasks

The same simulation for a job array on nodes of 64 tasks: brs-exec in each task, or one server a node
([SCALE.md](../SCALE.md#slurm)). STS is well.

![calls per second over time](array.svg)

Memory, measured with 64 on one machine (by scale.TestSlurmArrays, with SCALE=full and -v): a brs-exec has 2.3 MB of its own (12 MB with the program itself, which all share), so 64
in their tasks are about 150 MB a node, whether they assume the role or take it from the node's server. A server alone, with the
endpoint in the tasks' environment (TaskProlog), is 3 MB.

| | peak at the start, calls/s (of the quota) | peak later | refused in 2.5 h | the last has credentials after |
|---|---|---|---|---|
`
