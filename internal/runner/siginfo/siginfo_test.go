//go:build linux && (amd64 || arm64)

package siginfo

import (
	"os"
	"syscall"
	"testing"
)

func TestCatch(t *testing.T) {
	s, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	was := Of(syscall.SIGUSR1)
	defer Set(syscall.SIGUSR1, was)
	Catch(syscall.SIGUSR1)
	syscall.Kill(os.Getpid(), syscall.SIGUSR1)
	s.Mark()
	queued := Info{Signo: int32(syscall.SIGUSR1), Code: Queued, PID: int32(os.Getpid()), Value: 4711}
	n := 0
	for i := range s.All() {
		switch n++; {
		case n == 1 && (i.Signo != int32(syscall.SIGUSR1) || i.Code != 0 || int(i.PID) != os.Getpid() || i.At() == 0):
			t.Errorf("got %+v; want USR1 of kill(2), from us", i)
		case n == 2 && i != Info{}:
			t.Errorf("got %+v; want the mark", i)
		case n == 2:
			if err := queued.Send(os.Getpid()); err != nil {
				t.Fatal(err)
			}
		case n == 3 && (i.Code != Queued || i.Value != 4711):
			t.Errorf("got %+v; want a value of 4711", i)
		}
		if n == 3 {
			return
		}
	}
}

func TestSet(t *testing.T) {
	was := Set(syscall.SIGUSR2, Ignore)
	syscall.Kill(os.Getpid(), syscall.SIGUSR2) // which would end us
	if got := Set(syscall.SIGUSR2, was); !got.Ignored() || Of(syscall.SIGUSR2).Ignored() {
		t.Error("ignored, and set back: the actions don't say so")
	}
}
