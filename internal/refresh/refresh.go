// Package refresh keeps one aws.Credentials valid: fetched at half its life, served while valid,
// never after expiry.
//
// A Refresher stands between a slow, failing, rate-limited source (STS, mostly) and clients that
// give up after a second. Start gets the first credentials, Run keeps fetching their successors in
// the background, Retrieve answers from memory. A Refresher is itself an aws.CredentialsProvider;
// it is harmless to put one on top of another.
//
// # Failure
//
// Ours is the only layer that retries: src must neither retry nor cache. An outage shorter than the
// life that is left costs a client nothing; what is valid is served and the user told once, and
// once more when it heals. How soon to try again (schedule.go) depends on what is left, on the time
// since the end, and on the class of the error. An error's RetryAfter() time.Duration is heeded. An
// attempt lasts at most a quarter of what is left. If the source ignores its context, its late
// answer is taken when it comes, and at most three such calls are ever outstanding.
//
// # Clocks
//
// Clients judge by this machine's wall clock, STS by its own, and neither is told when the machine
// sleeps. A credential has expired as soon as the wall clock or the running clock says so
// (credential.go), and stays so wherever the wall clock goes. The loop looks at both every 30 s,
// and fetches anew after a clock step or a resume. Where Options.Skew says that this clock and
// STS's disagree by more than a minute, the Expires that Retrieve returns is Expiration + skew: the
// instant at which this machine's clock will show the end. Within that minute a slow clock still
// shortens lives, and a fast one changes nothing. A skew that nothing bears out is not believed
// (date.go).
//
// # Errors
//
// What Start and Retrieve return wraps the source's last error that says more than "deadline
// exceeded". errors.AsType finds a smithy.APIError in it. Credentials are never logged, in any
// form.
//
// # Concurrency
//
// One goroutine at a time, the driver (Start's caller, then Run's), fetches and decides. It
// publishes through two atomic pointers: the credential held, and the turn, whose channel is closed
// when there is news. Retrieve takes no lock and does not allocate while a credential is valid. Any
// number of waiting callers cost one call to the source. They can have the driver look at the
// clocks, but not shorten the delays.
package refresh

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Options may be left zero.
type Options struct {
	Log       *slog.Logger     // nil: discard
	Permanent func(error) bool // only a person can heal it; nil: none is
	Throttled func(error) bool // the source asks for fewer calls; nil: none is
	// StartTimeout is how long Start tries; 0: 30 s. ReadTimeout is the most for one attempt; 0: 10
	// s.
	StartTimeout, ReadTimeout time.Duration
	// RetryDenied is how long Start retries an error that is Denied, though it is Permanent: a role
	// that was made seconds ago answers so. 0 or a nil Denied: not at all.
	RetryDenied time.Duration
	Denied      func(error) bool
	// Lazy fetches only when a Retrieve asks. Past half of the life it is answered from memory and
	// starts a fetch; past the end it waits for one.
	Lazy bool
	// LeastLeft is what clients want to be left of a life: the successor is fetched when no more
	// than that is left, even before half of the life. 0: they ask again in time.
	LeastLeft time.Duration
	// Skew returns this machine's clock minus STS's, as the source measured it in its last answer
	// or error; 0 or a nil Skew: unknown. Return the measured value unrounded: one that differs
	// from the last counts as a new measurement. Skew is called between calls to the source, but a
	// call that was given up may still be running.
	Skew func() time.Duration
	// Asked returns the life that the source asked STS for when it got these credentials, which is
	// the most that they have; 0 or a nil Asked: unknown.
	Asked func(aws.Credentials) time.Duration
}

// Stats counts since New.
type Stats struct {
	Fetches   uint64 // calls to the source
	Failures  uint64 // attempts that brought nothing of use
	Rotations uint64 // new credentials, the first included
}

// A Refresher holds the current credentials of one source.
type Refresher struct {
	src      aws.CredentialsProvider
	o        Options
	held     atomic.Pointer[credential] // nil: none yet
	turn     atomic.Pointer[turn]
	kick     chan struct{}      // of one: a client asks the driver to look at the clocks
	renewals chan chan struct{} // of those who want an attempt now, and wait for its end

	fetches, failures, rotations atomic.Uint64

	now   func() time.Time // wall clock; a field for tests of clock steps
	rand  func() float64
	birth time.Time // running time counts from here

	driving chan struct{} // of one: holds a token while Start or Run is at work; it guards d
	d       driver
}

