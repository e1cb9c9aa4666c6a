package source

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// stale is when the result of an errand that nobody waited for is of no use any more: an MFA code is good for half a
// minute, a token often for five.
const stale = 30 * time.Second

// An errand is something slow, a command or a person, that outlives the deadline of one attempt: who comes later finds it
// still under way, or done. It ends with the Source.
type errand[T any] struct {
	s   *Source
	do  func(ctx context.Context) (T, error)
	mu  sync.Mutex // guards cur
	cur *flight[T]
}

type flight[T any] struct {
	done  chan struct{} // closed when the rest is set
	value T
	err   error
	ended time.Time
}

// wait joins the errand under way, or starts one, and takes its result: the next one to come starts anew.
func (e *errand[T]) wait(ctx context.Context) (T, error) {
	f := e.flight()
	var none T
	select {
	case <-f.done:
	case <-ctx.Done():
		select {
		case <-f.done: // both: it was not in vain
		default:
			return none, ctx.Err()
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.cur == f {
		e.cur = nil
	}
	return f.value, f.err
}

func (e *errand[T]) flight() *flight[T] {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.cur != nil && !e.cur.old() {
		return e.cur
	}
	f := &flight[T]{done: make(chan struct{})}
	e.cur = f
	e.s.work.Go(func() {
		defer close(f.done)
		f.value, f.err = e.do(e.s.life)
		f.ended = time.Now()
	})
	return f
}

func (f *flight[T]) old() bool {
	select {
	case <-f.done:
		return time.Since(f.ended) > stale
	default:
		return false
	}
}

// Close ends the commands and prompts that are under way, and returns when they have ended.
func (s *Source) Close() error {
	s.end()
	s.work.Wait()
	return nil
}

// errClosed is what an errand comes to that Close has ended.
var errClosed = fmt.Errorf("ended with brs-exec: %w", context.Canceled)
