//go:build unix

package ecsserver

import "syscall"

// maxConns leaves 64 descriptors to brs-exec itself. The limit read is the one that Go has raised to the hard limit.
func maxConns() int {
	const most, own, least = 4096, 64, 16
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || uint64(limit.Cur) >= most+own {
		return most
	}
	return max(int(limit.Cur)-own, least)
}
