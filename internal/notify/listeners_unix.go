//go:build unix

package notify

import (
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// Reloading is what to send when a reload begins: systemd wants to know when that was.
func Reloading() []string {
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) != nil {
		return []string{"RELOADING=1"}
	}
	return []string{"RELOADING=1", fmt.Sprintf("MONOTONIC_USEC=%d", now.Nano()/1000)}
}

// Listeners takes the sockets that were opened for this process. They are closed on exec from now
// on. Call it once: the descriptors are gone then.
func Listeners(getenv func(string) string) (listeners []net.Listener, err error) {
	for fd := firstFD; fd < firstFD+given(getenv, os.Getpid()); fd++ {
		ln, failed := listener(fd)
		if failed != nil {
			err = errors.Join(err, fmt.Errorf("descriptor %d of LISTEN_FDS: %w", fd, failed))
			continue
		}
		listeners = append(listeners, ln)
	}
	if err != nil {
		for _, ln := range listeners {
			ln.Close()
		}
		return nil, err
	}
	return listeners, nil
}

// listener takes one over. A unix socket's file stays when it is closed: it is the manager's.
func listener(fd int) (net.Listener, error) {
	listens, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil {
		return nil, err
	}
	if listens == 0 {
		return nil, errors.New("it does not listen")
	}
	f := os.NewFile(uintptr(fd), "listener")
	defer f.Close()
	ln, err := net.FileListener(f) // a copy
	if u, ok := ln.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
	}
	return ln, err
}
