package procfs

import (
	"errors"
	"net"
	"os"
	"strconv"
	"strings"
)

// Stranger tells whether another user than we and root listens at the other end of a connection on
// loopback, or of a unix socket, and who; an error says that it can't be told. A server that
// doesn't listen any more is ErrNoSocket: it may have been anybody's.
//
// On loopback the listening socket is asked for. Of the connection itself older kernels say that it
// is root's until it is accepted.
func Stranger(c net.Conn) (uid uint32, is bool, err error) {
	if local, ok := c.(*net.UnixConn); ok {
		uid, _, err := Peer(local)
		return uid, err == nil && isStranger(uid), err
	}
	remote, ok := c.RemoteAddr().(*net.TCPAddr)
	if !ok || !remote.IP.IsLoopback() {
		return 0, false, nil
	}
	s, err := Listener(remote.AddrPort())
	if err == nil {
		return s.UID, isStranger(s.UID), nil
	}
	local := c.LocalAddr().(*net.TCPAddr).AddrPort()
	if _, unknown := Connection(local, remote.AddrPort()); errors.Is(err, ErrNoSocket) && unknown != nil {
		err = errors.ErrUnsupported // not even our own end is known: a kernel without tcp_diag says that, too
	}
	return 0, false, err
}

// isStranger is true of the overflow uid, too, even if it is ours: it stands for anybody from
// outside of our user namespace.
func isStranger(uid uint32) bool {
	return uid != 0 && uid != uint32(os.Geteuid()) || Supported && uid == overflowUID()
}

// overflowUID is the user whom the kernel names in place of any that our user namespace doesn't
// have (user_namespaces(7)). Other systems have no such namespaces.
func overflowUID() uint32 {
	text, _ := os.ReadFile("/proc/sys/kernel/overflowuid")
	if uid, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 32); err == nil {
		return uint32(uid)
	}
	return 65534 // the kernel's default
}
