//go:build !linux

package ecsserver

import "syscall"

// freeBind does nothing: the address must be there.
func freeBind(_, _ string, _ syscall.RawConn) error { return nil }
