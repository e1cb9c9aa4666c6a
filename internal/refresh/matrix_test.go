package refresh

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"hash/fnv"
	"log/slog"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"
)

// A fault is one way in which an STS is of no use.
type fault struct {
	name  string
	err   error                             // what the call returns; nil: an answer
	dated bool                              // the response has a Date header,
	off   time.Duration                     // which is wrong by this
	hang  bool                              // until the context ends
	life  func(time.Duration) time.Duration // of the answer
}

var faults = []fault{
	{name: "throttle", err: &smithy.GenericAPIError{Code: "Throttling"}, dated: true},
	{name: "500", err: &smithy.GenericAPIError{Code: "InternalFailure"}, dated: true},
	{name: "reset", err: errors.New("connection reset by peer")},
	{name: "hang", hang: true},
	{name: "denied", err: &smithy.GenericAPIError{Code: "AccessDenied"}, dated: true},
	{name: "malformed", err: &smithy.DeserializationError{Err: errors.New("XML syntax error")}, dated: true},
	{name: "already expired", dated: true, life: func(time.Duration) time.Duration { return -sec }},
	{name: "shorter life", dated: true, life: func(l time.Duration) time.Duration { return l / 3 }},
	{name: "Date 50m behind", dated: true, off: -50 * time.Minute, life: wholeLife},
	{name: "Date 56 years behind", dated: true, off: -years56, life: wholeLife},
	{name: "Date 61s behind", dated: true, off: -61 * sec, life: wholeLife},
	{name: "500, Date 50m behind", err: &smithy.GenericAPIError{Code: "InternalFailure"}, dated: true, off: -50 * time.Minute},
	{name: "500, Date 56 years behind", err: &smithy.GenericAPIError{Code: "InternalFailure"}, dated: true, off: -years56},
	{name: "500, Date 61s behind", err: &smithy.GenericAPIError{Code: "InternalFailure"}, dated: true, off: -61 * sec},
	{name: "500, Date 50m ahead", err: &smithy.GenericAPIError{Code: "InternalFailure"}, dated: true, off: 50 * time.Minute},
}

const years56 = 56 * 365 * 24 * time.Hour

func wholeLife(l time.Duration) time.Duration { return l }

func hasCode(code string) func(error) bool {
	return func(err error) bool {
		e, ok := errors.AsType[smithy.APIError](err)
		return ok && e.ErrorCode() == code
	}
}

// A world has a true time, by which STS judges, and a local wall clock that differs from it. The
// bubble's time is the time that this machine was awake.
type world struct {
	mu       sync.Mutex
	slept    time.Duration // true time minus bubble time
	fast     time.Duration // local clock minus true time
	seen     time.Duration // what the source saw of that
	life     time.Duration
	fault    fault
	from, to time.Time // when the fault holds
	calls    int
	ends     map[string]time.Time // by access key ID, in true time
	last     time.Time            // the latest of these
	healed   time.Time            // when the first call after the fault brought something, in true time
}

func (w *world) true() time.Time { return time.Now().Add(w.slept) }

func (w *world) wall() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.true().Add(w.fast)
}

func (w *world) skew() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen
}

func (w *world) change(slept, fast time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.slept, w.fast = w.slept+slept, w.fast+fast
}

// end of a credential in true time.
func (w *world) end(c aws.Credentials) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ends[c.AccessKeyID]
}

// fail makes the fault hold from now on, for so long.
func (w *world) fail(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.from, w.to = time.Now(), time.Now().Add(d)
}

// date is the header, a whole second, wrong by off, read by the local clock. No two measurements are
// the same to the nanosecond.
func (w *world) date(off time.Duration) {
	w.seen = w.true().Add(w.fast).Sub(w.true().Add(off).Truncate(sec)) + time.Duration(w.calls)
}

func (w *world) Retrieve(ctx context.Context) (aws.Credentials, error) {
	w.mu.Lock()
	w.calls++
	down := !time.Now().Before(w.from) && time.Now().Before(w.to)
	if down && w.fault.hang {
		w.mu.Unlock()
		<-ctx.Done()
		return aws.Credentials{}, fmt.Errorf("canceled, %w", ctx.Err())
	}
	defer w.mu.Unlock()
	switch {
	case !down:
		w.date(0)
	case w.fault.dated:
		w.date(w.fault.off)
	}
	if down && w.fault.err != nil {
		return aws.Credentials{}, w.fault.err
	}
	life := w.life
	if down {
		life = w.fault.life(life)
	}
	c := issue(w.calls, w.true().Add(life).Truncate(sec))
	w.ends[c.AccessKeyID] = c.Expires
	if c.Expires.After(w.last) && life > 0 {
		w.last = c.Expires
	}
	if w.healed.IsZero() && !time.Now().Before(w.to) {
		w.healed = w.true()
	}
	return c, nil
}

