//go:build !linux && !windows

package ecsserver

import "syscall"

var (
	addressInUse error = syscall.EADDRINUSE
	noRoom             = []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM}
)

// freeBind is Linux's.
func freeBind(string, uintptr) error { return nil }

// reused leaves it at what net sets.
func reused(uintptr) error { return nil }

// notReused is of use where somebody keeps the port, which is on Linux alone.
func notReused(uintptr) error { return nil }