// A turn is the time from one piece of news to the next; done is closed at its end.
type turn struct {
	done         chan struct{}
	calling      bool   // a call to the source is under way
	stopped      bool   // Start has failed or Run has ended: no attempt will follow
	failed       uint64 // attempts, since New
	nothingValid bool   // nothing valid was held when the turn began
	err          error  // of the outage so far
	permanent    bool   // only a person can heal err
}

// New makes a Refresher that does nothing until Start or Run.
func New(src aws.CredentialsProvider, o Options) *Refresher {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.StartTimeout <= 0 {
		o.StartTimeout = 30 * time.Second
	}
	if o.ReadTimeout <= 0 {
		o.ReadTimeout = 10 * time.Second
	}
	r := &Refresher{src: src, o: o, now: time.Now, rand: rand.Float64, birth: time.Now()}
	r.kick = make(chan struct{}, 1)
	r.renewals = make(chan chan struct{})
	r.driving = make(chan struct{}, 1)
	r.turn.Store(&turn{done: make(chan struct{})})
	return r
}

// Retrieve returns credentials that are valid now: at once and without a lock if there are any.
// Otherwise it waits for them until ctx ends: an SDK that got an error at once would only ask
// again. Without a deadline in ctx it waits until one attempt has failed. It doesn't wait for what
// only a person can heal. It never returns expired credentials.
func (r *Refresher) Retrieve(ctx context.Context) (aws.Credentials, error) {
	if c, ok := r.current(); ok {
		return c, nil
	}
	return r.wait(ctx)
}

// current returns what is held, if it is valid, and asks the driver to act where that is needed.
func (r *Refresher) current() (aws.Credentials, bool) {
	h := r.held.Load()
	if h == nil {
		return aws.Credentials{}, false
	}
	i := r.instant()
	c, valid, steady := h.answer(i)
	if !steady || (r.o.Lazy && !h.clock.at(i).Before(h.due)) {
		r.ask()
	}
	return c, valid
}

// wait waits for a valid credential as Retrieve says. It loads the turn before it looks for a
// credential: one that is published in between ends that turn.
func (r *Refresher) wait(ctx context.Context) (aws.Credentials, error) {
	_, bounded := ctx.Deadline()
	failed := r.turn.Load().failed
	for {
		t := r.turn.Load()
		if c, ok := r.current(); ok {
			return c, nil
		}
		r.ask()
		// Nothing will come, only a person can bring it, or the one attempt of a caller without a
		// deadline has failed.
		if t.stopped || t.permanent && t.nothingValid && !t.calling || !bounded && t.failed > failed {
			return aws.Credentials{}, r.noCredentials(t.err)
		}
		select {
		case <-t.done:
		case <-ctx.Done():
			return aws.Credentials{}, r.noCredentials(cmp.Or(r.turn.Load().err, context.Cause(ctx)))
		}
	}
}

// News returns a channel that is closed when the next attempt begins or ends. Whoever keeps a copy
// of what Retrieve returns gets the channel first, then the copy.
func (r *Refresher) News() <-chan struct{} { return r.turn.Load().done }

// noCredentials says why there is nothing to hand out.
func (r *Refresher) noCredentials(err error) error {
	if h := r.held.Load(); h != nil {
		return fmt.Errorf("credentials expired at %s: %w", h.creds.Expires.UTC().Format(time.RFC3339), err)
	}
	return fmt.Errorf("no credentials yet: %w", err)
}

// ask has the driver look at the clocks, and in lazy mode fetch, but no sooner than the delays
// allow.
func (r *Refresher) ask() {
	select {
	case r.kick <- struct{}{}:
	default:
	}
}

// Renew has Run make an attempt at once, and waits until it has ended, or until ctx ends.
func (r *Refresher) Renew(ctx context.Context) {
	ended := make(chan struct{})
	select {
	case r.renewals <- ended:
	case <-ctx.Done():
		return
	}
	select {
	case <-ended:
	case <-ctx.Done():
	}
}

// State is how it stands between two pieces of news.
type State struct {
	Expires time.Time // of what is held; zero: it doesn't say, or nothing is held
	Err     error     // of the outage so far; nil: there is none
}

// State may be called at any time.
func (r *Refresher) State() State {
	t := r.turn.Load()
	s := State{Err: t.err}
	if h := r.held.Load(); h != nil && h.creds.CanExpire {
		s.Expires = h.creds.Expires
	}
	return s
}

// Stats returns the counts; it may be called at any time.
func (r *Refresher) Stats() Stats {
	return Stats{r.fetches.Load(), r.failures.Load(), r.rotations.Load()}
}

// instant reads both clocks. Round strips the monotonic reading, or Before and Sub would prefer it.
func (r *Refresher) instant() instant {
	return instant{r.now().Round(0), time.Since(r.birth)}
}
