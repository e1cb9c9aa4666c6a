package ecsserver

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"syscall"
)

// loopback is the address of the command's own endpoint: some SDKs refuse names, and localhost may
// mean ::1.
var loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// mostDraws is how often a port is drawn that has to be free at two addresses.
const mostDraws = 100

// listenAll opens the port at each address, 127.0.0.1 first, or takes what is inherited.
func listenAll(o Options) ([]*net.TCPListener, error) {
	addrs := []netip.Addr{loopback}
	if o.Addr.IsValid() {
		addrs = append(addrs, o.Addr)
	}
	inherited, port, err := adopt(addrs, o)
	if err != nil {
		return nil, err
	}
	for range mostDraws {
		var lns []*net.TCPListener
		if lns, err = listenAt(addrs, inherited, port); err == nil {
			return lns, nil
		}
		if port != 0 || !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
	}
	if port != 0 && errors.Is(err, syscall.EADDRINUSE) {
		return nil, &OptionError{"Port", strconv.Itoa(port), err, "leave it out, and a free one is taken"}
	}
	return nil, err
}

// adopt checks what is inherited, and returns its port, which the other addresses have as well.
func adopt(addrs []netip.Addr, o Options) (map[netip.Addr]*net.TCPListener, int, error) {
	inherited, port := make(map[netip.Addr]*net.TCPListener), o.Port
	for _, ln := range o.Inherited {
		at := ln.Addr().(*net.TCPAddr).AddrPort()
		refuse := func(problem string) error {
			err := badOption("Inherited", at.String(), problem)
			err.Hint = "ListenStream=" + netip.AddrPortFrom(addrs[len(addrs)-1], at.Port()).String()
			return err
		}
		switch {
		case !slices.Contains(addrs, at.Addr()): // all addresses, for one
			return nil, 0, refuse("must be bound to " + addrs[len(addrs)-1].String() + " alone")
		case inherited[at.Addr()] != nil:
			return nil, 0, refuse("is there twice")
		case port != 0 && port != int(at.Port()):
			return nil, 0, refuse("must have port " + strconv.Itoa(port))
		}
		inherited[at.Addr()], port = ln, int(at.Port())
	}
	return inherited, port, nil
}

// listenAt opens the addresses on one port; 0: the first one's.
func listenAt(addrs []netip.Addr, inherited map[netip.Addr]*net.TCPListener, port int) (lns []*net.TCPListener, err error) {
	for _, addr := range addrs {
		ln := inherited[addr]
		if ln == nil {
			if ln, err = listen(netip.AddrPortFrom(addr, uint16(port))); err != nil {
				for _, ln := range lns {
					if inherited[addrOf(ln)] == nil {
						ln.Close()
					}
				}
				return nil, err
			}
		}
		lns, port = append(lns, ln), cmp.Or(port, ln.Addr().(*net.TCPAddr).Port)
	}
	return lns, nil
}

func addrOf(ln net.Listener) netip.Addr { return ln.Addr().(*net.TCPAddr).AddrPort().Addr() }

// listen takes a port. At loopback it does without keep-alive probes: nobody vanishes there without
// a word. Another address may come later, with a bridge that somebody makes.
func listen(at netip.AddrPort) (*net.TCPListener, error) {
	lc := net.ListenConfig{}
	if at.Addr() == loopback {
		lc.KeepAlive = -1
	} else {
		lc.Control = freeBind
	}
	lc.SetMultipathTCP(false) // or it is looked for in the kernel, for loopback
	network := "tcp4"
	if at.Addr().Is6() {
		network = "tcp6"
	}
	ln, err := lc.Listen(context.Background(), network, at.String())
	if err != nil {
		return nil, err
	}
	return ln.(*net.TCPListener), nil
}
