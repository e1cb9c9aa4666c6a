//go:build linux || darwin

package ecsserver

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// Time in which the server could not run (Ctrl-Z, a container's freezer) costs no client its
// connection: whether it had asked before or not, and whether it asks while the server is stopped or
// a moment after that goes on.
func TestStopped(t *testing.T) {
	const timeout = time.Second
	s, pid, _ := elsewhere(t, "ECSSERVER_TIMEOUTS="+timeout.String())
	type client struct {
		net.Conn
		*bufio.Reader
	}
	want200 := func(when string, c client) {
		t.Helper()
		if status, _, body := response(t, c.Reader); status != 200 {
			t.Errorf("%s: got %d %s; want 200", when, status, body)
		}
	}
	var meanwhile, afterwards []client
	for i := range 20 {
		c, err := net.Dial("tcp4", s.addr())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(20 * time.Second))
		cl := client{c, bufio.NewReader(c)}
		if i%2 == 0 {
			io.WriteString(c, s.request())
			want200("before", cl)
		}
		if i%4 < 2 {
			meanwhile = append(meanwhile, cl)
		} else {
			afterwards = append(afterwards, cl)
		}
	}
	time.Sleep(timeout / 4) // until all have been accepted
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for _, c := range meanwhile {
		io.WriteString(c.Conn, s.request())
	}
	time.Sleep(2 * timeout)
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	time.Sleep(timeout / 4)
	for _, c := range afterwards {
		io.WriteString(c.Conn, s.request())
		want200("afterwards", c)
	}
	for _, c := range meanwhile {
		want200("meanwhile", c)
	}
}

// A deadline is extended once: a client that sends a byte now and then doesn't live on.
func TestDeadlineIsExtendedOnce(t *testing.T) {
	s, err := Listen(steady(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.ln.Close()
	client := dial(t, s)
	accepted, err := s.ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	began := time.Now()
	accepted.SetReadDeadline(began)
	io.WriteString(client, "xx")
	for range 2 {
		if _, err := accepted.Read(make([]byte, 1)); err != nil {
			t.Errorf("the read after the deadline: %v", err)
		}
	}
	_, err = accepted.Read(make([]byte, 1))
	if took := time.Since(began); !errors.Is(err, os.ErrDeadlineExceeded) || took < extension || took > extension+5*time.Second {
		t.Errorf("got %v after %v; want the deadline's end after %v", err, took, extension)
	}
	accepted.SetReadDeadline(time.Unix(1, 0)) // as net/http does to wake its reader
	if _, err := accepted.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v; want the deadline's end at once", err)
	}
	accepted.SetWriteDeadline(time.Now())
	time.Sleep(time.Millisecond)
	if _, err := accepted.Write([]byte("answer")); err != nil {
		t.Errorf("the write after the deadline: %v", err)
	}
}
