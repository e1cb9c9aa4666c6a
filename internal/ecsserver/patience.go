package ecsserver

import (
	"context"
	"sync/atomic"
	"time"
)

// patience is a request's context with a deadline, whose timer is made when somebody first waits for it. As long as
// credentials are valid nobody does, and a context.WithTimeout would be a tenth of what a GET costs.
type patience struct {
	context.Context // the request's
	end             time.Time
	made            atomic.Pointer[timed]
}

type timed struct {
	ctx    context.Context
	cancel context.CancelFunc
}

func (p *patience) Deadline() (time.Time, bool) { return p.end, true }

func (p *patience) Done() <-chan struct{} {
	if t := p.made.Load(); t != nil {
		return t.ctx.Done()
	}
	t := new(timed)
	t.ctx, t.cancel = context.WithDeadline(p.Context, p.end)
	if !p.made.CompareAndSwap(nil, t) {
		t.cancel()
	}
	return p.made.Load().ctx.Done()
}

// Err is true to Done: before anyone waits there is only the request's own end.
func (p *patience) Err() error {
	if t := p.made.Load(); t != nil {
		return t.ctx.Err()
	}
	return p.Context.Err()
}

// stop releases the timer.
func (p *patience) stop() {
	if t := p.made.Load(); t != nil {
		t.cancel()
	}
}
