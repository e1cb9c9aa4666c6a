//go:build linux || darwin

package ecsserver

import (
	"net"
	"syscall"
	"testing"
	"time"
)

// With no descriptors left, connections that are of no use make room, at once.
func TestOutOfDescriptors(t *testing.T) {
	s, _, stop := elsewhere(t, "ECSSERVER_NOFILE=32")
	for range 60 {
		c, err := net.Dial("tcp4", s.addr())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	began := time.Now()
	if status, body := get(t, client(t), s); status != 200 {
		t.Errorf("got %d %s; want 200", status, body)
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("took %v", took)
	}
	if st := stop(); st.Displaced == 0 {
		t.Errorf("got %+v; want some displaced", st)
	}
}

// lowerNOFILE sets the soft limit of this process.
func lowerNOFILE(n int) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	limit.Cur = uint64(n)
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
}
