//go:build amd64 || arm64

package witness

import (
	"errors"
	"io"
	"os"
	"slices"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"brs-exec/internal/procfs"
	"brs-exec/internal/runner/entry"
	"brs-exec/internal/runner/siginfo"
)

// Witness is the process. A nil one has seen nothing.
type Witness struct {
	PID     int // 0: it has ended
	sock    int
	reports []report

	own   bool   // /proc is ours, and knows it by PID
	asked bool   // it owes an answer
	told  uint64 // what was pending, and reported, when it didn't answer
}

// report is a signal that was pending in the witness.
type report struct {
	sig syscall.Signal
	pid int           // of the sender, or anybody
	at  time.Duration // by when it was there, on the clock of Saw
}

const anybody = -1

const (
	// reportLife is longer than any signal waits here, even on a busy machine.
	reportLife = 10 * time.Second

	// patience is how long an answer may take, and look when we begin to wonder whether somebody
	// has stopped the witness.
	patience = time.Second
	look     = 200 * time.Millisecond
)

// Start starts the process. If we are killed, it becomes the holder of these listeners and reads
// its orders from the pipe (package holder); without any, it ends. It is nil where there can't be
// one.
func Start(listeners []uintptr, orders *os.File) *Witness {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer syscall.Close(pair[1])
	theirs, sys := uintptr(pair[1]), &syscall.SysProcAttr{}
	files := append([]uintptr{theirs, theirs, theirs}, listeners...)
	if len(listeners) > 0 {
		files[1] = orders.Fd()
	} else {
		sys.Pdeathsig = syscall.SIGKILL
	}
	pid, err := entry.Start("sigprobe", []string{strconv.Itoa(len(files))}, nil, files, sys)
	if err != nil {
		syscall.Close(pair[0])
		return nil
	}
	return &Witness{PID: pid, sock: pair[0], own: procfs.Own()}
}

// Gone reports whether there was a process that has ended, or that was given up.
func (w *Witness) Gone() bool { return w != nil && w.PID == 0 }

// Saw reports whether the witness has got the same signal from the same sender, and not more than
// Window before at, when it came to us. A report serves as often as it fits: what came to us as two
// signals may have come to the witness as one.
func (w *Witness) Saw(sig syscall.Signal, sender int, at time.Duration) bool {
	return w != nil && slices.ContainsFunc(w.reports, func(r report) bool {
		return r.sig == sig && (r.pid == sender || r.pid == anybody) && at-r.at <= Window
	})
}

// Ask takes all that is pending in the witness. What the kernel made is dropped; left pending it
// would hide a later one. A witness that doesn't answer is given up.
func (w *Witness) Ask() {
	if w == nil || w.PID == 0 {
		return
	}
	at := siginfo.Now()
	w.reports = slices.DeleteFunc(w.reports, func(r report) bool { return at-r.at > reportLife })
	pending, known := uint64(0), false
	if w.own {
		pending, known = Pending(w.PID)
	}
	if known && pending == 0 && !w.asked {
		return
	}
	if !w.asked {
		if _, err := syscall.Write(w.sock, []byte{0}); err != nil {
			w.Stop()
			return
		}
		w.asked = true
	}
	for {
		info, err := w.read()
		switch {
		case err == errLate && known:
			w.tell(pending, at)
			return
		case err != nil:
			w.Stop()
			return
		case info.Signo == 0:
			w.asked, w.told = false, 0
			return
		}
		if sig := syscall.Signal(info.Signo); info.Code <= 0 && w.told&bit(sig) == 0 {
			r := report{sig, int(info.PID), at}
			if pending&bit(sig) == 0 {
				r.at = siginfo.Now() // it came since we looked
			}
			w.reports = append(w.reports, r)
		}
	}
}

// tell reports what is pending in a witness that doesn't answer, each once.
func (w *Witness) tell(pending uint64, at time.Duration) {
	for sig := syscall.Signal(1); sig <= 64; sig++ {
		if pending&^w.told&bit(sig) != 0 {
			w.reports = append(w.reports, report{sig, anybody, at})
		}
	}
	w.told = pending
}

// Pending is what waits in a process that has blocked it.
func Pending(pid int) (mask uint64, known bool) {
	return procfs.SignalMask("/proc/"+strconv.Itoa(pid)+"/status", "SigPnd", "ShdPnd")
}

var errLate = errors.New("no answer")

// read reads one answer. A witness that somebody has stopped is continued.
func (w *Witness) read() (info siginfo.Info, err error) {
	for end := time.Now().Add(patience); ; {
		poll := []unix.PollFd{{Fd: int32(w.sock), Events: unix.POLLIN}}
		switch n, err := unix.Poll(poll, int(look.Milliseconds())); {
		case n == 1:
			n, err := syscall.Read(w.sock, unsafe.Slice((*byte)(unsafe.Pointer(&info)), unsafe.Sizeof(info)))
			if err == nil && n == 0 {
				err = io.EOF
			}
			return info, err
		case err == syscall.EINTR:
		case err != nil:
			return info, err
		case time.Now().After(end):
			return info, errLate
		default:
			syscall.Kill(w.PID, syscall.SIGCONT)
		}
	}
}

// Collected says that the process has ended, and its status was taken by wait4(-1).
func (w *Witness) Collected() {
	syscall.Close(w.sock)
	w.PID = 0
}

// Stop ends the process.
func (w *Witness) Stop() {
	if w == nil || w.PID == 0 {
		return
	}
	syscall.Kill(w.PID, syscall.SIGKILL) // first: at the end of file it would become the holder
	syscall.Wait4(w.PID, nil, 0, nil)
	w.Collected()
}

func bit(sig syscall.Signal) uint64 { return 1 << (sig - 1) }
