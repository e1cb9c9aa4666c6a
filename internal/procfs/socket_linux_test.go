package procfs

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func addrOf(a net.Addr) netip.AddrPort { return a.(*net.TCPAddr).AddrPort() }

// pair returns both ends of a connection, its own first.
func pair(t testing.TB, ln net.Listener) (own, peer net.Conn) {
	t.Helper()
	own, err := net.Dial(ln.Addr().Network(), ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { own.Close() })
	if peer, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { peer.Close() })
	return own, peer
}

func listen(t testing.TB, addr string) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

func TestConnection(t *testing.T) {
	ln := listen(t, "127.0.0.1:0")
	server := addrOf(ln.Addr())

	t.Run("an IPv4 socket", func(t *testing.T) {
		own, _ := pair(t, ln)
		checkOurs(t, addrOf(own.LocalAddr()), server)
	})
	t.Run("an IPv6 socket, as Java's", func(t *testing.T) {
		fd, err := syscall.Socket(syscall.AF_INET6, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer syscall.Close(fd)
		to := netip.MustParseAddr("::ffff:127.0.0.1").As16()
		if err := syscall.Connect(fd, &syscall.SockaddrInet6{Port: int(server.Port()), Addr: to}); err != nil {
			t.Fatal(err)
		}
		sa, err := syscall.Getsockname(fd)
		if err != nil {
			t.Fatal(err)
		}
		own := sa.(*syscall.SockaddrInet6)
		checkOurs(t, netip.AddrPortFrom(netip.AddrFrom16(own.Addr).Unmap(), uint16(own.Port)), server)
	})
	t.Run("nobody", func(t *testing.T) {
		if s, err := Connection(netip.MustParseAddrPort("127.0.0.1:1"), server); err != ErrNoSocket {
			t.Errorf("got %+v, %v; want none", s, err)
		}
	})
	t.Run("a listener on the client's port", func(t *testing.T) {
		if s, err := Connection(server, netip.MustParseAddrPort("127.0.0.1:1")); err != ErrNoSocket {
			t.Errorf("got %+v, %v; want none", s, err)
		}
	})
	t.Run("closed by its owner", func(t *testing.T) {
		own, _ := pair(t, ln)
		addr := addrOf(own.LocalAddr())
		own.Close()
		if s, err := Connection(addr, server); err != ErrNoSocket {
			t.Errorf("got %+v, %v; want none", s, err)
		}
	})
}

func checkOurs(t *testing.T, client, server netip.AddrPort) {
	t.Helper()
	s, err := Connection(client, server)
	if err != nil || s.UID != uint32(os.Geteuid()) || s.Inode == 0 || s.Local != client || s.Remote != server {
		t.Fatalf("got %+v, %v; want uid %d and an inode", s, err, os.Geteuid())
	}
	pid := SocketOwners(All(), time.Now().Add(time.Minute))[s.Inode]
	if pid != os.Getpid() || Comm(pid) == "" {
		t.Errorf("owner: got %d %q; want %d", pid, Comm(pid), os.Getpid())
	}
}

// Our own sockets, of either family, with what they have carried and what listens.
func TestSockets(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		ln := listen(t, addr)
		own, peer := pair(t, ln)
		io.WriteString(own, "request")
		io.ReadFull(peer, make([]byte, 7))
		io.WriteString(peer, "the answer")
		io.ReadFull(own, make([]byte, 10))
		all, err := Sockets()
		if err != nil {
			t.Fatal(err)
		}
		var listening, connected int
		for _, s := range all {
			switch {
			case s.Listening && s.Local == addrOf(ln.Addr()):
				listening++
			case s.Local == addrOf(own.LocalAddr()):
				connected++
				if s.Remote != addrOf(ln.Addr()) || s.Sent < 7 || s.Received < 10 || s.UID != uint32(os.Geteuid()) {
					t.Errorf("%s: got %+v; want 7 bytes sent, 10 received, to %v", addr, s, ln.Addr())
				}
			}
		}
		if listening != 1 || connected != 1 {
			t.Errorf("%s: got %d listeners, %d connections; want one each", addr, listening, connected)
		}
	}
}

