package ecsserver

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// another is a user who is neither us nor root.
func another() uint32 {
	if uid := uint32(os.Geteuid()); uid != 0 {
		return uid
	}
	return 65534
}

// foreigner makes connections of another user: as root the socket is given away before it connects; as somebody else
// the server is told that it is a third.
func foreigner(t *testing.T, s *Server) func() net.Conn {
	t.Helper()
	if os.Geteuid() != 0 {
		s.ln.users.self = another() + 1
	}
	d := net.Dialer{Control: func(_, _ string, rc syscall.RawConn) (err error) {
		if os.Geteuid() == 0 {
			err2 := rc.Control(func(fd uintptr) { err = syscall.Fchown(int(fd), int(another()), -1) })
			err = errors.Join(err, err2)
		}
		return err
	}}
	return func() net.Conn {
		c, err := d.Dial("tcp4", s.ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(10 * time.Second))
		return c
	}
}

func TestSameUser(t *testing.T) {
	var log logged
	s, err := Listen(steady(), Options{SameUser: true, Log: log.logger()})
	if err != nil {
		t.Fatal(err)
	}
	dialForeign := foreigner(t, s)
	stop := serve(t, s)
	defer stop()
	for range 2 {
		c := dialForeign()
		io.WriteString(c, s.request())
		status, header, body := response(t, bufio.NewReader(c))
		if status != 403 || !strings.Contains(body, `"code":"UserNotAllowed"`) || header.Get("Connection") != "close" {
			t.Errorf("got %d %s; want 403", status, body)
		}
	}
	s.handler.telling.Wait() // warnings are told beside the answers
	want := fmt.Sprintf("uid=%d pid=%d name=", another(), os.Getpid())
	if got := log.String(); strings.Count(got, "level=WARN") != 1 || !strings.Contains(got, want) {
		t.Errorf("got\n%s\nwant one warning with %q", got, want)
	}
	if os.Geteuid() == 0 {
		if status, body := get(t, client(t), s); status != 200 {
			t.Errorf("ourselves: got %d %s; want 200", status, body)
		}
	}
	if st := s.Stats(); st.Refused["UserNotAllowed"] != 2 {
		t.Errorf("got %+v; want two refusals", st)
	}
}

// Other users' connections take no room from ours, and are few. Only root can be two users at once: else all are others.
func TestForeignersDoNotCount(t *testing.T) {
	s, err := Listen(steady(), Options{SameUser: true})
	if err != nil {
		t.Fatal(err)
	}
	s.ln.conns.max = 4
	dialForeign := foreigner(t, s)
	stop := serve(t, s)
	defer stop()
	var ours []net.Conn
	if os.Geteuid() == 0 {
		for range 4 {
			ours = append(ours, dial(t, s))
		}
	}
	for range 3 * maxForeign {
		dialForeign()
	}
	waitFor(t, func() bool { return s.ln.foreigners.displaced.Load() == 2*maxForeign })
	if n := s.ln.foreigners.count(); n != maxForeign {
		t.Errorf("got %d connections of others; want %d", n, maxForeign)
	}
	if n := s.ln.conns.count(); n != len(ours) {
		t.Errorf("got %d that count; want %d", n, len(ours))
	}
	for _, c := range ours {
		io.WriteString(c, s.request())
		if status, _, _ := response(t, bufio.NewReader(c)); status != 200 {
			t.Errorf("got %d; want 200", status)
		}
	}
}

