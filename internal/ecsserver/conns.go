package ecsserver

import (
	"container/list"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// listener accepts connections for net/http, knows whose they are and keeps their number bounded.
type listener struct {
	*net.TCPListener
	conns      conns
	foreigners conns // of other users, under Options.SameUser
	users      *users
	limits     limits
	opened     chan struct{} // wakes the patrol
	log        *slog.Logger
	ending     context.Context
	open       sync.WaitGroup // goroutines: one per connection, and the warnings
	crowded    atomic.Bool    // said so
}

// conn is one client's connection.
type conn struct {
	*net.TCPConn
	set     *conns
	foreign bool         // another user's
	used    atomic.Int64 // when it was last asked for credentials, Unix nanoseconds

	// state is the http.ConnState in the low byte, above it a count of changes. Its own goroutine writes it.
	state atomic.Uint64
	// unbounded: reads have no deadline. Its own goroutine only.
	unbounded bool
	// pid is the process that was last found to have the other end; 0: not known. Its own goroutine only.
	pid int
	// known: it has shown the token. Its own goroutine writes it, under set.mu.
	known bool

	// guarded by set.mu
	elem  *list.Element // nil once it is in no list
	seen  uint64        // the state at the last look, or unseen
	since time.Time     // of the first look that saw it
}

// unseen is no state: a look may come before net/http has set the first one, which would else have lasted for ever.
const unseen = 1 << 63

func (c *conn) phase() http.ConnState { return http.ConnState(c.state.Load() & 0xff) }

// SetReadDeadline leaves out what changes nothing: of the five calls that net/http makes per request, all by the
// connection's own goroutine, three say again that there is no deadline.
func (c *conn) SetReadDeadline(t time.Time) error {
	if c.unbounded && t.IsZero() {
		return nil
	}
	c.unbounded = t.IsZero()
	return c.TCPConn.SetReadDeadline(t)
}

// Accept never reports a lack of descriptors: net/http would sleep up to a second, while a connection
// that is of no use to anyone could make room.
func (l *listener) Accept() (net.Conn, error) {
	for {
		tcp, err := l.AcceptTCP()
		switch {
		case err == nil:
			if c := l.admit(tcp); c != nil {
				return c, nil
			}
		case scarce(err):
			l.conns.displace()
			l.crowd()
			within(l.ending.Done(), time.Millisecond) // until its goroutine has let go of the descriptor
		default:
			return nil, err
		}
	}
}

// admit makes room for a connection; nil when there was none, and it is closed.
func (l *listener) admit(tcp *net.TCPConn) *conn {
	c := &conn{TCPConn: tcp, set: &l.conns, unbounded: true, seen: unseen}
	if l.users != nil {
		foreign, warning := l.users.foreign(addrs(tcp))
		if foreign {
			c.foreign, c.set = true, &l.foreigners
		}
		if warning != nil {
			l.open.Go(func() {
				l.log.Warn("same user: the kernel does not tell whose a connection is; only the token guards the credentials", "error", warning)
			})
		}
	}
	full, ok := c.set.add(c)
	if full && !c.foreign {
		l.crowd()
	}
	if !ok {
		tcp.Close()
		return nil
	}
	l.open.Add(1)
	select {
	case l.opened <- struct{}{}:
	default: // the patrol is about to wake, or awake: it looks again before it sleeps
	}
	return c
}

func (l *listener) crowd() {
	if l.crowded.CompareAndSwap(false, true) {
		// Not here: a full pipe behind stderr must not keep the child's connections waiting.
		l.open.Go(func() {
			l.log.Warn("too many connections: closing the oldest that has not shown the token", "max", l.conns.max)
		})
	}
}

// changed is net/http's ConnState. StateClosed is the last thing a connection's goroutine does.
func (l *listener) changed(nc net.Conn, state http.ConnState) {
	c := nc.(*conn)
	c.state.Store(c.state.Load()&^0xff + 0x100 | uint64(state))
	if state == http.StateClosed {
		c.set.remove(c)
		l.open.Done()
	}
}

func scarce(err error) bool {
	for _, e := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func addrs(c net.Conn) (client, server netip.AddrPort) {
	return c.RemoteAddr().(*net.TCPAddr).AddrPort(), c.LocalAddr().(*net.TCPAddr).AddrPort()
}

type connKey struct{}

func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// connOf returns the connection that a request came by; nil when a test calls the handler.
func connOf(ctx context.Context) *conn {
	c, _ := ctx.Value(connKey{}).(*conn)
	return c
}

// conns is the set of open connections. Who has not shown the token goes first, oldest first; then who has been idle
// for longest. A client that has shown the token and is being answered is never closed: the newcomer is.
type conns struct {
	max       int
	displaced atomic.Uint64

	mu        sync.Mutex // guards what follows
	strangers list.List  // of *conn, oldest first
	friends   list.List  // of *conn that have shown the token
}

// add reports whether the set was full and whether there is room now.
func (s *conns) add(c *conn) (full, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.strangers.Len()+s.friends.Len() >= s.max {
		full = true
		if !s.displaceLocked() {
			return full, false
		}
	}
	c.elem = s.strangers.PushBack(c)
	return full, true
}

func (s *conns) remove(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unlink(c)
}

func (s *conns) unlink(c *conn) {
	if c.elem == nil {
		return
	}
	if c.known {
		s.friends.Remove(c.elem)
	} else {
		s.strangers.Remove(c.elem)
	}
	c.elem = nil
}

// befriend is called by the connection's own goroutine at each request that has the token.
func (s *conns) befriend(c *conn) {
	if c.known {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	linked := c.elem != nil
	s.unlink(c)
	c.known = true
	if linked {
		c.elem = s.friends.PushBack(c)
	}
}

func (s *conns) displace() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.displaceLocked()
}

func (s *conns) displaceLocked() bool {
	c := s.leastWanted()
	if c == nil {
		return false
	}
	s.unlink(c)
	c.Close() // wakes its goroutine, which ends
	s.displaced.Add(1)
	return true
}

func (s *conns) leastWanted() *conn {
	if e := s.strangers.Front(); e != nil {
		return e.Value.(*conn)
	}
	var least *conn
	for e := s.friends.Front(); e != nil; e = e.Next() {
		c := e.Value.(*conn)
		if c.phase() == http.StateIdle && (least == nil || c.used.Load() < least.used.Load()) {
			least = c
		}
	}
	return least
}

// closeUnasked closes the connections that no whole request has come by yet.
func (s *conns) closeUnasked() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.all {
		if c.phase() == http.StateNew {
			c.Close()
		}
	}
}

// all iterates over the set, whose mutex the caller holds.
func (s *conns) all(yield func(*conn) bool) {
	for _, l := range []*list.List{&s.strangers, &s.friends} {
		for e := l.Front(); e != nil; e = e.Next() {
			if !yield(e.Value.(*conn)) {
				return
			}
		}
	}
}
