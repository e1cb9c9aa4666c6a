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

// mostDraws is how often a port is drawn: it may be taken at the other address, or by another
// since.
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
	open := listen
	if port == 0 {
		open = listenKept
	}
	for range mostDraws {
		var lns []*net.TCPListener
		if lns, err = listenAt(addrs, inherited, port, open); err == nil {
			return lns, nil
		}
		if port != 0 || !errors.Is(err, addressInUse) {
			break
		}
	}
	if port != 0 && errors.Is(err, addressInUse) {
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
func listenAt(
	addrs []netip.Addr, inherited map[netip.Addr]*net.TCPListener, port int, open opener,
) (lns []*net.TCPListener, err error) {
	for _, addr := range addrs {
		ln := inherited[addr]
		if ln == nil {
			if ln, err = open(netip.AddrPortFrom(addr, uint16(port))); err != nil {
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

type opener = func(netip.AddrPort) (*net.TCPListener, error)

// listen takes a port that the user chose, which must be had again at once after a restart: it is
// bound with SO_REUSEADDR, as net does by itself.
func listen(at netip.AddrPort) (*net.TCPListener, error) {
	return bind(at, reused)
}

// listenKept takes a free port in such a way that whoever holds the descriptor keeps the port, even
// after shutdown(2), when no connection is taken any more: see package runner/holder. Linux gives a
// port up that it has chosen itself, and one with SO_REUSEADDR goes to anybody who sets that, too.
// So the kernel chooses a port, which is let go and bound by its number.
func listenKept(at netip.AddrPort) (*net.TCPListener, error) {
	if at.Port() == 0 {
		chosen, err := listen(at)
		if err != nil {
			return nil, err
		}
		chosen.Close()
		at = chosen.Addr().(*net.TCPAddr).AddrPort()
	}
	return bind(at, notReused)
}

// bind takes a port. At loopback it does without keep-alive probes: nobody vanishes there without a
// word. Another address may come later, with a bridge that somebody makes.
func bind(at netip.AddrPort, set func(fd uintptr) error) (*net.TCPListener, error) {
	lc := net.ListenConfig{Control: func(network, _ string, c syscall.RawConn) (err error) {
		failed := c.Control(func(fd uintptr) {
			if err = set(fd); err == nil && at.Addr() != loopback {
				err = freeBind(network, fd)
			}
		})
		return cmp.Or(failed, err)
	}}
	if at.Addr() == loopback {
		lc.KeepAlive = -1
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
