package conformance

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"brs-exec/internal/sandbox"
	"brs-exec/need"
)

// falseAlarm is what brs-exec must not say of a client that was the role.
const falseAlarm = "nobody asked the endpoint"

// limit is what one start and one call may take.
const limit = 90 * time.Second

// waits and works are how many cells run at a time: those that mostly wait for a life to
// end, and those that are one start of a client, which two cores do two at a time.
var waits, works = make(chan struct{}, 5), make(chan struct{}, 2)

// take waits for a place; the caller defers what it returns.
func take(places chan struct{}) (free func()) {
	places <- struct{}{}
	return func() { <-places }
}

// lag is the longest that this process was late in waking from a short sleep: how busy
// the machine is. Lives and limits grow with it.
var lag atomic.Int64

func watchLag() {
	const nap = 5 * time.Millisecond
	for {
		begun := time.Now()
		time.Sleep(nap)
		if late := int64(time.Since(begun) - nap); late > lag.Load() {
			lag.Store(late)
		}
	}
}

// within is a time that suffices on a machine that is not busy, on one as busy as this.
func within(d time.Duration) time.Duration {
	return (d + min(3*d, 20*time.Duration(lag.Load()))).Round(time.Second)
}

func TestMatrix(t *testing.T) {
	dependOn(t, filepath.Join("..", "cmd"), filepath.Join("..", "internal"), "clients")
	for _, c := range wanted() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := results.row(c)
			if c.wanders && !onlyLo {
				skip(t, errors.New("asks link-local addresses: needs a namespace with nothing but loopback"))
			}
			if _, err := c.prepare(); err != nil {
				r.set(func() { r.missing = err.Error() })
				skip(t, err)
			}
			begun := time.Now()
			t.Cleanup(func() {
				told("%-17s ran for %3.0f s", c.name, time.Since(begun).Seconds())
			})
			t.Run("rotation", func(t *testing.T) { t.Parallel(); rotation(t, c, r) })
			t.Run("lives", func(t *testing.T) { t.Parallel(); lives(t, c, r) })
			t.Run("outage", func(t *testing.T) { t.Parallel(); outage(t, c, r) })
			t.Run("traps", func(t *testing.T) { t.Parallel(); allTraps(t, c, r) })
			if slices.Contains(namesProfiles, c.name) {
				t.Run("named profile", func(t *testing.T) { t.Parallel(); allTrapsNamed(t, c) })
				t.Run("from share", func(t *testing.T) { t.Parallel(); fromShare(t, c) })
				t.Run("listen", func(t *testing.T) { t.Parallel(); atListen(t, c) })
			}
		})
	}
}

// told is a line that go test shows as it comes where it runs this package alone, in its folder.
func told(format string, args ...any) { fmt.Fprintf(os.Stderr, "conformance: "+format+"\n", args...) }

// skip says what a client is missing.
func skip(t *testing.T, err error) {
	t.Helper()
	line := strings.Join(strings.Fields(err.Error()), " ")
	what, get, _ := strings.Cut(line, ": ")
	need.That(t, false, what, get)
}

// command is the client's, ready to run in w.
func (c *client) command(w *world, args ...string) []string {
	if c.env != nil {
		w.set(c.env(c.dir)...)
	}
	return append(c.argv(c.dir), args...)
}

// loop is what a client tells of itself after a while.
type loop struct {
	Version      string
	Calls        int
	Errors, Arns []string
}

// runLoop lets the client call for that long, and holds what it tells against what
// the services saw. It returns the number of keys that it used.
func runLoop(t *testing.T, c *client, w *world, length time.Duration, pause ...string) (l loop, o outcome, keys int) {
	t.Helper()
	o = w.brsExec(c, length+within(limit), c.command(w, append([]string{"loop", fmt.Sprint(length.Seconds())}, pause...)...)...)
	l, calls, keys := holds(t, w, o)
	if o.gets > 2*calls+10 { // JS v2 asks twice a call when the end is near, terraform seven times before its first
		t.Errorf("%d GETs for %d calls", o.gets, l.Calls)
	}
	return l, o, keys
}

// holds holds what a loop has told against what the services saw: calls, and different keys.
func holds(t *testing.T, w *world, o outcome) (l loop, seen, keys int) {
	t.Helper()
	if err := json.Unmarshal([]byte(o.stdout), &l); err != nil || o.status != 0 {
		t.Fatalf("status %d, %v: %q, stderr %s", o.status, err, o.stdout, o.stderr)
	}
	calls, asked := w.seen()
	used := make(map[string]bool)
	for _, call := range calls {
		if used[call.key] = true; call.arn != want || call.code != "" {
			t.Errorf("a call by %q ended in %q", call.arn, call.code)
		}
	}
	if len(l.Errors) > 0 || !slices.Equal(l.Arns, []string{want}) || l.Calls < 1 || len(calls) < l.Calls {
		t.Errorf("the client: %+v; the services saw %d calls; stderr %s", l, len(calls), o.stderr)
	}
	if len(asked) > 0 {
		t.Errorf("it also asked for %q", asked)
	}
	if strings.Contains(o.stderr, falseAlarm) {
		t.Errorf("a false alarm: %s", o.stderr)
	}
	return l, len(calls), len(used)
}

// rotation: in one process, with one client object, over at least three rotations.
func rotation(t *testing.T, c *client, r *row) {
	defer take(waits)()
	life := within(8 * time.Second)
	length := max(3*life, c.loop)
	l, o, keys := runLoop(t, c, newWorld(t, life, nil), length)
	if keys < 4 {
		t.Errorf("%d keys in %v: fewer than three rotations", keys, length)
	}
	r.set(func() { r.version, r.rotations, r.short = l.Version, keys-1, perMinute(o.gets, length) })
}

