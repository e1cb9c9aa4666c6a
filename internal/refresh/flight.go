package refresh

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

const (
	// grace lets a source whose context has ended return an error that says more than ours.
	grace = 100 * time.Millisecond
	// reusable is the age up to which the next attempt waits for a call that ignores its context,
	// instead of making a second one: somebody may be typing an MFA code, and must not be prompted
	// twice.
	reusable = time.Minute
	// mostCalls bounds the goroutines of a source that never returns.
	mostCalls = 3
	// lastWait bounds how long such calls delay our end.
	lastWait = 250 * time.Millisecond
)

// A call is one src.Retrieve in a goroutine of its own; creds and err are there once done is
// closed.
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

// fetch asks the source and waits no longer than limit, whatever the source does. calledAt is when
// the call that was answered began; it may be one of an earlier attempt.
func (r *Refresher) fetch(
	ctx context.Context, limit time.Duration,
) (creds aws.Credentials, calledAt instant, err error) {
	c := r.reuse()
	if c == nil {
		c = r.call(ctx, limit)
	}
	select {
	case <-c.done:
		r.drop(c)
		return c.creds, c.begun, c.err
	case <-ctx.Done():
		return aws.Credentials{}, c.begun, context.Cause(ctx)
	case <-time.After(limit + grace):
		err = fmt.Errorf("no answer within %v: %w", limit.Round(time.Millisecond), context.DeadlineExceeded)
		return aws.Credentials{}, c.begun, err
	}
}

// call asks the source in a goroutine of its own.
func (r *Refresher) call(ctx context.Context, limit time.Duration) *call {
	c := &call{begun: r.instant(), done: make(chan struct{})}
	r.d.calls = append(r.d.calls, c)
	r.fetches.Add(1)
	ctx, cancel := context.WithTimeout(ctx, limit)
	go func() { // waitForCalls awaits it
		defer close(c.done)
		defer cancel()
		c.creds, c.err = r.src.Retrieve(ctx)
	}()
	return c
}

// reuse returns a call of an earlier attempt that may still bring credentials, or nil if a new one
// is to be made. It drops older calls that have ended.
func (r *Refresher) reuse() *call {
	calls := r.d.calls
	if len(calls) == 0 {
		return nil
	}
	last := calls[len(calls)-1]
	if last.ended() && last.err == nil || !last.ended() && r.instant().run-last.begun.run < reusable {
		return last
	}
	r.d.calls = slices.DeleteFunc(calls, (*call).ended)
	if len(r.d.calls) == mostCalls {
		return last
	}
	return nil
}

// drop forgets a call whose answer has been taken.
func (r *Refresher) drop(c *call) {
	r.d.calls = slices.DeleteFunc(r.d.calls, func(other *call) bool { return other == c })
}

// lateCall returns the channel of the latest call that outlived its attempt. If there is none it is
// nil, on which nothing ever comes.
func (r *Refresher) lateCall() <-chan struct{} {
	if n := len(r.d.calls); n > 0 {
		return r.d.calls[n-1].done
	}
	return nil
}

// takeLateAnswer makes the next step take the late call's credentials at once. An error of that
// call changes nothing.
func (r *Refresher) takeLateAnswer() {
	c := r.d.calls[len(r.d.calls)-1]
	if c.err != nil {
		r.drop(c)
		return
	}
	r.d.due, r.d.wanted = r.at(), true
}

// waitForCalls waits for all calls, whose contexts have ended, but no longer than lastWait.
func (r *Refresher) waitForCalls() {
	over := time.After(lastWait)
	for _, c := range r.d.calls {
		select {
		case <-c.done:
		case <-over:
			return
		}
	}
	r.d.calls = nil
}
