package ecsserver

import (
	"errors"
	"net"
	"syscall"
	"testing"
)

// After shutdown(2) a port that we drew refuses connections, and nobody can take it, with
// SO_REUSEADDR or without, at this address or at all of them. A port that was chosen is free.
func TestPortIsKept(t *testing.T) {
	free, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free.Close()
	for port, want := range map[int]error{0: syscall.EADDRINUSE, free.Addr().(*net.TCPAddr).Port: nil} {
		lns, err := listenAll(Options{Port: port})
		if err != nil {
			t.Fatal(err)
		}
		ln := lns[0]
		defer ln.Close()
		raw, _ := ln.SyscallConn()
		raw.Control(func(fd uintptr) { syscall.Shutdown(int(fd), syscall.SHUT_RD) })
		if c, err := net.Dial("tcp4", ln.Addr().String()); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("port %d: got %v, %v; want a refusal", port, c, err)
		}
		for _, host := range []string{"127.0.0.1", "0.0.0.0", "[::]"} {
			if err := squat(t, host, ln.Addr().(*net.TCPAddr), 1); !errors.Is(err, want) {
				t.Errorf("port %d, %s, with SO_REUSEADDR: got %v; want %v", port, host, err, want)
			}
			if err := squat(t, host, ln.Addr().(*net.TCPAddr), 0); !errors.Is(err, syscall.EADDRINUSE) {
				t.Errorf("port %d, %s: got %v; want it taken", port, host, err)
			}
		}
	}
}

// squat takes a port for a moment.
func squat(t *testing.T, host string, addr *net.TCPAddr, reuse int) error {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) {
			syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_REUSEADDR, reuse)
		})
	}}
	lc.SetMultipathTCP(false)
	_, port, _ := net.SplitHostPort(addr.String())
	ln, err := lc.Listen(t.Context(), "tcp", host+":"+port)
	if err == nil {
		ln.Close()
	}
	return err
}
