package ecsserver

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// freeBind lets a socket have an address that no interface has yet.
func freeBind(network, _ string, c syscall.RawConn) (err error) {
	failed := c.Control(func(fd uintptr) {
		if network == "tcp6" {
			err = unix.SetsockoptInt(int(fd), unix.SOL_IPV6, unix.IPV6_FREEBIND, 1)
		} else {
			err = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_FREEBIND, 1)
		}
	})
	if failed != nil {
		return failed
	}
	return err
}
