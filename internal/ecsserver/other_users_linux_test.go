package ecsserver

import (
	"bufio"
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

	"brs-exec/internal/procfs"
)

// another is a user who is neither us nor root.
func another() uint32 {
	if uid := uint32(os.Geteuid()); uid != 0 {
		return uid
	}
	return 65534
}

// anotherUser makes connections of another user: as root the socket is given away before it connects; as somebody else
// the server is told that it is a third.
func anotherUser(t *testing.T, s *Server) func() net.Conn {
	t.Helper()
	if os.Geteuid() != 0 {
		s.ln.uid, s.ln.places.uids = another()+1, map[uint32]bool{}
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
	dialAsOther := anotherUser(t, s)
	stop := serve(t, s)
	defer stop()
	for range 2 {
		c := dialAsOther()
		io.WriteString(c, s.request())
		status, header, body := response(t, bufio.NewReader(c))
		if status != 403 || !strings.Contains(body, `"code":"UserNotAllowed"`) || header.Get("Connection") != "close" {
			t.Errorf("got %d %s; want 403", status, body)
		}
	}
	s.handler.logging.Wait() // warnings are told beside the answers
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
func TestOtherUsersDoNotCount(t *testing.T) {
	s, err := Listen(steady(), Options{SameUser: true})
	if err != nil {
		t.Fatal(err)
	}
	s.ln.places.limit = mostForeign + 4
	dialAsOther := anotherUser(t, s)
	stop := serve(t, s)
	defer stop()
	var ours []net.Conn
	if os.Geteuid() == 0 {
		for range 4 {
			ours = append(ours, dial(t, s))
		}
	}
	for range 3 * mostForeign {
		dialAsOther()
	}
	waitFor(t, func() bool { return s.ln.places.displaced.Load() == 2*mostForeign })
	if n := s.ln.places.countOf(foreign); n != mostForeign {
		t.Errorf("got %d connections of others; want %d", n, mostForeign)
	}
	if n := s.ln.places.countOf(familiar); n != len(ours) {
		t.Errorf("got %d of ours; want %d", n, len(ours))
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
	s.ln.peer = func(client, server netip.AddrPort) (procfs.Socket, error) { return procfs.Socket{}, syscall.EPERM }
	stop := serve(t, s)
	defer stop()
	for range 3 {
		if got := exchange(t, s, strings.Replace(s.request(), "\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1)); !strings.HasPrefix(got, "HTTP/1.1 200") {
			t.Errorf("got %q; want 200", got)
		}
	}
	stop() // it is logged beside the accepting
	if got := strings.Count(log.String(), "level=WARN"); got != 1 {
		t.Errorf("got %d warnings; want 1:\n%s", got, &log)
	}
}
