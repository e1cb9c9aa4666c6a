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
	"time"

	"brs-exec/internal/procfs"
)

// listener accepts connections for net/http, knows whose they are and keeps their number bounded.
type listener struct {
	net.Listener         // TCP, or the socket of a share
	places       *places // all listeners of this machine's own clients have the same
	uid          uint32  // ours
	sameUser     bool    // Options.SameUser
	outside      bool    // takes clients from outside of this machine's loopback
	// peer tells whose the other end of a TCP connection is.
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
	return slices.ContainsFunc(noRoom, func(e error) bool { return errors.Is(err, e) })
}

// admit makes room for a connection; nil when there was none, and it is closed.
func (l *listener) admit(nc net.Conn) *conn {
	c := &conn{stream: nc.(stream), listener: l}
	c.since.Store(time.Now().UnixNano())
	c.stranger = l.outside && !neighbour(nc)
	c.rank = l.rank(c)
	full, ok := l.places.add(c)
	if full && c.rank != foreign {
		l.full()
	}
	if !ok {
		nc.Close()
		return nil
	}
	l.open.Add(1)
	return c
}

// rank looks up whose a new connection is. What can't be told (a sandbox without sock_diag, a
// client from outside) is no evidence against it: the token decides. A client that has gone is
// nobody's.
func (l *listener) rank(c *conn) rank {
	if c.isLocal() {
		return local
	}
	var err error
	c.socket, err = l.peer(addrs(c))
	switch {
	case l.outside:
		return familiar
	case errors.Is(err, procfs.ErrNoSocket):
		return foreign
	case err != nil:
		if l.sameUser {
			l.warn(&l.warnPeer, "same user: the kernel does not tell whose a connection is; "+
				"only the token guards the credentials", "error", err)
		}
		return familiar
	case l.places.knows(c.socket.UID):
		return familiar
	}
	c.otherUser = l.sameUser && c.socket.UID != l.uid && c.socket.UID != 0
	return foreign
}

// lookUp returns how to tell whose the other end of a connection is, if the kernel tells it at all:
// one without tcp_diag says of every socket, of this one too, that there is none.
func lookUp(ln *net.TCPListener) func(client, server netip.AddrPort) (procfs.Socket, error) {
	if _, err := procfs.Listener(ln.Addr().(*net.TCPAddr).AddrPort()); err != nil {
		return func(netip.AddrPort, netip.AddrPort) (procfs.Socket, error) {
			return procfs.Socket{}, errors.ErrUnsupported
		}
	}
	return procfs.Connection
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
	l.warn(&l.warnFull, "too many connections: closing the oldest that has not shown the token", "max", l.places.limit)
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
		c.listener.places.remove(c)
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
	socket    procfs.Socket // the client's; zero: not known
	otherUser bool          // to be refused
	stranger  bool          // is not in a subnet of ours
	pid       atomic.Int64  // who asks, as finder.client has found
	sought    bool          // finder.client has been asked

	rank        rank // guarded by places, as are the next two
	sent, lines int  // bytes and lines, before the token

	proven atomic.Bool  // it has shown the token
	state  atomic.Int32 // an http.ConnState
	since  atomic.Int64 // when it was accepted or, later, became idle; Unix nanoseconds
	extend atomic.Bool  // the read deadline has not been extended yet
}

func (c *conn) is(state http.ConnState) bool { return http.ConnState(c.state.Load()) == state }

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
	n, err := c.read(b)
	if n > 0 && !c.proven.Load() {
		if err := c.listener.places.took(c, b[:n]); err != nil {
			return 0, err
		}
	}
	return n, err
}

func (c *conn) read(b []byte) (int, error) {
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
