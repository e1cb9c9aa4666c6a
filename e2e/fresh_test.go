package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"brs-exec/internal/sandbox"
	"brs-exec/need"
)

// endpoint is a running brs-exec whose child only waits: the test is the client.
type endpoint struct {
	url, token string
	stop       func() (stderr string)
}

// serve starts brs-exec and returns when its child runs.
func (w *world) serve(t *testing.T, args ...string) *endpoint {
	t.Helper()
	dir := t.TempDir()
	told := filepath.Join(dir, "told")
	args = append(args, "--", "sh", "-c",
		`echo "$AWS_CONTAINER_CREDENTIALS_FULL_URI $AWS_CONTAINER_AUTHORIZATION_TOKEN" >"$1.part"; mv "$1.part" "$1"; exec sleep 600`, "sh", told)
	cmd := exec.Command(tools.brsExec, args...)
	cmd.Env = w.env
	stderr, err := os.Create(filepath.Join(dir, "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	e := &endpoint{stop: func() string {
		once.Do(func() { cmd.Process.Signal(syscall.SIGTERM); cmd.Wait() })
		text, err := os.ReadFile(stderr.Name())
		if err != nil {
			t.Error(err)
		}
		return string(text)
	}}
	t.Cleanup(func() { e.stop() })
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if text, err := os.ReadFile(told); err == nil {
			e.url, e.token, _ = strings.Cut(strings.TrimSpace(string(text)), " ")
			return e
		}
	}
	t.Fatalf("the command did not start: %s", e.stop())
	return nil
}

// answer is what a GET brought.
type answer struct {
	status      int
	took        time.Duration
	AccessKeyID string `json:"AccessKeyId"`
	Expiration  time.Time
	Code        string
}

// get asks once, on a connection of its own.
func (e *endpoint) get() (answer, error) {
	req, err := http.NewRequest("GET", e.url, nil)
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Authorization", e.token)
	req.Close = true
	begun := time.Now()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	a := answer{status: resp.StatusCode, took: time.Since(begun)}
	if err != nil {
		return a, err
	}
	return a, json.Unmarshal(body, &a)
}

// poll asks every pause for that long. A 200 with an expired credential, and no
// answer at all, are failures whatever the test is about.
func (e *endpoint) poll(t *testing.T, length, pause time.Duration, see func(at time.Duration, a answer)) {
	t.Helper()
	for begun := time.Now(); time.Since(begun) < length; time.Sleep(pause) {
		at := time.Since(begun)
		a, err := e.get()
		if err != nil {
			t.Errorf("at %v: %v", at, err)
			continue
		}
		if a.status == 200 && !a.Expiration.After(time.Now().Add(-a.took)) {
			t.Errorf("at %v: 200 with a credential that expired at %v", at, a.Expiration)
		}
		see(at, a)
	}
}

// faults are the ways in which an STS fails.
var faults = map[string]error{
	"500":      sandbox.InternalFailure,
	"throttle": sandbox.Throttling,
	"reset":    sandbox.ErrReset,
	"hang":     sandbox.ErrHang,
}

// outage makes an STS that fails in a window after its first answer.
func outage(fault error, from, to time.Duration, ttl time.Duration) (sandbox.Options, *atomic.Int64) {
	var first atomic.Int64
	var calls atomic.Int64
	return sandbox.Options{TTL: ttl, Fault: func(c sandbox.Call) error {
		if c.Action != "AssumeRole" {
			return nil
		}
		calls.Add(1)
		now := time.Now().UnixNano()
		if first.CompareAndSwap(0, now) {
			return nil
		}
		if at := time.Duration(now - first.Load()); at >= from && at < to {
			return fault
		}
		return nil
	}}, &calls
}