// lives: how often a client asks when the life is the least that STS gives, and the usual one.
func lives(t *testing.T, c *client, r *row) {
	defer take(waits)()
	length := within(4 * time.Second)
	for _, life := range []time.Duration{15 * time.Minute, time.Hour} {
		l, o, _ := runLoop(t, c, newWorld(t, life, nil), length)
		r.set(func() { r.gets = append(r.gets, getsText(o.gets, l.Calls, length)) })
	}
}

func perMinute(gets int, length time.Duration) int {
	return int(float64(gets) / length.Minutes())
}

func getsText(gets, calls int, length time.Duration) string {
	if gets <= 2 {
		return fmt.Sprintf("%d at the start", gets)
	}
	return fmt.Sprintf("%d (%d for %d calls)", perMinute(gets, length), gets, calls)
}

// outage: STS is down past expiry and instance metadata is to be had: the client must fail.
func outage(t *testing.T, c *client, r *row) {
	defer take(waits)()
	var calls atomic.Int64
	w := newWorld(t, 4*time.Second, func(c sandbox.Call) error {
		if c.Action == "AssumeRole" && !strings.Contains(c.Params.Get("RoleArn"), "leak") && calls.Add(1) > 1 {
			return sandbox.ServiceUnavailable
		}
		return nil
	})
	argv := c.command(w, "who")
	o := w.brsExec(c, within(limit), append([]string{"sh", "-c", `sleep 5; exec "$@"`, "sh"}, argv...)...)
	seen, asked := w.seen()
	if o.status == 0 || o.status == 125 || strings.Contains(o.stdout, "arn:") {
		t.Errorf("status %d, %q; want a failure; stderr %s", o.status, o.stdout, o.stderr)
	}
	for _, call := range seen {
		if call.arn != "" && call.arn != want {
			t.Errorf("called as %q", call.arn)
		}
	}
	if len(asked) > 0 {
		t.Errorf("it asked for %q", asked)
	}
	t.Logf("gave up %v after expiry: status %d, %s", o.took-5*time.Second, o.status, tail(o.stderr, 400))
	r.set(func() { r.outage = fmt.Sprintf("%.1f s", (o.took - 5*time.Second).Seconds()) })
}

// allTraps runs the client once in each trap; with -update also without brs-exec, to tell
// which traps bite.
func allTraps(t *testing.T, c *client, r *row) {
	for _, trap := range traps {
		if trap.java && c.language != "Java" {
			continue
		}
		t.Run(trap.name, func(t *testing.T) {
			defer take(works)()
			cell := cell{except: c.except[trap.name]}
			cell.held = oneTrap(t, c, trap)
			if *update && (onlyLo || !trap.outer) {
				cell.naive = naive(t, c, trap)
			}
			r.set(func() { r.traps[trap.name] = cell })
		})
	}
}

// oneTrap says whether the client was the role, and only that. That it can't be is
// expected where the client's row says so; brs-exec must have warned.
func oneTrap(t *testing.T, c *client, trap trap) bool {
	w := newWorld(t, 15*time.Minute, nil)
	trap.set(w)
	w.seen()
	o := w.brsExec(c, within(limit), c.command(w, "who")...)
	calls, asked := w.seen()
	held := o.status == 0 && strings.TrimSpace(o.stdout) == want && len(calls) > 0 && len(asked) == 0
	for _, call := range calls {
		held = held && call.arn == want && call.code == ""
	}
	if held && strings.Contains(o.stderr, falseAlarm) {
		t.Errorf("a false alarm: %s", o.stderr)
	}
	if why := c.except[trap.name]; held == (why != "") || !held && !strings.Contains(o.stderr, "brs-exec: warning:") {
		t.Errorf("status %d, %q, calls %v, also asked %q, stderr %s; expected exception: %q", o.status, o.stdout, calls, asked, o.stderr, why)
	}
	return held
}

// naive says who the client is in the trap under a wrapper that only adds the endpoint.
func naive(t *testing.T, c *client, trap trap) string {
	w := newWorld(t, 15*time.Minute, nil)
	trap.set(w)
	w.naive()
	w.seen()
	o := w.run(within(limit), c.command(w, "who"))
	calls, _ := w.seen()
	for _, call := range calls {
		if call.arn != "" && call.arn != want {
			return "other"
		}
	}
	if o.status != 0 || strings.TrimSpace(o.stdout) != want {
		return "error"
	}
	return "role"
}

// Nothing left in TMPDIR, which every run holds, means something only if the files were there.
func TestPrivateDirectoryIsInTMPDIR(t *testing.T) {
	w := newWorld(t, 15*time.Minute, nil)
	if o := w.brsExec(&client{}, within(limit), "sh", "-c", `ls "$TMPDIR"/brs-exec-*/"${AWS_CONFIG_FILE##*/}"`); o.status != 0 {
		t.Errorf("status %d, stderr %s", o.status, o.stderr)
	}
}

// What a variable that is no SDK's chain says goes with the rest.
func TestBearerTokenIsGone(t *testing.T) {
	w := newWorld(t, 15*time.Minute, nil)
	w.set("AWS_BEARER_TOKEN_BEDROCK=leak")
	if o := w.brsExec(&client{}, within(limit), "sh", "-c", "env | grep BEARER || echo gone"); o.stdout != "gone\n" {
		t.Errorf("%q, stderr %s", o.stdout, o.stderr)
	}
}
