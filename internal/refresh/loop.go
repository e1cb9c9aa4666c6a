package refresh

import (
	"cmp"
	"context"
	"errors"
	"time"
)

// driver is the state of the goroutine that fetches; see Refresher.driving.
type driver struct {
	clock             reckoning     // of the credential held, or since the driver began
	nothingValidSince time.Duration // running time when it was found that nothing valid is held; 0: something is
	due               time.Time     // of the next attempt
	wallMinusRun      time.Duration // at the last look
	wanted            bool          // a client has asked since the last attempt
	renewal           chan struct{} // who waits for the end of the next attempt; nil: nobody
	calls             []*call       // those whose answer hasn't been taken
	skew              time.Duration // as last measured, right or wrong
	dated             *dating       // the last that was believed; nil: none yet
	doubted           *dating       // the last that was not
	retryDenied       time.Time     // until then a refusal counts as passing
	starting          bool          // Start is at work

	err         error         // of the outage so far; nil: there is none
	outageBegan time.Duration // running time when its first attempt began
	permanent   bool          // only a person can heal the latest error
	warned      bool          // the user knows of this outage,
	toldExpired bool          // and that credentials have expired in it

	toldSkew, toldEndless bool
}

// Run fetches successors until ctx ends. It returns when all its calls to the source have ended,
// or a quarter of a second later. It may follow Start or fetch the first credentials itself.
func (r *Refresher) Run(ctx context.Context) error {
	if !r.acquire(ctx) {
		return nil
	}
	defer r.release()
	for r.sleep(ctx) {
		r.checkClocks()
		if !r.o.Lazy || r.d.wanted {
			r.step(ctx)
		}
	}
	r.waitForCalls()
	r.publish(turn{stopped: true, err: cmp.Or(r.d.err, errStopped)})
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

// acquire makes the caller the driver; it returns false if ctx ended first.
func (r *Refresher) acquire(ctx context.Context) bool {
	select {
	case r.driving <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	i := r.instant()
	r.d.wallMinusRun = wallMinusRun(i)
	if r.held.Load() == nil {
		r.d.clock = reckoning{i}
		r.d.due = i.wall
		r.publish(turn{})
	}
	if !r.held.Load().valid(r.at()) {
		r.d.nothingValidSince = i.run
	}
	return true
}

func (r *Refresher) release() { <-r.driving }

// at returns the reckoned time.
func (r *Refresher) at() time.Time { return r.d.clock.at(r.instant()) }

func wallMinusRun(i instant) time.Duration { return time.Duration(i.wall.UnixNano()) - i.run }

// expires returns when what is held ends, or since when nothing valid is held. The latter is
// counted on the running clock, which leaves out time that the machine slept: after a resume the
// network needs a moment, and the delays start small.
func (r *Refresher) expires(now time.Time) time.Time {
	h := r.held.Load()
	switch {
	case !h.valid(now):
		return now.Add(r.d.nothingValidSince - r.instant().run)
	case !h.creds.CanExpire:
		return now.Add(rolling)
	}
	return h.ends
}

// sleep waits until the next attempt is due, a client asks, a late call ends or 30 s have passed.
// It returns false when ctx has ended.
func (r *Refresher) sleep(ctx context.Context) bool {
	wait := lookEvery
	if !r.o.Lazy || r.d.wanted {
		wait = min(wait, r.d.due.Sub(r.at()))
	}
	select {
	case <-ctx.Done():
		return false
	case <-time.After(wait):
	case <-r.lateCall():
		r.takeLateAnswer()
	case r.d.renewal = <-r.renewals:
		r.d.due, r.d.wanted = r.at(), true
	case <-r.kick:
		h := r.held.Load() // a client may have asked just before it was fetched
		r.d.wanted = h == nil || !r.at().Before(h.due)
	}
	return ctx.Err() == nil
}

// checkClocks accounts for what the clocks did since it last looked.
func (r *Refresher) checkClocks() {
	i := r.instant()
	moved := wallMinusRun(i) - r.d.wallMinusRun
	r.d.wallMinusRun = wallMinusRun(i)
	h := r.held.Load()
	if h != nil && h.creds.CanExpire {
		if _, valid, steady := h.answer(i); valid && !steady || moved.Abs() >= jump {
			r.hold(h.adjusted(i))
		}
	}
	if moved.Abs() >= jump {
		r.planAfterJump(moved)
	}
	r.noteNothingValid(i.run)
}

// noteNothingValid notes since when nothing valid is held. What ended early, by a reading of the
// wall clock that has been taken back, has no attempt due: it is then.
func (r *Refresher) noteNothingValid(run time.Duration) {
	switch {
	case r.held.Load().valid(r.at()):
		r.d.nothingValidSince = 0
	case r.d.nothingValidSince == 0:
		r.d.nothingValidSince = run
		if h := r.held.Load(); h != nil && r.at().Before(h.ends) {
			r.d.due = r.at()
		}
	}
}

// planAfterJump brings the next fetch forward after a clock step or a resume. It also forgets how
// long nothing valid has been held: the network may be another one now, so the delays start small.
func (r *Refresher) planAfterJump(by time.Duration) {
	now := r.at()
	if soon := now.Add(afterJump(now, r.expires(now), r.rand())); soon.Before(r.d.due) {
		r.d.due = soon
	}
	if h := r.held.Load(); h != nil {
		early := *h
		early.due = r.d.due
		r.hold(&early)
	}
	r.d.nothingValidSince = 0
	r.o.Log.Info("clock stepped or machine slept", "by", by.Round(time.Millisecond))
}

// hold makes h what clients get.
func (r *Refresher) hold(h *credential) {
	r.d.clock = h.clock
	r.held.Store(h)
}

// publish ends the current turn and begins t.
func (r *Refresher) publish(t turn) {
	t.done, t.failed, t.nothingValid = make(chan struct{}), r.failures.Load(), !r.held.Load().valid(r.at())
	close(r.turn.Swap(&t).done)
}
