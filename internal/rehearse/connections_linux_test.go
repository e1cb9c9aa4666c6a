package rehearse

import (
	"io"
	"net"
	"net/netip"
	"os"
	"testing"

	"brs-exec/internal/procfs"
)

// TestOpened: a server that is asked has opened nothing.
func TestOpened(t *testing.T) {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	out, err := net.Dial("tcp4", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	in, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	whose, ok := connections([]int{os.Getpid()})
	if !ok {
		t.Fatal("sock_diag does not answer")
	}
	var to []string
	for _, c := range whose[os.Getpid()] {
		to = append(to, c.Remote.String())
	}
	if len(to) != 1 || to[0] != ln.Addr().String() {
		t.Errorf("got connections to %q; want the one that was opened, to %v", to, ln.Addr())
	}
}

// Our own connections, by either family, with what they have carried; not the listener, and none
// that is closed.
func TestConnections(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		to := netip.MustParseAddrPort(ln.Addr().String())
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		peer, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer peer.Close()
		before := own(t, to)
		if len(before) != 1 {
			t.Fatalf("%s: got %+v; want one connection", addr, before)
		}
		io.WriteString(c, "request")
		io.ReadFull(peer, make([]byte, 7))
		io.WriteString(peer, "the answer")
		io.ReadFull(c, make([]byte, 10))
		after := own(t, to)
		if len(after) != 1 || after[0].Inode != before[0].Inode || after[0].Sent-before[0].Sent != 7 || after[0].Received-before[0].Received != 10 {
			t.Errorf("%s: got %+v after %+v; want 7 bytes sent, 10 received", addr, after, before)
		}
		c.Close()
		if left := own(t, to); len(left) != 0 {
			t.Errorf("%s: got %+v; want none", addr, left)
		}
	}
}

func own(t *testing.T, to netip.AddrPort) (conns []procfs.Socket) {
	t.Helper()
	whose, ok := connections([]int{os.Getpid()})
	if !ok {
		t.Fatal("sock_diag does not answer")
	}
	for _, c := range whose[os.Getpid()] {
		if c.Remote == to {
			conns = append(conns, c)
		}
	}
	return conns
}
