package refresh

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// The driver's own state; see Refresher.driver.
type driver struct {
	clock  reckoning     // of the credential held, or since the driver began
	lacked time.Duration // running time at which there was first found to be none that is valid
	due    time.Time     // of the next attempt
	apart  time.Duration // wall minus running time at the last look
	asked  bool          // by a client, since the last attempt
	calls  []*call       // those that have not been heard of yet
	skew   time.Duration // as last seen
	shift  time.Duration // what follows from it
	denied time.Time     // until then a permanent error counts as passing

	err    error // of the outage so far; nil: none
	fatal  bool  // the latest one won't heal by itself
	warned bool  // of this outage
	lost   bool  // that the credential ended in this outage was told

	toldSkew, toldEndless bool
}

// Start gets the first credentials, trying again for as long as that makes sense, or returns why there are none: the
// source's own last error. What only a person can heal ends it at once.
func (r *Refresher) Start(ctx context.Context) error {
	if !r.begin(ctx) {
		return context.Cause(ctx)
	}
	defer r.end()
	begun := r.at()
	r.d.denied = begun.Add(r.o.RetryDenied)
	for !r.held.Load().valid(r.at()) {
		left := begun.Add(max(r.o.StartTimeout, r.o.RetryDenied)).Sub(r.at())
		r.attempt(ctx, startLimit(left, r.o.ReadTimeout))
		if err := r.giveUp(ctx, begun); err != nil {
			r.settle()
			r.publish(turn{over: true, err: err, fatal: r.d.fatal})
			return err
		}
	}
	return nil
}

// giveUp says why Start goes on no longer, or waits for the next attempt.
func (r *Refresher) giveUp(ctx context.Context, begun time.Time) error {
	d, now := &r.d, r.at()
	switch {
	case ctx.Err() != nil:
		return interrupted(ctx, d.err)
	case d.err == nil:
		return nil
	case d.fatal:
		return d.err
	case now.Before(d.denied) && r.permanent(d.err):
	case !d.due.Before(begun.Add(r.o.StartTimeout)):
		return fmt.Errorf("gave up after %v: %w", now.Sub(begun).Round(100*time.Millisecond), d.err)
	}
	if !d.warned && now.Sub(begun) > 3*time.Second {
		d.warned = true
		r.o.Log.Warn("no credentials yet, still trying", "error", d.err)
	}
	for r.at().Before(d.due) {
		if !r.sleep(ctx) {
			return interrupted(ctx, d.err)
		}
	}
	return nil
}

func interrupted(ctx context.Context, err error) error {
	if err == nil {
		return context.Cause(ctx)
	}
	return fmt.Errorf("%w (%w)", err, context.Cause(ctx))
}

// Run fetches successors until ctx ends, and returns only when all that it began has ended, or has had a quarter of a
// second to. It may follow Start or do without.
func (r *Refresher) Run(ctx context.Context) error {
	if !r.begin(ctx) {
		return nil
	}
	defer r.end()
	for r.sleep(ctx) {
		r.look()
		if !r.o.Lazy || r.d.asked {
			r.step(ctx)
		}
	}
	r.settle()
	r.publish(turn{over: true, err: cmp.Or(r.d.err, errStopped)})
	return nil
}

var errStopped = errors.New("the refresh has ended")

// step makes an attempt if one is due.
func (r *Refresher) step(ctx context.Context) {
	now := r.at()
	if now.Before(r.d.due) {
		return
	}
	r.attempt(ctx, attemptLimit(now, r.expires(now), r.o.ReadTimeout))
}

