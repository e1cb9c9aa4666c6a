package ecsserver

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"brs-exec/internal/procfs"
)

// listener accepts connections for net/http, knows whose they are and keeps their number bounded.
type listener struct {
	net.Listener         // TCP, or the socket of a share
	places       *places // all listeners have the same
	otherUsers   *places // under Options.SameUser
	uid          uint32  // ours
	outside      bool    // takes clients from outside of this machine's loopback
	// peer tells whose the other end of a connection is; nil: nobody wants to know.
	peer func(client, server netip.AddrPort) (procfs.Socket, error)
	log  *slog.Logger

	ending   context.Context
	open     sync.WaitGroup // goroutines: one per connection, and the warnings
	warnFull sync.Once
	warnPeer sync.Once
}

// Accept never reports a lack of descriptors: net/http would sleep up to a second, while a
// connection that is of no use to anyone could make room.
func (l *listener) Accept() (net.Conn, error) {
	for {
		nc, err := l.Listener.Accept()
		switch {
		case err == nil:
			if c := l.admit(nc); c != nil {
				return c, nil
			}
		case scarce(err):
			l.places.displace()
			l.full()
			within(l.ending.Done(), time.Millisecond) // until its goroutine has closed the descriptor
		default:
			return nil, err
		}
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

// admit makes room for a connection; nil when there was none, and it is closed.
func (l *listener) admit(nc net.Conn) *conn {
	c := &conn{stream: nc.(stream), listener: l, places: l.places}
	c.since.Store(time.Now().UnixNano())
	c.stranger = l.outside && !neighbour(nc)
	if l.peer != nil && l.isOtherUser(nc) {
		c.otherUser, c.places = true, l.otherUsers
	}
	full, ok := c.places.add(c)
	if full && !c.otherUser {
		l.full()
	}
	if !ok {
		nc.Close()
		return nil
	}
	l.open.Add(1)
	return c
}

// isOtherUser reports whether the client is known to be neither us nor root. What can't be
// determined (a sandbox without sock_diag, a client that has gone) passes: the token decides. The
// first such time there is a warning.
func (l *listener) isOtherUser(nc net.Conn) bool {
	s, err := l.peer(addrs(nc))
	if err == nil {
		return s.UID != l.uid && s.UID != 0
	}
	if !errors.Is(err, procfs.ErrNoSocket) {
		l.warn(&l.warnPeer, "same user: the kernel does not tell whose a connection is; "+
			"only the token guards the credentials", "error", err)
	}
	return false
}

// neighbour reports whether a client is in a subnet of the interface that has the address by which
// it came. Whoever has a route could ask else.
func neighbour(nc net.Conn) bool {
	client, server := addrs(nc)
	interfaces, err := net.InterfaceAddrs()
	return err == nil && slices.ContainsFunc(interfaces, func(a net.Addr) bool {
		n, ok := a.(*net.IPNet)
		return ok && n.IP.Equal(server.Addr().AsSlice()) && n.Contains(client.Addr().AsSlice())
	})
}

// mostOutside leaves descriptors to the others where there are few.
func mostOutside() int { return min(maxOutside, max(maxConns()/4, 16)) }

func (l *listener) full() {
	l.warn(&l.warnFull, "too many connections: closing the oldest that has not shown the token", "max", l.places.max)
}

// warn logs once, beside the accepting: a full pipe behind stderr must not keep connections
// waiting.
func (l *listener) warn(once *sync.Once, message string, args ...any) {
	once.Do(func() { l.open.Go(func() { l.log.Warn(message, args...) }) })
}

// changed is net/http's ConnState. StateClosed is the last thing a connection's goroutine does.
func changed(nc net.Conn, state http.ConnState) {
	c := nc.(*conn)
	if state == http.StateIdle {
		c.since.Store(time.Now().UnixNano())
	}
	c.state.Store(int32(state))
	if state == http.StateClosed {
		c.places.remove(c)
		c.listener.open.Done()
	}
}

// stream is what a TCP and a unix connection are: net/http ends an answer by CloseWrite where it
// refuses the rest of a request.
type stream interface {
	net.Conn
	CloseWrite() error
}

// conn is one client's connection.
type conn struct {
	stream
	listener  *listener
	places    *places
	otherUser bool
	stranger  bool         // is not in a subnet of ours
	proven    atomic.Bool  // it has shown the token
	state     atomic.Int32 // an http.ConnState
	since     atomic.Int64 // when it was accepted or, later, became idle; Unix nanoseconds
	extend    atomic.Bool  // the read deadline has not been extended yet
}

func (c *conn) is(state http.ConnState) bool { return http.ConnState(c.state.Load()) == state }

func (c *conn) lessWanted(than *conn) bool {
	if a, b := c.proven.Load(), than.proven.Load(); a != b {
		return b
	}
	return c.since.Load() < than.since.Load()
}

// extension is how much longer a client has when a deadline has passed, once for each deadline.
// net/http's deadlines count the time in which we were stopped (Ctrl-Z, a container's freezer) or
// got no processor, and a deadline that has passed beats a request that has come: the client would
// lose its connection for what it could not help.
const extension = time.Second

// SetReadDeadline notes whether the deadline may be extended. One that is long past may not:
// net/http sets such a one to wake its own reader.
func (c *conn) SetReadDeadline(t time.Time) error {
	c.extend.Store(t.After(time.Unix(1, 0)))
	return c.stream.SetReadDeadline(t)
}

func (c *conn) Read(b []byte) (int, error) {
	n, err := c.stream.Read(b)
	if err != nil && c.extend.Swap(false) && errors.Is(err, os.ErrDeadlineExceeded) {
		c.stream.SetReadDeadline(time.Now().Add(extension))
		return c.stream.Read(b)
	}
	return n, err
}

func (c *conn) Write(b []byte) (int, error) {
	n, err := c.stream.Write(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.stream.SetWriteDeadline(time.Now().Add(extension))
		var rest int
		rest, err = c.stream.Write(b[n:])
		n += rest
	}
	return n, err
}

// isLocal says whether the connection came by a share's socket.
func (c *conn) isLocal() bool {
	_, ok := c.stream.(*net.UnixConn)
	return ok
}

// addrs returns both ends of a TCP connection, the client's first.
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
