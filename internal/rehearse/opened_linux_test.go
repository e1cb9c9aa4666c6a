package rehearse

import (
	"net"
	"os"
	"testing"
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