// answerOf is a well-formed answer of the kernel.
func answerOf(client, server uint16, uid, inode uint32) []byte {
	b := make([]byte, unix.NLMSG_HDRLEN+replyLen)
	binary.NativeEndian.PutUint32(b, uint32(len(b)))
	binary.NativeEndian.PutUint16(b[4:], unix.SOCK_DIAG_BY_FAMILY)
	body := b[unix.NLMSG_HDRLEN:]
	body[0], body[1] = unix.AF_INET, unix.BPF_TCP_ESTABLISHED
	binary.BigEndian.PutUint16(body[4:], client)
	binary.BigEndian.PutUint16(body[6:], server)
	copy(body[8:], []byte{127, 0, 0, 1})
	copy(body[24:], []byte{127, 0, 0, 2})
	binary.NativeEndian.PutUint32(body[64:], uid)
	binary.NativeEndian.PutUint32(body[68:], inode)
	return b
}

func errorOf(errno syscall.Errno) []byte {
	b := make([]byte, unix.NLMSG_HDRLEN+4)
	binary.NativeEndian.PutUint32(b, uint32(len(b)))
	binary.NativeEndian.PutUint16(b[4:], unix.NLMSG_ERROR)
	binary.NativeEndian.PutUint32(b[unix.NLMSG_HDRLEN:], uint32(-int32(errno)))
	return b
}

func TestParse(t *testing.T) {
	const head = unix.NLMSG_HDRLEN
	good := answerOf(40000, 80, 1000, 99)
	edit := func(at int, to byte) []byte {
		b := append([]byte(nil), good...)
		b[at] = to
		return b
	}
	one := []Socket{{
		Local: netip.MustParseAddrPort("127.0.0.1:40000"), Remote: netip.MustParseAddrPort("127.0.0.2:80"), UID: 1000, Inode: 99,
	}}
	for _, tt := range []struct {
		name string
		b    []byte
		want []Socket
		last bool
		err  error
	}{
		{"good", good, one, true, nil},
		{"with attributes behind", append(append([]byte(nil), good...), 1, 2, 3, 4), one, true, nil},
		{"one of several", edit(6, unix.NLM_F_MULTI), one, false, nil},
		{"two of several", append(edit(6, unix.NLM_F_MULTI), edit(6, unix.NLM_F_MULTI)...), append(one, one...), false, nil},
		{"the end of several", edit(4, unix.NLMSG_DONE), nil, true, nil},
		{"nothing", nil, nil, false, nil},
		{"half a header", good[:head-1], nil, true, errMalformed},
		{"cut", good[:len(good)-1], nil, true, errMalformed},
		{"says it is shorter", edit(0, head+replyLen-1), nil, true, errMalformed},
		{"says it is shorter than its header", edit(0, head-1), nil, true, errMalformed},
		{"says it is longer", edit(1, 1), nil, true, errMalformed},
		{"another type", edit(4, unix.NLMSG_OVERRUN), nil, true, errMalformed},
		{"closed", answerOf(40000, 80, 0, 0), nil, true, nil},
		{"no such socket", errorOf(syscall.ENOENT), nil, true, ErrNoSocket},
		{"error", errorOf(syscall.EPERM), nil, true, syscall.EPERM},
		{"error without a number", errorOf(syscall.ENOENT)[:head+3], nil, true, errMalformed},
	} {
		got, last, err := parse(tt.b)
		if len(got) != len(tt.want) || len(got) > 0 && got[0] != tt.want[0] || last != tt.last || !errors.Is(err, tt.err) {
			t.Errorf("%s: got %+v, %v, %v; want %+v, %v, %v", tt.name, got, last, err, tt.want, tt.last, tt.err)
		}
	}
}

