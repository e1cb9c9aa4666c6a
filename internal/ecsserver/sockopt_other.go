//go:build !linux

package ecsserver

// freeBind is Linux's.
func freeBind(string, uintptr) error { return nil }

// notReused is of use where somebody keeps the port, which is on Linux alone.
func notReused(uintptr) error { return nil }
