//go:build unix

package ecsserver

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// socketServer serves by a socket, too, so many connections, and tells of an end.
func socketServer(t *testing.T, max int, o Options) (s *Server, dial func() net.Conn) {
	t.Helper()
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "s")})
	if err != nil {
		t.Fatal(err)
	}
	o.Socket = ln
	o.About = func() About { return About{"eu-west-1", time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)} }
	return limited(t, max, o), func() net.Conn {
		c, err := net.Dial("unix", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
}

// A client of the socket needs no token and no right Host; method and path are as by the port.
func TestSocket(t *testing.T) {
	var log logged
	s, dial := socketServer(t, 100, Options{Log: log.logger()})
	for request, want := range map[string]int{
		"GET /credentials HTTP/1.1\r\nHost: localhost\r\n\r\n":                                  200,
		"GET /credentials HTTP/1.1\r\nHost: x\r\nAuthorization: wrong\r\n\r\n":                  200,
		"POST /credentials HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n":            405,
		"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n":                                             404,
		"GET /credentials HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 9<<10) + "\r\n\r\n": 431,
	} {
		c := dial()
		io.WriteString(c, request)
		status, _, body := response(t, bufio.NewReader(c))
		if status != want {
			t.Errorf("%.60q: got %d %s; want %d", request, status, body, want)
		}
		var told struct{ AccessKeyId, Region, RenewableUntil string }
		if status == 200 {
			if err := json.Unmarshal([]byte(body), &told); err != nil || told.AccessKeyId == "" ||
				told.Region != "eu-west-1" || told.RenewableUntil != "2030-01-02T03:04:05Z" {
				t.Errorf("got %s, %v", body, err)
			}
		}
	}
	if _, _, body := response(t, bufio.NewReader(askPort(t, s))); strings.Contains(body, "Renewable") {
		t.Errorf("by the port: %s", body)
	}
	who := fmt.Sprintf("uid=%d pid=%d", os.Geteuid(), os.Getpid())
	waitFor(t, func() bool { // a line is written beside its answer, or after it
		text := log.String()
		return strings.Count(text, "peer=socket") >= 4 && strings.Contains(text, who)
	})
	if st := s.Stats(); st.Served != 3 || st.Processes != 1 {
		t.Errorf("got %+v", st)
	}
}

// askPort sends the request of a client of the port.
func askPort(t *testing.T, s *Server) net.Conn {
	c := dial(t, s)
	io.WriteString(c, s.request())
	return c
}

// Clients of the socket have their places among the rest: those that ask nothing go first.
func TestSocketHasNoPlacesOfItsOwn(t *testing.T) {
	s, dial := socketServer(t, 8, Options{})
	known, r := proven(t, s)
	for range 50 {
		dial()
	}
	c := dial()
	io.WriteString(c, "GET /credentials HTTP/1.1\r\nHost: x\r\n\r\n")
	if status, _, _ := response(t, bufio.NewReader(c)); status != 200 {
		t.Errorf("got %d; want 200", status)
	}
	io.WriteString(known, s.request())
	if status, _, _ := response(t, r); status != 200 {
		t.Errorf("who has shown the token: got %d; want 200", status)
	}
	if n := s.ln.places.count(); n > 8 {
		t.Errorf("%d connections are open", n)
	}
}
