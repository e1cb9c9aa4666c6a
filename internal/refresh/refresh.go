// Package refresh keeps one aws.Credentials valid: fetched at half its life, served while valid, never after expiry.
//
// A Refresher stands between a slow, failing, rate-limited source (STS, mostly) and clients that give up after a second.
// Start gets the first credentials, Run keeps fetching their successors in the background, Retrieve answers from memory.
// A Refresher is itself an aws.CredentialsProvider; it is harmless to put one on top of another.
//
// # Failure
//
// Ours is the only layer that retries: src must neither retry nor cache. An outage shorter than the life that is left
// costs a client nothing; what is valid is served and the user told once, and once more when it heals. How soon to try
// again (schedule.go) depends on what is left, on the time since the end, and on the class of the error; one that has a
// RetryAfter() time.Duration is heeded. A source that
// hangs is given up after a quarter of what is left; if it ignores its context, its late answer is taken when it comes,
// and at most three such calls are ever outstanding.
//
// # Clocks
//
// Clients judge by this machine's wall clock, STS by its own, and neither is told when the machine sleeps. A credential is
// over as soon as the wall clock or the running clock says so (held.go); the loop looks at both every 30 s, and after a
// step or a resume it fetches anew. Where Options.Skew says that this clock and STS's disagree by more than a minute, the
// Expires that Retrieve returns is Expiration + skew: the instant at which this machine's clock will show the end. A clock
// that is slow by less than that still shortens lives; one that is fast by less changes nothing.
//
// # Errors
//
// What Start and Retrieve return wraps the source's own last error, the last one that says more than "deadline exceeded";
// errors.AsType finds a smithy.APIError in it. Credentials are never logged, in any form.
//
// # Concurrency
//
// One goroutine at a time, the driver (Start's caller, then Run's), fetches and decides. It publishes through two atomic
// pointers: the credential held, and the turn, whose channel is closed when there is news. Retrieve takes no lock and does
// not allocate while a credential is valid; any number of waiting callers cost one call to the source, and what they can
// do to hasten it is to have the driver look at the clocks: the delays hold.
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
	Permanent func(error) bool // no retry will heal it; nil: none is
	Throttled func(error) bool // the source has too much to do: ask less; nil: none is
	// StartTimeout is all that the first credentials may take; 0: 30 s. ReadTimeout is the most for one attempt; 0: 10 s.
	StartTimeout, ReadTimeout time.Duration
	// RetryDenied is how long, at the start, an error that is Denied counts as passing though it is Permanent: what a role
	// answers that was made seconds ago. 0 or nil: not at all.
	RetryDenied time.Duration
	Denied      func(error) bool
	// Lazy: nothing is fetched that nobody asked for. Past half of the life a Retrieve is answered from memory and starts
	// a fetch; past the end it waits for it.
	Lazy bool
	// Skew is this machine's clock minus STS's, as the source saw it in the last answer, an error's too; 0: unknown. It
	// is wanted as measured: after a clock step, that it changed is what tells that it is fresh. It is called while no
	// answer is being read, but for those of calls that were given up. nil: unknown.
	Skew func() time.Duration
}

// Stats counts since New.
type Stats struct {
	Fetches   uint64        // calls to the source
	Failures  uint64        // attempts that brought nothing of use
	Rotations uint64        // new credentials, the first included
	LeastLeft time.Duration // the least that was left of a credential when its successor came; 0 before that, or if too late
}

// A Refresher holds the current credentials of one source.
type Refresher struct {
	src  aws.CredentialsProvider
	o    Options
	held atomic.Pointer[held] // nil: none yet
	turn atomic.Pointer[turn]
	kick chan struct{} // of one: somebody wants a credential that isn't there

	fetches, failures, rotations atomic.Uint64
	leastLeft                    atomic.Int64

	now   func() time.Time // wall clock; a field for tests of clock steps
	rand  func() float64
	birth time.Time // running time counts from here

	driver chan struct{} // of one: holds a token while Start or Run is at work; it guards d
	d      driver
}

// A turn lasts until there is news for those who wait.
type turn struct {
	done   chan struct{}
	flying bool   // a call to the source is under way
	over   bool   // nobody is going to try again
	failed uint64 // attempts, since New
	lack   bool   // nothing valid was held when it began
	err    error  // of the outage so far
	fatal  bool   // err won't heal by itself
}

// New starts nothing.
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
	r.driver = make(chan struct{}, 1)
	r.turn.Store(&turn{done: make(chan struct{})})
	return r
}

// Retrieve returns credentials that are valid now: at once and without a lock if there are any. Otherwise it waits until
// ctx ends, for an SDK asks again less patiently than we try again; without a deadline in ctx, until one attempt has
// failed; and not at all for what only a person can heal. It never returns expired credentials.
func (r *Refresher) Retrieve(ctx context.Context) (aws.Credentials, error) {
	if c, ok := r.current(); ok {
		return c, nil
	}
	return r.wait(ctx)
}

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

// wait takes the turn before it looks for a credential: one that is published in between ends that turn.
func (r *Refresher) wait(ctx context.Context) (aws.Credentials, error) {
	_, bounded := ctx.Deadline()
	failed := r.turn.Load().failed
	for {
		t := r.turn.Load()
		if c, ok := r.current(); ok {
			return c, nil
		}
		r.ask()
		if t.over || t.fatal && t.lack && !t.flying || !bounded && t.failed > failed {
			return aws.Credentials{}, r.none(t.err)
		}
		select {
		case <-t.done:
		case <-ctx.Done():
			return aws.Credentials{}, r.none(cmp.Or(r.turn.Load().err, context.Cause(ctx)))
		}
	}
}

// News returns a channel that is closed at the next news: an attempt has begun or ended. It is for one who keeps a copy of
// what Retrieve returns, and gets the channel first.
func (r *Refresher) News() <-chan struct{} { return r.turn.Load().done }

// none says why there is nothing to hand out.
func (r *Refresher) none(err error) error {
	if h := r.held.Load(); h != nil {
		return fmt.Errorf("credentials expired at %s: %w", h.creds.Expires.UTC().Format(time.RFC3339), err)
	}
	return fmt.Errorf("no credentials yet: %w", err)
}

// ask has the driver look at the clocks, and in lazy mode fetch. It can't make it try sooner than the delays allow.
func (r *Refresher) ask() {
	select {
	case r.kick <- struct{}{}:
	default:
	}
}

// Stats may be called at any time.
func (r *Refresher) Stats() Stats {
	return Stats{r.fetches.Load(), r.failures.Load(), r.rotations.Load(), time.Duration(r.leastLeft.Load())}
}

// instant reads both clocks. Round strips the monotonic reading, or Before and Sub would prefer it.
func (r *Refresher) instant() instant {
	return instant{r.now().Round(0), time.Since(r.birth)}
}
