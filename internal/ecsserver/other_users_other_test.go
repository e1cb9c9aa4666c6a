//go:build !linux

package ecsserver

import "testing"

func TestSameUserNeedsLinux(t *testing.T) {
	s, err := Listen(steady(), Options{SameUser: true})
	if err == nil {
		s.ln.Close()
		t.Fatal("got no error; want one: a guard that was asked for must not be missing silently")
	}
}