var seed = flag.Uint64("seed", 0, "another course of events in the matrix and the budgets")

// seeded makes a run repeatable, and differ from its neighbours.
func seeded(name string) func() float64 {
	h := fnv.New64a()
	h.Write([]byte(name))
	return rand.New(rand.NewPCG(h.Sum64(), *seed)).Float64
}

// A cell of the matrix, and what came of it.
type cell struct {
	fault  fault
	moment string
	length float64 // of the outage, in lives
	clock  string
	life   time.Duration
	lazy   bool
}

func (c cell) String() string {
	mode := "eager"
	if c.lazy {
		mode = "lazy"
	}
	return fmt.Sprintf("%s/%s/%.2g lives/%s/%v/%s", c.fault.name, c.moment, c.length, c.clock, c.life, mode)
}

func cells() (all []cell) {
	for _, f := range faults {
		for _, moment := range []string{"first fetch", "before half-life", "after half-life", "past expiry"} {
			for _, length := range []float64{0.15, 0.4, 2} {
				for _, clock := range []string{"steady", "1h fast", "1h slow", "set +1h", "set -1h", "suspended 2h",
					"set -10s after expiry", "set -1m after expiry", "set -1h after expiry"} {
					for _, life := range []time.Duration{12 * sec, time.Hour} {
						for _, lazy := range []bool{false, true} {
							if c := (cell{f, moment, length, clock, life, lazy}); c.matters() {
								all = append(all, c)
							}
						}
					}
				}
			}
		}
	}
	return all
}

// matters leaves out a step after an expiry that the outage doesn't reach, and of wrong Dates the
// shortest outage and lazy mode, to which they are nothing new.
func (c cell) matters() bool {
	if _, to := c.window(); strings.HasSuffix(c.clock, "after expiry") && (to <= c.life || c.moment == "first fetch") {
		return false
	}
	return c.fault.off == 0 || c.length > 0.15 && !c.lazy
}

// window is when the outage holds, counted from the first call.
func (c cell) window() (from, to time.Duration) {
	length := time.Duration(c.length * float64(c.life))
	switch c.moment {
	case "first fetch":
		return 0, length
	case "before half-life":
		from = c.life * 3 / 10
	case "after half-life":
		from = c.life * 6 / 10
	case "past expiry":
		return c.life * 3 / 10, c.life + length
	}
	return from, from + length
}

func (c cell) world() *world {
	from, to := c.window()
	w := &world{life: c.life, fault: c.fault, ends: map[string]time.Time{}}
	w.from, w.to = time.Now().Add(from), time.Now().Add(to)
	switch c.clock {
	case "1h fast":
		w.fast = time.Hour
	case "1h slow":
		w.fast = -time.Hour
	}
	return w
}

// stepsAt is when happen happens, counted from the first call: in the middle of the outage, or so
// late that what was held has ended in it. 0: there is no such moment.
func (c cell) stepsAt() time.Duration {
	from, to := c.window()
	if !strings.HasSuffix(c.clock, "after expiry") {
		return (from + to) / 2
	}
	return max(c.life+(to-c.life)/4, from)
}

// happen is what the clock does in the outage.
func (c cell) happen(w *world) {
	switch c.clock {
	case "set -10s after expiry":
		w.change(0, -10*sec)
	case "set -1m after expiry":
		w.change(0, -time.Minute)
	case "set -1h after expiry":
		w.change(0, -time.Hour)
	case "set +1h":
		w.change(0, time.Hour)
	case "set -1h":
		w.change(0, -time.Hour)
	case "suspended 2h":
		w.change(2*time.Hour, 0)
	}
}

// doubtful: a clock set forward can't be told from a suspend until STS shows its Date.
func (c cell) doubtful() bool {
	return c.clock == "set +1h" && (!c.fault.dated || c.fault.off != 0 && c.fault.err != nil)
}

// slack: where the clocks disagree, STS's is known to the second of its Date.
func (c cell) slack() time.Duration {
	if c.clock == "steady" {
		return 0
	}
	return sec
}

// mostCalls: two or three a life, and those that an outage costs.
func (c cell) mostCalls(awake time.Duration) int {
	from, to := c.window()
	outage, well := to-from, int(3*awake/c.life)+4
	if c.fault.name == "shorter life" {
		return well + int(outage/sec)
	}
	if c.life < time.Minute {
		return well + 18 + int(outage/(2*sec))
	}
	return well + 75 + int(outage/(11*sec))
}

func (c cell) mostUnhealed(since time.Duration) time.Duration {
	switch {
	case c.fault.name == "denied": // until somebody acts
		return 19 * sec
	case c.fault.hang && c.moment == "first fetch": // a quarter of the start timeout
		return 8 * sec
	}
	return max(2*sec, since/3)
}

