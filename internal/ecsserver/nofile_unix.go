//go:build unix

package ecsserver

import "syscall"

// maxConns reads the limit that Go has raised to the hard limit at its start (os/rlimit.go).
func maxConns() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return connLimit(1 << 20)
	}
	return connLimit(uint64(limit.Cur))
}

// connLimit leaves 64 descriptors to brs-exec itself, as far as there are that many.
func connLimit(nofile uint64) int {
	const most, own, least = 4096, 64, 16
	if nofile <= own+least {
		return least
	}
	return int(min(nofile-own, most))
}
