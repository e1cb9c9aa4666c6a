package ecsserver

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

var (
	addressInUse error = syscall.EADDRINUSE
	noRoom             = []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM}
)

// freeBind lets a socket have an address that no interface has yet.
func freeBind(network string, fd uintptr) error {
	if network == "tcp6" {
		return setsockopt(fd, unix.SOL_IPV6, unix.IPV6_FREEBIND, 1)
	}
	return setsockopt(fd, unix.SOL_IP, unix.IP_FREEBIND, 1)
}

// reused leaves it at what net sets.
func reused(uintptr) error { return nil }

func notReused(fd uintptr) error { return setsockopt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 0) }

func setsockopt(fd uintptr, level, option, value int) error {
	return os.NewSyscallError("setsockopt", unix.SetsockoptInt(int(fd), level, option, value))
}
