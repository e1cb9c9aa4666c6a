//go:build linux && (amd64 || arm64)

package runner

import (
	"bytes"
	"os"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A signal that a process sent may have gone to the wrapper alone (kill PID) or to
// all its group (timeout, kill %1, systemd's control-group kill), and nothing in
// its siginfo tells which. So a second process sits in our group: the probe, a
// loop of system calls in the early entry point, with every signal blocked. What
// was sent to the group is pending there, from the very kill(2) that brought it
// to us, whether the probe has had a processor since or not.
//
// Its answers can't be late, only its absence can: without an answer we forward.
// Twice is better than never.
type probe struct {
	pid     int
	sock    int
	reports []report
}

// report is a signal that was pending in the probe.
type report struct {
	sig syscall.Signal
	pid int
	at  time.Time
}

const (
	// probeDelay is how long a command lives before it gets a probe. Until then
	// a signal that went to the group comes twice.
	probeDelay = 100 * time.Millisecond

	// groupWindow is how long after us the probe may get a signal that some killer
	// sends to the processes one by one.
	groupWindow = 20 * time.Millisecond

	// reportLife is longer than a signal waits here, on however busy a machine.
	reportLife = 10 * time.Second

	// probePatience is how long an answer may take, of a probe that nobody has
	// stopped: on a machine that is busy enough it doesn't run for a second.
	probePatience = 10 * time.Second
	probeLook     = 200 * time.Millisecond
)

// startProbe is nil where there can't be a probe: without the early entry point,
// without /proc, as PID 1 (there is no group above it).
func startProbe() *probe {
	if !Early() || os.Getpid() == 1 {
		return nil
	}
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer syscall.Close(pair[1])
	p := program{}
	for fd := range uintptr(3) { // it may hold open nobody's pipe
		p.must(syscall.SYS_DUP3, uintptr(pair[1]), fd, 0)
	}
	p.may(unix.SYS_CLOSE_RANGE, 3, ^uintptr(0)>>32, 0)
	p.must(syscall.SYS_PRCTL, syscall.PR_SET_PDEATHSIG, uintptr(syscall.SIGKILL))
	if p.exec("/proc/self/exe", []string{"sigprobe"}, nil) != nil {
		syscall.Close(pair[0])
		return nil
	}
	pid, err := p.run()
	if err != nil {
		syscall.Close(pair[0])
		return nil
	}
	return &probe{pid: pid, sock: pair[0]}
}

// got reports whether the probe, too, has had a signal that came to us at a time,
// from the same sender, and no longer before. A report serves as often as it fits:
// what came to us as two signals may have come to the probe as one.
func (p *probe) got(e event, came time.Time) bool {
	p.ask()
	now, found, kept := time.Now(), false, p.reports[:0]
	for _, r := range p.reports {
		if now.Sub(r.at) > reportLife {
			continue
		}
		kept = append(kept, r)
		if r.sig == e.sig && r.pid == e.pid && came.Sub(r.at) <= groupWindow {
			found = true
		}
	}
	p.reports = kept
	return found
}

// ask takes all that is pending in the probe. A probe that doesn't answer is given up.
func (p *probe) ask() {
	if p.pid == 0 {
		return
	}
	if _, err := syscall.Write(p.sock, []byte{0}); err != nil {
		p.stop()
		return
	}
	var info siginfo
	buf := unsafe.Slice((*byte)(unsafe.Pointer(&info)), siginfoSize)
	for {
		if n, err := p.read(buf); err != nil || n != siginfoSize {
			p.stop()
			return
		}
		if info.signo == 0 {
			return
		}
		e := info.event()
		p.reports = append(p.reports, report{e.sig, e.pid, time.Now()})
	}
}

// read reads one answer. A probe that is stopped, or gone, gives none.
func (p *probe) read(buf []byte) (int, error) {
	for end := time.Now().Add(probePatience); ; {
		poll := []unix.PollFd{{Fd: int32(p.sock), Events: unix.POLLIN}}
		switch n, err := unix.Poll(poll, int(probeLook.Milliseconds())); {
		case n == 1:
			return syscall.Read(p.sock, buf)
		case err == syscall.EINTR:
		case err != nil || p.stopped() || time.Now().After(end):
			return 0, err
		}
	}
}

// stopped reports whether somebody has stopped the probe (proc(5): its state is T).
func (p *probe) stopped() bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(p.pid) + "/stat")
	return err != nil || bytes.Contains(stat, []byte(") T ")) || bytes.Contains(stat, []byte(") t "))
}

func (p *probe) stop() {
	if p == nil || p.pid == 0 {
		return
	}
	syscall.Close(p.sock)
	syscall.Kill(p.pid, syscall.SIGKILL)
	syscall.Wait4(p.pid, nil, 0, nil)
	p.pid = 0
}