// begin makes the caller the driver; false if ctx ended before its turn.
func (r *Refresher) begin(ctx context.Context) bool {
	select {
	case r.driver <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	i := r.instant()
	r.d.apart = apart(i)
	if r.held.Load() == nil {
		r.d.clock = reckoning{i}
		r.d.due = i.wall
		r.publish(turn{})
	}
	if !r.held.Load().valid(r.at()) {
		r.d.lacked = i.run
	}
	return true
}

func (r *Refresher) end() { <-r.driver }

// at is the reckoned time.
func (r *Refresher) at() time.Time { return r.d.clock.at(r.instant()) }

func apart(i instant) time.Duration { return time.Duration(i.wall.UnixNano()) - i.run }

// expires is the end of what is held, or since when there is nothing valid. The time spent asleep doesn't count: after a
// resume the network needs a moment, and an outage that this machine slept through has not worn anybody out.
func (r *Refresher) expires(now time.Time) time.Time {
	h := r.held.Load()
	switch {
	case !h.valid(now):
		return now.Add(r.d.lacked - r.instant().run)
	case !h.creds.CanExpire:
		return now.Add(rolling)
	}
	return h.ends
}

// sleep returns when it is time to look: the next attempt is due, somebody asks, a late call has ended, 30 s have passed.
// It returns false when ctx has ended.
func (r *Refresher) sleep(ctx context.Context) bool {
	wait := lookEvery
	if !r.o.Lazy || r.d.asked {
		wait = min(wait, r.d.due.Sub(r.at()))
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
	case <-r.overdue():
		r.heard()
	case <-r.kick:
		h := r.held.Load() // a client may have asked just before it was fetched
		r.d.asked = h == nil || !r.at().Before(h.due)
	}
	return ctx.Err() == nil
}

// look takes notice of what the clocks did since the last look.
func (r *Refresher) look() {
	i := r.instant()
	moved := apart(i) - r.d.apart
	r.d.apart = apart(i)
	h := r.held.Load()
	if h != nil && h.creds.CanExpire {
		if _, valid, steady := h.answer(i); valid && !steady || moved.Abs() >= jump {
			r.hold(h.steadied(i))
		}
	}
	if moved.Abs() >= jump {
		r.jumped(moved)
	}
	r.lack(i.run)
}

// lack notes when the last valid credential ended.
func (r *Refresher) lack(run time.Duration) {
	switch {
	case r.held.Load().valid(r.at()):
		r.d.lacked = 0
	case r.d.lacked == 0:
		r.d.lacked = run
	}
}

// jumped plans a fetch after a clock step or a resume, and forgets how long there has been nothing: the network, too, is new.
func (r *Refresher) jumped(by time.Duration) {
	now := r.at()
	if soon := now.Add(afterJump(now, r.expires(now), r.rand())); soon.Before(r.d.due) {
		r.d.due = soon
	}
	if h := r.held.Load(); h != nil {
		early := *h
		early.due = r.d.due
		r.hold(&early)
	}
	r.d.lacked = 0
	r.o.Log.Info("clock stepped or machine slept", "by", by.Round(time.Millisecond))
}

// hold publishes h for all clients.
func (r *Refresher) hold(h *held) {
	r.d.clock = h.clock
	r.held.Store(h)
}

// publish ends the current turn.
func (r *Refresher) publish(t turn) {
	t.done, t.lack = make(chan struct{}), !r.held.Load().valid(r.at())
	close(r.turn.Swap(&t).done)
}

// attempt asks the source once and plans the next attempt. One that our own end cut short counts for nothing.
func (r *Refresher) attempt(ctx context.Context, limit time.Duration) {
	r.d.asked = false
	r.publish(turn{flying: true, err: r.d.err, fatal: r.d.fatal})
	begun := r.instant()
	c, asked, err := r.fetch(ctx, limit)
	if err != nil && ctx.Err() != nil {
		return
	}
	i := r.instant()
	// Reckoned from before the call: a clock that is set back between the source's look at it and ours gives no life.
	k := reckoning{asked}.absorbed(i)
	took := i.run - begun.run
	r.heedSkew(i, k, took)
	if err == nil {
		err = r.accept(c, i, k)
	}
	if err == nil {
		r.healed()
	} else {
		r.failed(err, took)
	}
	r.publish(turn{err: r.d.err, fatal: r.d.fatal})
}

// heedSkew reads what the source saw of STS's clock. After a clock step even an error's Date settles what is still valid.
func (r *Refresher) heedSkew(i instant, k reckoning, took time.Duration) {
	if r.o.Skew == nil {
		return
	}
	skew := r.o.Skew()
	if skew == r.d.skew {
		return
	}
	r.d.skew, r.d.shift = skew, shift(skew, took)
	if !r.d.toldSkew && skew.Abs() > skewTold {
		r.d.toldSkew = true
		r.o.Log.Warn("this machine's clock and STS's disagree; lives are reckoned by STS's", "ahead_by", skew.Round(time.Second))
	}
	if h := r.held.Load(); h != nil && h.creds.CanExpire {
		s := h.restated(i, k, r.d.shift)
		if (s.creds.Expires.Sub(h.creds.Expires)).Abs() > jump {
			r.hold(s)
		}
	}
}

// accept takes what the source brought, unless what is held is better.
func (r *Refresher) accept(c aws.Credentials, i instant, k reckoning) error {
	if !c.HasKeys() {
		return errors.New("source returned no keys")
	}
	issued := k.at(i)
	h := &held{creds: c, stated: c.Expires.Round(0), ends: issued.Add(rolling), clock: k}
	if c.CanExpire {
		h.ends = h.stated.Add(r.d.shift)
		h = h.steadied(i)
	}
	life := h.ends.Sub(issued)
	if life < leastLife {
		return endedError{life}
	}
	now, old := r.at(), r.held.Load()
	switch {
	case old.valid(now) && same(old.creds, c):
		r.repeated(h, issued)
	case old.valid(now) && old.creds.CanExpire && c.CanExpire && old.ends.Sub(now) > life:
		r.d.due = now.Add(lookAgain(now, old.ends))
		r.o.Log.Debug("kept what lives longer than what the source returned", "expires", old.creds.Expires, "returned", h.creds.Expires)
	default:
		h.due = refreshAt(issued, h.ends, r.rand())
		r.rotate(old, h, now)
		r.tell(h, life)
	}
	return nil
}

// repeated: the source has not rotated, but may have moved the end.
func (r *Refresher) repeated(h *held, now time.Time) {
	wait := lookAgain(now, h.ends)
	if !h.creds.CanExpire {
		wait = between(rolling, 0.45, 0.55, r.rand())
	}
	h.due = now.Add(wait)
	r.hold(h)
	r.d.due = h.due
	r.o.Log.Debug("source returned the same credentials", "expires", h.creds.Expires, "look_in", wait)
}

func (r *Refresher) rotate(old, h *held, now time.Time) {
	if old != nil && old.creds.CanExpire {
		left := int64(max(old.ends.Sub(now), 0))
		if r.rotations.Load() == 1 || left < r.leastLeft.Load() {
			r.leastLeft.Store(left)
		}
	}
	r.rotations.Add(1)
	r.hold(h)
	r.d.due = h.due
}

func (r *Refresher) tell(h *held, life time.Duration) {
	if h.creds.CanExpire {
		r.o.Log.Info("new credentials", "expires", h.creds.Expires, "life", life.Round(time.Second))
		return
	}
	if !r.d.toldEndless {
		r.d.toldEndless = true
		r.o.Log.Warn("credentials do not say when they end; nothing can refresh them")
	}
}

// failed plans the next try and tells the user, once an outage.
func (r *Refresher) failed(err error, took time.Duration) {
	d := &r.d
	r.failures.Add(1)
	d.err = telling(d.err, err)
	r.lack(r.instant().run)
	now := r.at()
	expires := r.expires(now)
	c := r.classify(err)
	d.fatal = c == permanent
	d.due = nextTry(now.Add(-took), now, retryIn(now, expires, c, r.rand()))
	if a, ok := errors.AsType[retryAfterer](err); ok {
		if at := now.Add(retryAfter(now, expires, a.RetryAfter())); at.After(d.due) {
			d.due = at
		}
	}
	r.o.Log.Debug("fetch failed", "error", err, "took", took, "retry_in", d.due.Sub(now))
	r.warn(now)
}

// warn says what a failure means for the child: that it began, and that it has outlasted the credentials.
func (r *Refresher) warn(now time.Time) {
	d, h := &r.d, r.held.Load()
	retry := d.due.Sub(now).Round(time.Millisecond)
	switch {
	case h == nil: // Start returns the error
	case h.valid(now) && !d.warned:
		r.o.Log.Warn("refresh failed; what is held stays valid", "expires", ending(h), "retry_in", retry, "error", d.err)
		d.warned = true
	case !h.valid(now) && !d.lost:
		r.o.Log.Warn("credentials have expired and can't be refreshed", "expired", h.creds.Expires, "retry_in", retry, "error", d.err)
		d.warned, d.lost = true, true
	}
}

// healed ends the outage, if there is one.
func (r *Refresher) healed() {
	d := &r.d
	if d.warned {
		r.o.Log.Warn("the source answers again", "expires", ending(r.held.Load()))
	}
	d.err, d.fatal, d.warned, d.lost = nil, false, false, false
}

// ending is for the log.
func ending(h *held) any {
	if !h.creds.CanExpire {
		return "never"
	}
	return h.creds.Expires
}

type retryAfterer interface {
	error
	RetryAfter() time.Duration
}

func (r *Refresher) classify(err error) class {
	if r.permanent(err) {
		if r.at().Before(r.d.denied) {
			return passing
		}
		return permanent
	}
	if r.o.Throttled != nil && r.o.Throttled(err) {
		return throttled
	}
	return passing
}

func (r *Refresher) permanent(err error) bool { return r.o.Permanent != nil && r.o.Permanent(err) }

// telling is the error of an outage to show: the latest, unless it only says that time ran out and an earlier one says more.
func telling(before, latest error) error {
	if before == nil || !errors.Is(latest, context.DeadlineExceeded) && !errors.Is(latest, context.Canceled) {
		return latest
	}
	return before
}

// An endedError is an answer that is over already, or as good as.
type endedError struct{ left time.Duration }

func (e endedError) Error() string {
	if e.left > 0 {
		return fmt.Sprintf("source returned credentials that end in %v", e.left.Round(time.Millisecond))
	}
	return fmt.Sprintf("source returned credentials that ended %v ago", -e.left.Round(time.Second))
}

// Hints: where STS is asked and its clock known, lives are reckoned by that; elsewhere the two clocks must agree.
func (endedError) Hints() []string {
	return []string{"check this machine's clock (date -u) and what hands out the credentials"}
}
