package main

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// result is all that was seen.
type result struct {
	duration, asked time.Duration
	clients         int
	begun           time.Time
	sts             *faultySTS
	samples         []sample
	goroutines      []point
	fixed           *httptest.Server
	end, wantEnd    string // how brs-exec ended

	mu             sync.Mutex
	gets, controls times           // brs-exec's answers, and those of the server that it is compared with
	kept           map[string]bool // access key ids that were served
	classes        map[string]int
	wrong          []string // the first few of what was not expected
	wrongs         int
}

func (r *result) count(class string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.classes[class]++
}

func (r *result) unexpected(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wrongs++
	if len(r.wrong) < 10 {
		r.wrong = append(r.wrong, fmt.Sprintf("at %v: %v", time.Since(r.begun).Round(time.Millisecond), err))
	}
}

// judge counts an answer to a client that did all as it should.
func (r *result) judge(status int, a answer, begun, ended time.Time, err error) {
	switch {
	case err != nil:
		r.unexpected(err)
	case status == http.StatusOK && !a.Expiration.After(begun):
		r.unexpected(fmt.Errorf("200 with a credential that expired at %v", a.Expiration))
	case status == http.StatusOK && (a.AccessKeyId == "" || a.SecretAccessKey == "" || a.Token == ""):
		r.unexpected(fmt.Errorf("200 with an empty field"))
	case status == http.StatusServiceUnavailable && a.Code != "" && r.sts.excused(begun, ended):
		r.count("503 in an outage beyond expiry (expected)")
	case status != http.StatusOK:
		r.unexpected(fmt.Errorf("%d %s", status, a.Code))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if a.AccessKeyId != "" {
		r.kept[a.AccessKeyId] = true
	}
	r.gets.add(ended.Sub(begun))
}

// times is how long answers took, as clients that share the machine see it.
type times struct {
	n, late int // late: over promised
	slowest time.Duration
}

func (t *times) add(took time.Duration) {
	t.n++
	t.slowest = max(t.slowest, took)
	if took > promised {
		t.late++
	}
}

func (t times) String() string {
	return fmt.Sprintf("%v (%d of %d, %.1f %%, over %v)", t.slowest.Round(time.Millisecond), t.late, t.n, 100*float64(t.late)/float64(max(t.n, 1)), promised)
}

// promised is DESIGN §4's bound for every answer; SDKs give up at 1 s.
const promised = 600 * time.Millisecond

func (r *result) table() string {
	var b strings.Builder
	row := func(what string, value any) { fmt.Fprintf(&b, "| %s | %v |\n", what, value) }
	fmt.Fprintf(&b, "%s, %s/%s, %d CPUs, %d clients for %v, lives of %v\n\n| | |\n|---|---|\n",
		runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), r.clients, r.asked.Round(time.Second), life)
	row("GETs judged", r.gets.n)
	row("rotations (distinct keys seen)", len(r.kept))
	row("calls answered with a fault", counts(r.sts.injected))
	row("outages begun that outlast the credential", len(r.sts.outages))
	row("STS calls", counts(r.sts.calls))
	for _, class := range slices.Sorted(maps.Keys(r.classes)) {
		row(class, r.classes[class])
	}
	row("unexpected", r.wrongs)
	row("slowest answer", r.gets)
	row("slowest answer of a fixed-body server in the soak's process", r.controls)
	row("brs-exec ended by", r.end)
	b.WriteString("\n| brs-exec's | start | first third | last third | end |\n|---|---|---|---|---|\n")
	for _, s := range r.series() {
		b.WriteString(s.row(r) + "\n")
	}
	return b.String()
}

func counts(m map[string]int) string {
	sum, parts := 0, []string(nil)
	for _, k := range slices.Sorted(maps.Keys(m)) {
		sum += m[k]
		parts = append(parts, fmt.Sprintf("%s %d", k, m[k]))
	}
	return fmt.Sprintf("%d (%s)", sum, strings.Join(parts, ", "))
}

// series is one figure over time.
type series struct {
	name   string
	unit   float64 // one of what is shown
	noise  float64 // what is no growth, beside a tenth
	points []point
}

func (r *result) series() []series {
	of := func(get func(sample) int) (all []point) {
		for _, s := range r.samples {
			if n := get(s); n >= 0 {
				all = append(all, point{s.at, n})
			}
		}
		return all
	}
	return []series{
		{"goroutines", 1, 8, r.goroutines},
		{"descriptors", 1, 8, of(func(s sample) int { return s.fds })},
		{"threads", 1, 2, of(func(s sample) int { return s.threads })},
		{"RSS, MiB", 1024, 2, of(func(s sample) int { return s.rss })},
	}
}

// thirds are the means while clients asked; ok is false where there is nothing to compare.
func (s series) thirds(r *result) (first, last float64, ok bool) {
	third := r.asked / 3
	mean := func(from, to time.Duration) (float64, bool) {
		sum, n := 0, 0
		for _, p := range s.points {
			if at := p.at.Sub(r.begun); at >= from && at < to {
				sum, n = sum+p.n, n+1
			}
		}
		return float64(sum) / float64(max(n, 1)) / s.unit, n > 0
	}
	first, okFirst := mean(0, third)
	last, okLast := mean(2*third, r.asked)
	return first, last, okFirst && okLast
}

func (s series) grows(r *result) bool {
	first, last, ok := s.thirds(r)
	return ok && last > first*1.1+s.noise
}

func (s series) row(r *result) string {
	first, last, ok := s.thirds(r)
	if !ok {
		return "| " + s.name + " | n/a | n/a | n/a | n/a |"
	}
	edge := func(p point) float64 { return float64(p.n) / s.unit }
	return fmt.Sprintf("| %s | %.1f | %.1f | %.1f | %.1f |", s.name, edge(s.points[0]), first, last, edge(s.points[len(s.points)-1]))
}

// broken is what should not be.
func (r *result) broken() (all []string) {
	all = append(all, r.wrong...)
	if more := r.wrongs - len(r.wrong); more > 0 {
		all = append(all, fmt.Sprintf("and %d more", more))
	}
	if r.gets.n == 0 || len(r.kept) < 2 {
		all = append(all, fmt.Sprintf("%d GETs, %d keys: nothing was soaked", r.gets.n, len(r.kept)))
	}
	if r.gets.slowest > promised+r.controls.slowest {
		all = append(all, fmt.Sprintf("the slowest answer took %v: over %v and the %v of a fixed-body server", r.gets.slowest, promised, r.controls.slowest))
	}
	if runtime.GOOS != "windows" && r.end != r.wantEnd {
		all = append(all, "brs-exec's end: "+r.end)
	}
	for _, s := range r.series() {
		if first, last, _ := s.thirds(r); r.asked >= 2*time.Minute && s.grows(r) {
			all = append(all, fmt.Sprintf("%s grew from %.1f to %.1f", s.name, first, last))
		}
	}
	return all
}
