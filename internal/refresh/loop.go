package refresh

import (
	"cmp"
	"context"
	"errors"
	"time"
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
	denied time.Time     // until then a refusal counts as passing

	err    error         // of the outage so far; nil: none
	broke  time.Duration // running time at which its first attempt began
	fatal  bool          // the latest one won't heal by itself
	warned bool          // of this outage
	lost   bool          // that the credential ended in this outage was told

	toldSkew, toldEndless bool
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
	t.done, t.failed, t.lack = make(chan struct{}), r.failures.Load(), !r.held.Load().valid(r.at())
	close(r.turn.Swap(&t).done)
}
