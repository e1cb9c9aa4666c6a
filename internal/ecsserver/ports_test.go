package ecsserver

import (
	"errors"
	"net"
	"net/netip"
	"testing"
)

// second is another address of this machine: all of 127/8 is.
var second = netip.MustParseAddr("127.0.0.2")

func inheritedAt(t *testing.T, at string) *net.TCPListener {
	t.Helper()
	ln, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln.(*net.TCPListener)
}

func portOf(ln net.Listener) int { return ln.Addr().(*net.TCPAddr).Port }

// One port at both addresses; one that is taken at the second is drawn again.
func TestOnePortAtBothAddresses(t *testing.T) {
	for range 20 {
		lns, err := listenAll(Options{Addr: second})
		if err != nil {
			t.Fatal(err)
		}
		if len(lns) != 2 || addrOf(lns[0]) != loopback || addrOf(lns[1]) != second || portOf(lns[0]) != portOf(lns[1]) {
			t.Errorf("got %v and %v", lns[0].Addr(), lns[1].Addr())
		}
		for _, ln := range lns {
			defer ln.Close()
		}
	}
	both, err := listenAll(Options{Addr: second}) // free at both: other programs have ports, too
	if err != nil {
		t.Fatal(err)
	}
	both[0].Close()
	taken := both[1]
	defer taken.Close()
	_, err = listenAll(Options{Addr: second, Port: portOf(taken)})
	if bad, ok := errors.AsType[*OptionError](err); !ok || bad.Option != "Port" {
		t.Errorf("a port that is taken at the second: %v", err)
	}
	if lns, err := listenAll(Options{Port: portOf(taken)}); err != nil {
		t.Errorf("the first was not given back: %v", err)
	} else {
		lns[0].Close()
	}
}

// What is inherited is taken if it is where we would listen, and decides the port.
func TestInherited(t *testing.T) {
	own := inheritedAt(t, "127.0.0.1:0")
	lns, err := listenAll(Options{Addr: second, Inherited: []*net.TCPListener{own}})
	if err != nil {
		t.Fatal(err)
	}
	defer lns[1].Close()
	if lns[0] != own || portOf(lns[1]) != portOf(own) {
		t.Errorf("got %v and %v", lns[0].Addr(), lns[1].Addr())
	}
	for name, o := range map[string]Options{
		"all addresses": {Inherited: []*net.TCPListener{inheritedAt(t, "0.0.0.0:0")}},
		"all, IPv6":     {Inherited: []*net.TCPListener{inheritedAt(t, "[::]:0")}},
		"another":       {Inherited: []*net.TCPListener{inheritedAt(t, "127.0.0.3:0")}},
		"another port":  {Inherited: []*net.TCPListener{own}, Port: portOf(own) + 1},
		"twice":         {Inherited: []*net.TCPListener{own, own}},
	} {
		_, err := listenAll(o)
		if bad, ok := errors.AsType[*OptionError](err); !ok || bad.Option != "Inherited" {
			t.Errorf("%s: %v", name, err)
		}
	}
}
