//go:build linux && (amd64 || arm64)

package witness

import (
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"brs-exec/internal/runner/siginfo"
)

// TestStarvedProbe: a probe that gets no processor has what it has.
func TestStarvedProbe(t *testing.T) {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(pair[0])
	defer syscall.Close(pair[1])
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var was unix.Sigset_t
	unix.PthreadSigmask(unix.SIG_BLOCK, &unix.Sigset_t{Val: [16]uint64{bit(syscall.SIGTERM) | bit(syscall.SIGINT)}}, &was)
	c := exec.Command("sleep", "600") // with this thread's mask
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	unix.PthreadSigmask(unix.SIG_SETMASK, &was, nil)
	defer c.Wait()
	defer c.Process.Kill()
	p := &Witness{PID: c.Process.Pid, sock: pair[0], own: true}
	p.Ask()
	if p.asked {
		t.Error("asked, though nothing is pending")
	}
	syscall.Kill(p.PID, syscall.SIGTERM)
	first := report{sig: syscall.SIGTERM, pid: 1, at: siginfo.Now()}
	p.Ask()
	time.Sleep(2 * Window)
	syscall.Kill(p.PID, syscall.SIGINT)
	second := report{sig: syscall.SIGINT, pid: 1, at: siginfo.Now()}
	p.Ask()
	for _, c := range []struct {
		name string
		e    report
		want bool
	}{
		{"what was there", first, true},
		{"what came after", report{sig: syscall.SIGTERM, pid: 1, at: siginfo.Now()}, false},
		{"another signal", second, true},
	} {
		if got := p.Saw(c.e.sig, c.e.pid, c.e.at); got != c.want {
			t.Errorf("%s: got %v; want %v", c.name, got, c.want)
		}
	}
	// At last it answers, with what has been told.
	answer := func(info siginfo.Info) {
		syscall.Write(pair[1], unsafe.Slice((*byte)(unsafe.Pointer(&info)), unsafe.Sizeof(siginfo.Info{})))
	}
	answer(siginfo.Info{Signo: int32(syscall.SIGTERM), PID: 1})
	answer(siginfo.Info{})
	p.Ask()
	if late := (report{sig: syscall.SIGTERM, pid: 1, at: siginfo.Now()}); p.asked || p.Saw(late.sig, late.pid, late.at) {
		t.Errorf("after its answer: asked %v, got %v; want neither", p.asked, p.Saw(late.sig, late.pid, late.at))
	}
}

// TestReports: a report is of what came with it, when it came, whenever we look.
func TestReports(t *testing.T) {
	const at = time.Hour
	p := &Witness{reports: []report{{syscall.SIGTERM, 100, at}, {syscall.SIGINT, 0, at}}}
	for _, c := range []struct {
		name string
		e    report
		want bool
	}{
		{"the same kill", report{sig: syscall.SIGTERM, pid: 100, at: at - time.Second}, true},
		{"another of the burst", report{sig: syscall.SIGTERM, pid: 100, at: at + Window}, true},
		{"a later one", report{sig: syscall.SIGTERM, pid: 100, at: at + Window + 1}, false},
		{"another signal", report{sig: syscall.SIGINT, pid: 100, at: at}, false},
		{"another sender", report{sig: syscall.SIGTERM, pid: 101, at: at}, false},
	} {
		if got := p.Saw(c.e.sig, c.e.pid, c.e.at); got != c.want {
			t.Errorf("%s: got %v; want %v", c.name, got, c.want)
		}
	}
}
