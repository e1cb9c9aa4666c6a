package command

import (
	"context"
	"sync"
	"time"

	"brs-exec/internal/source/problem"
)

// stale is when the result of a Task that nobody waited for is of no use any more: an MFA code is
// good for half a minute, a token often for five.
const stale = 30 * time.Second

// ErrClosed is what a Task comes to that its Group has ended.
var ErrClosed = &problem.Error{Text: "ended with brs-exec", Err: context.Canceled}

// A Group is the tasks that end together.
type Group struct {
	life context.Context
	end  func()
	work sync.WaitGroup
}

// NewGroup makes a Group that Close ends, and nothing else: ctx hands on its values alone.
func NewGroup(ctx context.Context) *Group {
	g := new(Group)
	g.life, g.end = context.WithCancel(context.WithoutCancel(ctx))
	return g
}

// Close ends what is under way, and returns when it has ended.
func (g *Group) Close() {
	g.end()
	g.work.Wait()
}

// A Task is something slow, a command or a person, that outlives the deadline of one attempt: who
// comes later finds it still under way, or done. It ends with its Group.
type Task[T any] struct {
	group *Group
	do    func(ctx context.Context) (T, error)
	mu    sync.Mutex // guards cur
	cur   *run[T]
}

// NewTask makes a Task of do, whose ctx is the group's life.
func NewTask[T any](g *Group, do func(ctx context.Context) (T, error)) *Task[T] {
	return &Task[T]{group: g, do: do}
}

type run[T any] struct {
	done  chan struct{} // closed when the rest is set
	value T
	err   error
	ended time.Time
}

// Wait joins the run under way, or starts one, and takes its result: the next one to come starts
// anew.
func (t *Task[T]) Wait(ctx context.Context) (T, error) {
	r := t.running()
	var none T
	select {
	case <-r.done:
	case <-ctx.Done():
		select {
		case <-r.done: // both: it was not in vain
		default:
			return none, ctx.Err()
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cur == r {
		t.cur = nil
	}
	return r.value, r.err
}

func (t *Task[T]) running() *run[T] {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cur != nil && !t.cur.isStale() {
		return t.cur
	}
	r := &run[T]{done: make(chan struct{})}
	t.cur = r
	t.group.work.Go(func() {
		defer close(r.done)
		r.value, r.err = t.do(t.group.life)
		r.ended = time.Now()
	})
	return r
}

func (r *run[T]) isStale() bool {
	select {
	case <-r.done:
		return time.Since(r.ended) > stale
	default:
		return false
	}
}
