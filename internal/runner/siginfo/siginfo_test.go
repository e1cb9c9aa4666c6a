//go:build linux && (amd64 || arm64)

package siginfo

import (
	"os"
	"runtime"
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
	queued := Info{Signo: int32(syscall.SIGUSR1), Code: Queued, PID: int32(os.Getpid()), Value: 4711}
	n := 0
	for i := range s.All() { // another thread may take a signal: nothing is sent before the last has come
		switch n++; n {
		case 1:
			if i.Signo != int32(syscall.SIGUSR1) || i.Code != 0 || int(i.PID) != os.Getpid() || i.At() == 0 {
				t.Errorf("got %+v; want USR1 of kill(2), from us", i)
			}
			s.Mark()
		case 2:
			if i != (Info{}) {
				t.Errorf("got %+v; want the mark", i)
			}
			if err := queued.Send(os.Getpid()); err != nil {
				t.Fatal(err)
			}
		case 3:
			if i.Code != Queued || i.Value != 4711 {
				t.Errorf("got %+v; want a value of 4711", i)
			}
			return
		}
	}
}

// TestCatchSent: what a process sends comes from All, and a fault of our own stays a panic.
func TestCatchSent(t *testing.T) {
	s, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	was := Of(syscall.SIGSEGV)
	defer Set(syscall.SIGSEGV, was)
	CatchSent(syscall.SIGSEGV)
	syscall.Kill(os.Getpid(), syscall.SIGSEGV)
	for i := range s.All() {
		if i.Signo != int32(syscall.SIGSEGV) || int(i.PID) != os.Getpid() {
			t.Errorf("got %+v; want SEGV of kill(2), from us", i)
		}
		break
	}
	defer func() {
		if err, ok := recover().(runtime.Error); !ok {
			t.Errorf("got %v; want a panic of the runtime", err)
		}
	}()
	var nothing *Info
	t.Errorf("read %d through a nil pointer", nothing.Value)
}

func TestSet(t *testing.T) {
	was := Set(syscall.SIGUSR2, Ignore)
	syscall.Kill(os.Getpid(), syscall.SIGUSR2) // which would end us
	if got := Set(syscall.SIGUSR2, was); !got.Ignored() || Of(syscall.SIGUSR2).Ignored() {
		t.Error("ignored, and set back: the actions don't say so")
	}
}