// What can't be determined passes, with one warning.
func TestSameUserUndetermined(t *testing.T) {
	var log logged
	s, err := Listen(steady(), Options{SameUser: true, Log: log.logger()})
	if err != nil {
		t.Fatal(err)
	}
	syscall.Close(s.ln.users.diag.fd)
	s.ln.users.diag.fd = -1
	stop := serve(t, s)
	defer stop()
	for range 3 {
		if got := exchange(t, s, strings.Replace(s.request(), "\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1)); !strings.HasPrefix(got, "HTTP/1.1 200") {
			t.Errorf("got %q; want 200", got)
		}
	}
	if got := strings.Count(log.String(), "level=WARN"); got != 1 {
		t.Errorf("got %d warnings; want 1:\n%s", got, &log)
	}
}

func TestAsk(t *testing.T) {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	d, err := openDiag()
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	server := ln.Addr().(*net.TCPAddr).AddrPort()

	t.Run("an IPv4 socket", func(t *testing.T) {
		c, err := net.Dial("tcp4", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		checkOurs(t, d, c.LocalAddr().(*net.TCPAddr).AddrPort(), server)
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
		checkOurs(t, d, netip.AddrPortFrom(netip.AddrFrom16(own.Addr).Unmap(), uint16(own.Port)), server)
	})
	t.Run("nobody", func(t *testing.T) {
		if s, err := d.ask(netip.MustParseAddrPort("127.0.0.1:1"), server); !errors.Is(err, syscall.ENOENT) {
			t.Errorf("got %+v, %v; want ENOENT", s, err)
		}
	})
	t.Run("a listener on the client's port", func(t *testing.T) {
		if s, err := d.ask(server, netip.MustParseAddrPort("127.0.0.1:1")); err != errNone {
			t.Errorf("got %+v, %v; want none", s, err)
		}
	})
	t.Run("closed by its owner", func(t *testing.T) {
		c, err := net.Dial("tcp4", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		own := c.LocalAddr().(*net.TCPAddr).AddrPort()
		c.Close()
		if s, err := d.ask(own, server); err == nil {
			t.Errorf("got %+v; want none", s)
		}
	})
	t.Run("again, after the errors", func(t *testing.T) {
		c, err := net.Dial("tcp4", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		checkOurs(t, d, c.LocalAddr().(*net.TCPAddr).AddrPort(), server)
	})
}

func checkOurs(t *testing.T, d *diag, client, server netip.AddrPort) {
	t.Helper()
	s, err := d.ask(client, server)
	if err != nil || s.uid != uint32(os.Geteuid()) || s.inode == 0 {
		t.Fatalf("got %+v, %v; want uid %d and an inode", s, err, os.Geteuid())
	}
	pid, name, ok := owner(s.inode)
	if !ok || pid != os.Getpid() || name == "" {
		t.Errorf("owner: got %d %q %v; want %d", pid, name, ok, os.Getpid())
	}
}

// answerOf is a well-formed answer of the kernel.
func answerOf(seq uint32, client, server uint16, uid, inode uint32) []byte {
	b := make([]byte, headerLen+replyLen)
	binary.NativeEndian.PutUint32(b, uint32(len(b)))
	binary.NativeEndian.PutUint16(b[4:], sockDiagByFamily)
	binary.NativeEndian.PutUint32(b[8:], seq)
	b[headerLen], b[headerLen+1] = syscall.AF_INET, 1
	binary.BigEndian.PutUint16(b[headerLen+4:], client)
	binary.BigEndian.PutUint16(b[headerLen+6:], server)
	binary.NativeEndian.PutUint32(b[headerLen+64:], uid)
	binary.NativeEndian.PutUint32(b[headerLen+68:], inode)
	return b
}

func errorOf(seq uint32, errno syscall.Errno) []byte {
	b := make([]byte, headerLen+4)
	binary.NativeEndian.PutUint32(b, uint32(len(b)))
	binary.NativeEndian.PutUint16(b[4:], syscall.NLMSG_ERROR)
	binary.NativeEndian.PutUint32(b[8:], seq)
	binary.NativeEndian.PutUint32(b[headerLen:], uint32(-int32(errno)))
	return b
}

func TestParse(t *testing.T) {
	good := answerOf(7, 40000, 80, 1000, 99)
	edit := func(at int, to byte) []byte {
		b := append([]byte(nil), good...)
		b[at] = to
		return b
	}
	for _, tt := range []struct {
		name string
		b    []byte
		want socket
		err  error
	}{
		{"good", good, socket{1000, 99}, nil},
		{"with attributes behind", append(append([]byte(nil), good...), 1, 2, 3, 4), socket{1000, 99}, nil},
		{"nothing", nil, socket{}, errShort},
		{"half a header", good[:headerLen-1], socket{}, errShort},
		{"cut", good[:len(good)-1], socket{}, errShort},
		{"says it is shorter", edit(0, headerLen+replyLen-1), socket{}, errShort},
		{"says it is shorter than its header", edit(0, headerLen-1), socket{}, errShort},
		{"says it is longer", edit(1, 1), socket{}, errShort},
		{"another type", edit(4, 3), socket{}, errShort},
		{"another question's", edit(8, 9), socket{}, errStale},
		{"a listener", edit(headerLen+1, tcpListen), socket{}, errNone},
		{"another client", edit(headerLen+4, 1), socket{}, errNone},
		{"another server", edit(headerLen+6, 1), socket{}, errNone},
		{"closed", answerOf(7, 40000, 80, 0, 0), socket{}, errNone},
		{"error", errorOf(7, syscall.ENOENT), socket{}, syscall.ENOENT},
		{"error without a number", errorOf(7, syscall.ENOENT)[:headerLen+3], socket{}, errShort},
	} {
		if got, err := parse(tt.b, 7, 40000, 80); got != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("%s: got %+v, %v; want %+v, %v", tt.name, got, err, tt.want, tt.err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(answerOf(7, 40000, 80, 1000, 99))
	f.Add(answerOf(7, 40000, 80, 0, 0))
	f.Add(errorOf(7, syscall.EPERM))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parse(b, 7, 40000, 80)
		if err == nil && (len(b) < headerLen+replyLen || s.inode == 0 || binary.NativeEndian.Uint32(b[8:]) != 7) {
			t.Errorf("took %x for %+v", b, s)
		}
		if err != nil && s != (socket{}) {
			t.Errorf("got both %+v and %v", s, err)
		}
	})
}

func BenchmarkAsk(b *testing.B) {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	c, err := net.Dial("tcp4", ln.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	d, err := openDiag()
	if err != nil {
		b.Fatal(err)
	}
	defer d.close()
	client, server := c.LocalAddr().(*net.TCPAddr).AddrPort(), c.RemoteAddr().(*net.TCPAddr).AddrPort()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.ask(client, server); err != nil {
			b.Fatal(err)
		}
	}
}