type outcome struct {
	served, errors int
	unhealed       time.Duration // from the end of the outage to the first answer
	calls          int
	warnings       string
}

func (c cell) run(t *testing.T) (o outcome) {
	w := c.world()
	var log bytes.Buffer
	r := New(w, Options{
		Log:       slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn})),
		Permanent: hasCode("AccessDenied"), Throttled: hasCode("Throttling"), Lazy: c.lazy,
		Skew: w.skew, Asked: func(aws.Credentials) time.Duration { return c.life },
	})
	r.now, r.rand = w.wall, seeded(c.String())
	begun := time.Now()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		r.Start(ctx)
		r.Run(ctx)
	})
	_, to := c.window()
	middle, until := begun.Add(c.stepsAt()), begun.Add(to+c.life+20*sec)
	var lostAt, healedAt time.Time // in true time: the end of what was held, the first answer after the outage
	for time.Now().Before(until) {
		if !middle.IsZero() && !time.Now().Before(middle) {
			c.happen(w)
			middle = time.Time{}
		}
		o.get(t, c, w, r)
		if time.Now().Before(w.to) {
			w.mu.Lock()
			lostAt = w.last
			w.mu.Unlock()
		} else if _, ok := r.current(); ok && healedAt.IsZero() {
			healedAt = w.true()
		}
		time.Sleep(c.life / 150)
	}
	cancel()
	wg.Wait()
	o.calls, o.warnings = w.calls, log.String()
	if w.healed.Before(healedAt) {
		healedAt = w.healed
	}
	end := w.to.Add(w.slept)
	if c.doubtful() { // what was held counted as lost from then on
		lostAt = begun.Add(c.stepsAt())
	}
	if lostAt.IsZero() { // never had one
		lostAt = begun.Add(w.slept)
	}
	o.unhealed = healedAt.Sub(end)
	c.check(t, o, healedAt, end, lostAt, time.Since(begun))
	return o
}

// get is what one client does, and what must hold for it.
func (o *outcome) get(t *testing.T, c cell, w *world, r *Refresher) {
	ctx, cancel := context.WithTimeout(t.Context(), 500*ms)
	defer cancel()
	w.mu.Lock()
	asked, last := time.Now(), w.last
	w.mu.Unlock()
	creds, err := r.Retrieve(ctx)
	w.mu.Lock()
	defer w.mu.Unlock()
	took := time.Since(asked)
	if took > 500*ms {
		t.Errorf("answer after %v", took)
	}
	if err != nil {
		o.errors++
		if took > 0 { // else the new one may have come after the error
			last = w.last
		}
		if left := last.Sub(w.true()); left > c.slack() && !c.doubtful() {
			t.Errorf("error with %v left at %v: %v", left, w.true().Sub(w.from), err)
		}
		return
	}
	o.served++
	left := w.ends[creds.AccessKeyID].Sub(w.true())
	if left <= 0 {
		t.Errorf("served what ended %v ago", -left)
	}
	if told := creds.Expires.Sub(w.true().Add(w.fast)); told > left+jump {
		t.Errorf("told %v where %v are left", told, left)
	}
}

func (c cell) check(t *testing.T, o outcome, healedAt, end, lostAt time.Time, awake time.Duration) {
	t.Helper()
	if most := c.mostCalls(awake); o.calls > most {
		t.Errorf("%d calls; want at most %d", o.calls, most)
	}
	if healedAt.IsZero() {
		t.Errorf("not healed")
	} else if most := c.mostUnhealed(end.Sub(lostAt)+c.slack()) + 500*ms + c.life/150; o.unhealed > most {
		t.Errorf("healed %v after the outage; want at most %v", o.unhealed, most)
	}
	for _, msg := range []string{"refresh failed", "have expired", "answers again", "STS's disagree"} {
		if n := strings.Count(o.warnings, msg); n > 1 {
			t.Errorf("%q told %d times; want once", msg, n)
		}
	}
	for _, secret := range []string{"ASIA", "secret", "token"} {
		if strings.Contains(o.warnings, secret) {
			t.Errorf("the log contains %q", secret)
		}
	}
}

// TestFaultMatrix runs every outage at every moment, length and clock. What must hold in every
// cell: nothing is served that has ended by STS's clock, no error while something valid is held,
// few calls, soon healed, told once, no goroutine left. -v shows what came of each. Without LONG=1
// it is every fifth of them.
func TestFaultMatrix(t *testing.T) {
	all := cells()
	if len(all) != (8*(4*3*6+5*3)*2+7*(4*2*6+4*3))*2 {
		t.Fatalf("%d cells", len(all))
	}
	for i, c := range all {
		if i%5 != 0 && os.Getenv("LONG") == "" {
			continue
		}
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o := c.run(t)
				t.Logf("%d served, %d errors, %d calls, healed after %v", o.served, o.errors, o.calls, o.unhealed)
			})
		})
	}
}
