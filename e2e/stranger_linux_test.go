package e2e

import (
	"context"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"brs-exec/internal/sandbox"
	"brs-exec/need"
)

// squatter listens as another user at a port of 127.0.0.1, or at all addresses, and counts what it
// is sent.
type squatter struct {
	net.Listener
	taken atomic.Int64 // connections
	got   atomic.Int64 // bytes
}

func newSquatter(t *testing.T, network, address string) *squatter {
	t.Helper()
	need.That(t, os.Geteuid() == 0, "root", "a socket is given to another user")
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		c.Control(func(fd uintptr) { err = syscall.Fchown(int(fd), 65534, 65534) })
		return err
	}}
	lc.SetMultipathTCP(false) // the TCP socket inside would stay ours
	ln, err := lc.Listen(context.Background(), network, address)
	if err != nil {
		t.Fatal(err)
	}
	s := &squatter{Listener: ln}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			s.taken.Add(1)
			go s.answer(c)
		}
	}()
	return s
}

// answer gives keys of its own to who asks.
func (s *squatter) answer(c net.Conn) {
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	b := make([]byte, 4096)
	n, _ := c.Read(b)
	s.got.Add(int64(n))
	if n > 0 {
		body := `{"AccessKeyId":"ASIAOTHER","SecretAccessKey":"s","Token":"t","Expiration":"2100-01-01T00:00:00Z"}`
		c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n" + body))
	}
}

// An environment that was copied from a brs-exec that has ended: another user who has its port now
// isn't sent the token, by an inner brs-exec nor by --fetch.
func TestStrangerGetsNoToken(t *testing.T) {
	for _, at := range []string{"tcp4 127.0.0.1:0", "tcp4 0.0.0.0:0", "tcp [::]:0"} {
		t.Run(at, func(t *testing.T) {
			w := newWorld(t, sandbox.Options{})
			network, address, _ := strings.Cut(at, " ")
			s := newSquatter(t, network, address)
			_, port, _ := net.SplitHostPort(s.Addr().String())
			w.set("AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1:"+port+"/credentials",
				"AWS_CONTAINER_AUTHORIZATION_TOKEN=secret")
			for _, args := range [][]string{{"--", "true"}, {"--role-arn", role, "--", "true"}, {"--whoami"}, {"--fetch"}} {
				out, errs, status := w.run(t, args...)
				if status != 125 || out != "" || !strings.Contains(errs, "uid 65534 listens there") {
					t.Errorf("%q: got %d, %q, %q; want 125", args, status, out, errs)
				}
			}
			if s.taken.Load() == 0 || s.got.Load() != 0 {
				t.Errorf("%d connections, which brought %d bytes; want none", s.taken.Load(), s.got.Load())
			}
			// Where the account is checked, it may be anybody's.
			w.run(t, "--expect-account", "000000000000", "--", "true")
			if s.got.Load() == 0 {
				t.Error("nothing was sent under --expect-account")
			}
		})
	}
}
