package refresh

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

const (
	// grace is what a source gets, after its context has ended, to return an error that says more than ours.
	grace = 100 * time.Millisecond
	// adoptable is the age up to which a call that ignores its context is still worth waiting for: somebody may be
	// typing an MFA code, and a second prompt on top of the first helps nobody.
	adoptable = time.Minute
	// mostCalls bounds the goroutines that a source which never returns can cost.
	mostCalls = 3
	// farewell bounds what those may delay our end.
	farewell = 250 * time.Millisecond
)

// A call is one src.Retrieve in a goroutine of its own; creds and err are there once done is closed.
type call struct {
	begun instant
	done  chan struct{}
	creds aws.Credentials
	err   error
}

func (c *call) ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// fetch asks the source and waits no longer than limit, whatever the source does. asked is when the call began whose
// answer it is.
func (r *Refresher) fetch(ctx context.Context, limit time.Duration) (creds aws.Credentials, asked instant, err error) {
	c := r.adopt()
	if c == nil {
		c = r.call(ctx, limit)
	}
	t := time.NewTimer(limit + grace)
	defer t.Stop()
	select {
	case <-c.done:
		r.forget(c)
		return c.creds, c.begun, c.err
	case <-ctx.Done():
		return aws.Credentials{}, c.begun, context.Cause(ctx)
	case <-t.C:
		return aws.Credentials{}, c.begun, fmt.Errorf("no answer within %v: %w", limit.Round(time.Millisecond), context.DeadlineExceeded)
	}
}

func (r *Refresher) call(ctx context.Context, limit time.Duration) *call {
	c := &call{begun: r.instant(), done: make(chan struct{})}
	r.d.calls = append(r.d.calls, c)
	r.fetches.Add(1)
	ctx, cancel := context.WithTimeout(ctx, limit)
	go func() { // awaited by settle
		defer close(c.done)
		defer cancel()
		c.creds, c.err = r.src.Retrieve(ctx)
	}()
	return c
}

// adopt returns a call that outlived its attempt and may yet bring something, or nil if a new one is to be made. Calls
// that are too old and have ended are dropped.
func (r *Refresher) adopt() *call {
	calls := r.d.calls
	if len(calls) == 0 {
		return nil
	}
	last := calls[len(calls)-1]
	if last.ended() && last.err == nil || !last.ended() && r.instant().run-last.begun.run < adoptable {
		return last
	}
	running := calls[:0]
	for _, c := range calls {
		if !c.ended() {
			running = append(running, c)
		}
	}
	r.d.calls = running
	if len(running) == mostCalls {
		return running[len(running)-1]
	}
	return nil
}

func (r *Refresher) forget(c *call) {
	for i := range r.d.calls {
		if r.d.calls[i] == c {
			r.d.calls = append(r.d.calls[:i], r.d.calls[i+1:]...)
			return
		}
	}
}

// overdue is the channel of the latest call that outlived its attempt; nil, on which nothing ever comes, if there is none.
func (r *Refresher) overdue() <-chan struct{} {
	if n := len(r.d.calls); n > 0 {
		return r.d.calls[n-1].done
	}
	return nil
}

// heard takes notice of such a call's end: credentials are taken at once, an error changes nothing.
func (r *Refresher) heard() {
	c := r.d.calls[len(r.d.calls)-1]
	if c.err != nil {
		r.forget(c)
		return
	}
	r.d.due, r.d.asked = r.at(), true
}

// settle waits for all calls, which have been told to end; for those that don't listen, not long.
func (r *Refresher) settle() {
	t := time.NewTimer(farewell)
	defer t.Stop()
	for _, c := range r.d.calls {
		select {
		case <-c.done:
		case <-t.C:
			return
		}
	}
	r.d.calls = nil
}