// An outage that is shorter than the life that is left costs the client nothing.
func TestOutageWithinTheLife(t *testing.T) {
	t.Parallel()
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			if name != "hang" {
				need.Long(t, "18 seconds; internal/refresh has each fault in its own time")
			}
			o, calls := outage(fault, 4*time.Second, 10*time.Second, 12*time.Second)
			w := newWorld(t, o).base()
			e := w.serve(t, "--role-arn", role)
			soon := limit{longest: 200 * time.Millisecond}
			e.poll(t, 18*time.Second, 40*time.Millisecond, func(at time.Duration, a answer) {
				if a.status != 200 || !soon.holds(a.took) {
					t.Errorf("at %v: %d %s after %v", at, a.status, a.Code, a.took)
				}
			})
			if n := calls.Load(); n > 30 {
				t.Errorf("%d AssumeRole calls; want 30 at most", n)
			}
			soon.calm(t)
		})
	}
}

// An outage that is longer: 200 or 503 that names STS's error, never a timeout; healed soon.
func TestOutageBeyondTheLife(t *testing.T) {
	t.Parallel()
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			if name != "hang" {
				need.Long(t, "18 seconds; internal/refresh has each fault in its own time")
			}
			const end = 11 * time.Second
			o, calls := outage(fault, time.Second, end, 4*time.Second)
			w := newWorld(t, o).base()
			e := w.serve(t, "--role-arn", role)
			soon := limit{longest: 600 * time.Millisecond}
			var bad, healed time.Duration
			e.poll(t, 18*time.Second, 40*time.Millisecond, func(at time.Duration, a answer) {
				switch {
				case !soon.holds(a.took):
					t.Errorf("at %v: answered after %v", at, a.took)
				case a.status == 503 && a.Code != "":
					bad, healed = max(bad, at), 0
				case a.status != 200:
					t.Errorf("at %v: %d %q", at, a.status, a.Code)
				case bad > 0 && healed == 0:
					healed = at
				}
			})
			if bad == 0 || healed == 0 {
				t.Fatalf("failing until %v, healed at %v: the outage was not seen", bad, healed)
			}
			// Expired for 7 s at the outage's end; 1 s for this test's own clock.
			health := limit{longest: 7*time.Second/3 + time.Second}
			if late := healed - end; !health.holds(late) {
				t.Errorf("healed %v after the outage", late)
			}
			if n := calls.Load(); n > 36 { // 30 in the outage of 7 s past expiry, and those before and after
				t.Errorf("%d AssumeRole calls", n)
			}
			soon.calm(t)
			health.calm(t)
		})
	}
}

// With STS well no answer is near its end, and rotations are few.
func TestLeastLife(t *testing.T) {
	w := newWorld(t, sandbox.Options{TTL: 12 * time.Second}).base()
	e := w.serve(t, "--role-arn", role)
	e.poll(t, 14*time.Second, 40*time.Millisecond, func(at time.Duration, a answer) {
		if left := time.Until(a.Expiration); a.status != 200 || left < 4*time.Second {
			t.Errorf("at %v: %d with %v left", at, a.status, left)
		}
	})
	if n := w.count("AssumeRole"); n < 2 || n > 5 {
		t.Errorf("%d AssumeRole calls; want 2 to 5", n)
	}
}

// A thousand clients at once cost one call. Half of them have a place before they send; the others may have to connect again.
func TestStampede(t *testing.T) {
	w := newWorld(t, sandbox.Options{}).base()
	e := w.serve(t, "--role-arn", role)
	busy := stampede(t, e, 1000)
	if n := w.count("AssumeRole"); n != 1 {
		t.Errorf("%d AssumeRole calls; want 1", n)
	}
	askedOnce(t, busy)
}

// With --lazy, five hundred at the moment of expiry cost one call.
func TestLazyStampede(t *testing.T) {
	w := newWorld(t, sandbox.Options{TTL: 5 * time.Second}).base()
	e := w.serve(t, "--lazy", "--role-arn", role)
	a, err := e.get()
	if err != nil || a.status != 200 {
		t.Fatal(a, err)
	}
	time.Sleep(time.Until(a.Expiration))
	before, start := w.count("AssumeRole"), time.Now()
	busy := stampede(t, e, 500)
	most := 1 + int(time.Since(start)/(2*time.Second)) // a busy machine needs more than half a life for them
	if n := w.count("AssumeRole") - before; n > most {
		t.Errorf("%d AssumeRole calls; want %d at most", n, most)
	}
	askedOnce(t, busy)
}

