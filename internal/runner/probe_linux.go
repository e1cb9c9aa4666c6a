//go:build linux && (amd64 || arm64)

package runner

import (
	"errors"
	"os"
	"slices"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"brs-exec/internal/runner/entry"
)

// A signal that a process sent may have gone to the wrapper alone (kill PID) or to
// all its group (timeout, kill %1, systemd's control-group kill), and nothing in
// its siginfo tells which. So a second process sits in our group: the probe, a
// loop of system calls in the early entry point, with every signal blocked. What
// was sent to the group is pending there, from the very kill(2) that brought it
// to us, whether the probe has had a processor since or not.
//
// proc(5) tells what is pending, the probe itself who sent it. On a machine where it
// gets no processor, the former must do. Where there is neither we forward: twice is
// better than never.
type probe struct {
	pid     int
	sock    int
	reports []report

	asked bool   // it owes an answer
	told  uint64 // what is pending, when it didn't answer: reported already
}

// report is a signal that was pending in the probe.
type report struct {
	sig syscall.Signal
	pid int           // of the sender, or anybody
	at  time.Duration // by when it was there, on the clock of event.at
}

const anybody = -1

const (
	// reportLife is longer than a signal waits here, on however busy a machine.
	reportLife = 10 * time.Second

	// probePatience is how long an answer may take, and probeLook when we begin to
	// wonder whether somebody has stopped the probe.
	probePatience = time.Second
	probeLook     = 200 * time.Millisecond
)

// startProbe is nil where there can't be a probe: without the early entry point,
// without /proc, as PID 1 (there is no group above it).
func startProbe() *probe {
	if !entry.Seen() || os.Getpid() == 1 {
		return nil
	}
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer syscall.Close(pair[1])
	theirs := uintptr(pair[1])
	pid, err := entry.Start("sigprobe", nil, nil, []uintptr{theirs, theirs, theirs}, &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL})
	if err != nil {
		syscall.Close(pair[0])
		return nil
	}
	return &probe{pid: pid, sock: pair[0]}
}

// got reports whether the probe, too, was found to have a signal from the same
// sender, and not long before it came to us, however long ago that is by now. A
// report serves as often as it fits: what came to us as two signals may have come
// to the probe as one.
func (p *probe) got(e event) bool {
	return slices.ContainsFunc(p.reports, func(r report) bool {
		return r.sig == e.sig && (r.pid == e.pid || r.pid == anybody) && e.at-r.at <= groupWindow
	})
}

// ask takes all that is pending in the probe. What the kernel made is of no use, but
// left there it would hide a later one. A probe that doesn't answer is given up.
func (p *probe) ask() {
	if p == nil || p.pid == 0 {
		return
	}
	at := monotonic()
	p.reports = slices.DeleteFunc(p.reports, func(r report) bool { return at-r.at > reportLife })
	pending, known := pendingSignals(p.pid)
	if known && pending == 0 && !p.asked {
		return
	}
	if !p.asked {
		if _, err := syscall.Write(p.sock, []byte{0}); err != nil {
			p.stop()
			return
		}
		p.asked = true
	}
	var info siginfo
	buf := unsafe.Slice((*byte)(unsafe.Pointer(&info)), siginfoSize)
	for {
		n, err := p.read(buf)
		switch {
		case err == errLate && known:
			p.tell(pending, at)
			return
		case err != nil || n != siginfoSize:
			p.stop()
			return
		case info.signo == 0:
			p.asked, p.told = false, 0
			return
		}
		if e := info.event(); e.from == byProcess && p.told&bit(e.sig) == 0 {
			r := report{e.sig, e.pid, at}
			if pending&bit(e.sig) == 0 {
				r.at = monotonic() // it came since we looked
			}
			p.reports = append(p.reports, r)
		}
	}
}

// tell reports what is pending in a probe that doesn't answer, each once.
func (p *probe) tell(pending uint64, at time.Duration) {
	for sig := syscall.Signal(1); sig <= maxSignal; sig++ {
		if pending&^p.told&bit(sig) != 0 {
			p.reports = append(p.reports, report{sig, anybody, at})
		}
	}
	p.told = pending
}

// pendingSignals is what waits in a process that has blocked it.
func pendingSignals(pid int) (mask uint64, known bool) {
	return signalMask("/proc/"+strconv.Itoa(pid)+"/status", "SigPnd", "ShdPnd")
}

var errLate = errors.New("no answer")

// read reads one answer. A probe that somebody has stopped is continued.
func (p *probe) read(buf []byte) (int, error) {
	for end := time.Now().Add(probePatience); ; {
		poll := []unix.PollFd{{Fd: int32(p.sock), Events: unix.POLLIN}}
		switch n, err := unix.Poll(poll, int(probeLook.Milliseconds())); {
		case n == 1:
			return syscall.Read(p.sock, buf)
		case err == syscall.EINTR:
		case err != nil:
			return 0, err
		case time.Now().After(end):
			return 0, errLate
		default:
			syscall.Kill(p.pid, syscall.SIGCONT)
		}
	}
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