// What the kernel would never send must not do more than end the list.
func FuzzParse(f *testing.F) {
	const least = unix.NLMSG_HDRLEN + replyLen
	f.Add([]byte{})
	f.Add(answerOf(40000, 80, 1000, 99))
	f.Add(answerOf(40000, 80, 0, 0))
	f.Add(errorOf(syscall.EPERM))
	f.Add(requestAll(unix.AF_INET))
	whole := append(answerOf(40000, 80, 1000, 99), 4, 0, 0, 0)
	whole[0], whole[6] = byte(len(whole)), unix.NLM_F_MULTI
	f.Add(append(whole, whole...))
	f.Fuzz(func(t *testing.T, b []byte) {
		found, last, err := parse(b)
		if len(found) > len(b)/least || err != nil && !last {
			t.Errorf("%d sockets in %d bytes, last %v, %v", len(found), len(b), last, err)
		}
		for _, s := range found {
			if s.Inode == 0 {
				t.Errorf("took %x for %+v", b, s)
			}
		}
	})
}

func BenchmarkConnection(b *testing.B) {
	own, _ := pair(b, listen(b, "127.0.0.1:0"))
	client, server := addrOf(own.LocalAddr()), addrOf(own.RemoteAddr())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Connection(client, server); err != nil {
			b.Fatal(err)
		}
	}
}

// Whoever listens is found as a connection would find him: bound to the address, to all addresses,
// or to all of IPv6; what comes by a connection of ours is no evidence.
func TestListener(t *testing.T) {
	for _, c := range []struct{ network, bound, asked string }{
		{"tcp4", "127.0.0.1:0", "127.0.0.1"}, {"tcp4", "0.0.0.0:0", "127.0.0.1"}, {"tcp", "[::]:0", "127.0.0.1"},
		{"tcp6", "[::1]:0", "::1"}, {"tcp6", "[::]:0", "::1"},
	} {
		ln := listenAs(t, c.network, c.bound)
		asked := netip.AddrPortFrom(netip.MustParseAddr(c.asked), addrOf(ln.Addr()).Port())
		conn, err := net.Dial("tcp", asked.String()) // which nobody accepts
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		s, err := Listener(asked)
		if err != nil || !s.Listening || s.Local.Port() != asked.Port() || int(s.UID) != listenerUID() {
			t.Errorf("%s: got %+v, %v; want the listener of uid %d", c.bound, s, err, listenerUID())
		}
		uid, is, err := Stranger(conn)
		if err != nil || int(uid) != listenerUID() || is != (os.Geteuid() == 0) {
			t.Errorf("%s: got a stranger %v, of uid %d, %v", c.bound, is, uid, err)
		}
		ln.Close()
		if s, err := Listener(asked); !errors.Is(err, ErrNoSocket) {
			t.Errorf("%s closed: got %+v, %v; want none", c.bound, s, err)
		}
	}
}

// Who took the connection and listens no more is not passed for somebody that can't be told.
func TestStrangerGone(t *testing.T) {
	ln := listenAs(t, "tcp4", "127.0.0.1:0")
	conn, peer := pair(t, ln)
	ln.Close()
	if _, _, err := Stranger(conn); !errors.Is(err, ErrNoSocket) {
		t.Errorf("got %v; want %v", err, ErrNoSocket)
	}
	if _, is, err := Stranger(peer); is || !errors.Is(err, ErrNoSocket) { // nobody listens at a client's port
		t.Errorf("the other way round: got %v, %v", is, err)
	}
}

// listenerUID is another than ours where we may give a socket away.
func listenerUID() int {
	if os.Geteuid() == 0 {
		return 65534
	}
	return os.Geteuid()
}

func listenAs(t *testing.T, network, addr string) net.Listener {
	t.Helper()
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { syscall.Fchown(int(fd), listenerUID(), -1) })
	}}
	lc.SetMultipathTCP(false) // the TCP socket inside would stay ours
	ln, err := lc.Listen(t.Context(), network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}