// askedOnce ends a stampede in which everyone was to be answered at once.
func askedOnce(t *testing.T, busy bool) {
	t.Helper()
	if busy && !t.Failed() {
		need.Calm(t, fmt.Sprintf("the machine was %v late, and some clients had to ask again", time.Duration(lag.Load())))
	}
}

// mostAtOnce is how many of our own may have connected and not sent yet; see internal/ecsserver's places.
const mostAtOnce = 512

// stampede lets so many ask at once. Some may have had to ask again, on a machine that is busy. Where there are more than
// have a place, each connects up to three times, as SDKs do: on a busy machine hundreds connect before the first sends.
func stampede(t *testing.T, e *endpoint, clients int) (busy bool) {
	t.Helper()
	var wg sync.WaitGroup
	var good, again atomic.Int64
	start, begun := make(chan struct{}), time.Now()
	for range clients {
		wg.Go(func() {
			<-start
			a, err := e.get()
			for try := 1; err != nil && clients > mostAtOnce && try < 3; try++ {
				time.Sleep(time.Duration(rand.Int64N(int64(100 * time.Millisecond))))
				a, err = e.get()
			}
			for busy := time.Duration(lag.Load()) > 20*time.Millisecond; busy && err == nil && a.status == 503 && time.Since(begun) < 5*time.Second; {
				again.Add(1)
				a, err = e.get() // as SDKs do: what took STS's answer too long is this machine
			}
			if err != nil || a.status != 200 {
				t.Errorf("%d %s: %v", a.status, a.Code, err)
				return
			}
			good.Add(1)
		})
	}
	close(start)
	wg.Wait()
	if n := good.Load(); n != int64(clients) {
		t.Errorf("%d answers for %d clients", n, clients)
	}
	return again.Load() > 0
}

// The local clock an hour wrong, by STS's: boto3 finds nothing expired, the user
// is told once. (The calls go to moto, which does not look at signatures' dates:
// AWS would refuse what this machine signs.)
func TestSkew(t *testing.T) {
	t.Parallel()
	needPython(t)
	for name, offset := range map[string]time.Duration{"slow": time.Hour, "fast": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, sandbox.Options{TTL: 15 * time.Minute, Now: func() time.Time { return time.Now().Add(offset) }}).base()
			here := w.url
			w.set("AWS_ENDPOINT_URL_STS=" + moto(t))
			out, errs, status := w.run(t, "--sts-endpoint-url", here, "--role-arn", role, "--", tools.python, script("identity_loop.py"), "6", "0.2")
			if status != 0 || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, "this machine's clock and STS's disagree") {
				t.Errorf("status %d, stderr %q; want one warning about the clock", status, errs)
			}
			if l := parseLoop(t, out); len(l.Errors) > 0 || l.Keys == 0 {
				t.Errorf("%+v", l)
			}
		})
	}
}

// brs-exec inside brs-exec: the inner one follows the outer within seconds and
// asks it at most once in five.
func TestNested(t *testing.T) {
	w := newWorld(t, sandbox.Options{TTL: 16 * time.Second}).base()
	out, errs, status := w.run(t, "--role-arn", role, "--", tools.brsExec, "--log-level", "debug", "--", "sh", "-c",
		fmt.Sprintf("for i in 1 2 3 4 5 6 7 8 9; do %s || exit 1; sleep 3; done", tools.whois))
	if status != 0 || strings.Count(out, ":assumed-role/etl/") != 9 {
		t.Errorf("status %d, %q, stderr %q", status, out, errs)
	}
	if n := w.count("AssumeRole"); n < 3 {
		t.Errorf("%d AssumeRole calls: fewer than three rotations", n)
	}
}
