//go:build linux && (amd64 || arm64)

package runner

import (
	"iter"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"brs-exec/internal/runner/entry"
)

// A handler of our own, a few lines of assembly, writes the siginfo_t of each
// signal, and when it came, into a pipe. os/signal can't serve: it doesn't say who
// sent a signal, merges real-time signals, and sorts what arrives together by
// number. The Go runtime keeps those that it needs (the faults, URG, PROF, and 33).

// sigPipe is the pipe's writing end. The handler reads it.
var sigPipe int32

// Implemented in signals_linux_$GOARCH.s.
func handlerPC() uintptr
func restorerPC() uintptr

// source is the reading end.
type source struct{ r *os.File }

const siginfoSize = 128 // sizeof(siginfo_t)

// siginfo is the head of siginfo_t, for a signal that a process sent, and in its
// unused tail when our handler ran.
type siginfo struct {
	signo, errno, code int32
	_                  int32
	pid                int32
	uid                uint32
	value              uint64 // si_value
	_                  [siginfoSize - 48]byte
	at                 unix.Timespec // clock_gettime(CLOCK_MONOTONIC)
}

func (s *source) open() {
	var p [2]int
	if err := syscall.Pipe2(p[:], syscall.O_CLOEXEC|syscall.O_NONBLOCK); err != nil {
		panic("no pipe for signals: " + err.Error()) // no descriptor is free: nothing could be run either
	}
	s.r = os.NewFile(uintptr(p[0]), "signals")
	sigPipe = int32(p[1])
	for sig := syscall.Signal(1); sig <= maxSignal; sig++ {
		if !caught(sig) || jobSignal(sig) {
			continue
		}
		if ignoredAtEntry(sig) {
			signal.Ignore(sig) // so that children of os/exec ignore it, too
			rtSigaction(sig, &sigaction{handler: sigIgn}, nil)
			continue
		}
		catch(sig)
	}
}

// takeJobSignals catches what Catch leaves alone until there is a command. TTIN and
// TTOU keep their default action: caught, a read or write of the terminal from the
// background would be restarted for ever.
//
// What came in ignored is the command's now: it may catch it (a program does that
// under nohup, or a script's &), and keeps it ignored else.
func (s *source) takeJobSignals() {
	for sig := syscall.Signal(1); sig <= maxSignal && entry.Seen(); sig++ {
		if caught(sig) && !jobSignal(sig) && ignoredAtEntry(sig) {
			catch(sig)
		}
	}
	for _, sig := range [...]syscall.Signal{syscall.SIGTSTP, syscall.SIGCONT} {
		if !ignoredAtEntry(sig) {
			catch(sig)
		}
	}
}

// release gives every signal its default action again, for a wrapper that hangs
// in spite of a signal: the next one ends it.
func (s *source) release() {
	for sig := syscall.Signal(1); sig <= maxSignal; sig++ {
		if caught(sig) && !jobSignal(sig) && sig != syscall.SIGCHLD && !ignoredAtEntry(sig) {
			setDefault(sig)
		}
	}
}

// mark puts a mark between what arrived until now and what arrives later.
func (s *source) mark() {
	var m [siginfoSize]byte
	syscall.Write(int(sigPipe), m[:])
}

func (s *source) all() iter.Seq[event] {
	return func(yield func(event) bool) {
		var info [16]siginfo
		buf := unsafe.Slice((*byte)(unsafe.Pointer(&info)), len(info)*siginfoSize)
		for {
			n, err := s.r.Read(buf) // whole records: they are written whole
			if err != nil {
				return
			}
			for i := range n / siginfoSize {
				if !yield(info[i].event()) {
					return
				}
			}
		}
	}
}

func (i *siginfo) event() event {
	e := event{sig: syscall.Signal(i.signo), from: byKernel, at: time.Duration(i.at.Nano())}
	if i.code > 0 {
		return e
	}
	e.from, e.pid = byProcess, int(i.pid)
	if i.code == siQueue {
		queued := *i
		queued.at = unix.Timespec{}
		e.queued = &queued
	}
	return e
}

// payload is the whole siginfo_t of a signal that sigqueue(3) sent.
type payload struct{ queued *siginfo }

const siQueue = -1 // SI_QUEUE: by sigqueue(3), with a value

// deliver sends e on. What sigqueue(3) sent goes with its value and its sender.
func (e event) deliver(pid int) {
	if e.queued == nil {
		syscall.Kill(pid, e.sig)
		return
	}
	syscall.RawSyscall(syscall.SYS_RT_SIGQUEUEINFO, uintptr(pid), uintptr(e.sig), uintptr(unsafe.Pointer(e.queued)))
}

// handlersDone waits until no thread is in the handler for a signal that came before
// a stop of ours: stopped itself before it could say when that was.
func handlersDone() {
	for end := time.Now().Add(time.Second); inHandler() && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
}

// inHandler reports whether a thread has every signal blocked, as the handler has.
func inHandler() bool {
	tasks, _ := filepath.Glob("/proc/self/task/*/status")
	return slices.ContainsFunc(tasks, func(status string) bool {
		mask, known := signalMask(status, "SigBlk")
		return known && mask == ^(bit(syscall.SIGKILL)|bit(syscall.SIGSTOP))
	})
}

// signalMask is what proc(5) says in some fields of a status file.
func signalMask(file string, fields ...string) (mask uint64, known bool) {
	status, err := os.ReadFile(file)
	if err != nil {
		return 0, false
	}
	for _, field := range fields {
		_, rest, _ := strings.Cut(string(status), "\n"+field+":\t")
		hex, _, _ := strings.Cut(rest, "\n")
		m, err := strconv.ParseUint(hex, 16, 64)
		if err != nil {
			return 0, false
		}
		mask |= m
	}
	return mask, true
}

// monotonic is the clock of event.at.
func monotonic() time.Duration {
	var now unix.Timespec
	unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)
	return time.Duration(now.Nano())
}

const maxSignal syscall.Signal = 64

// caught is every signal but those that can't be caught, those that mean a fault
// of our own, and those that the Go runtime and the C library send themselves.
func caught(sig syscall.Signal) bool {
	switch sig {
	case syscall.SIGKILL, syscall.SIGSTOP,
		syscall.SIGSEGV, syscall.SIGBUS, syscall.SIGFPE, syscall.SIGILL, syscall.SIGTRAP, syscall.SIGSYS,
		syscall.SIGURG, syscall.SIGPROF, 32, 33:
		return false
	}
	return true
}

func jobSignal(sig syscall.Signal) bool {
	switch sig {
	case syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU, syscall.SIGCONT:
		return true
	}
	return false
}

// ignoredAtEntry reports whether the wrapper was started with sig ignored.
func ignoredAtEntry(sig syscall.Signal) bool {
	if sig == syscall.SIGTERM && os.Getpid() == 1 {
		return false // the kernel drops a TERM that PID 1 doesn't catch: nobody could stop the container
	}
	if sig == syscall.SIGCHLD {
		return false
	}
	if entry.Seen() {
		return entry.Inherited().Ignored&bit(sig) != 0
	}
	if sig == syscall.SIGQUIT {
		sig = syscall.SIGINT // the runtime keeps HUP and INT; a shell without job control ignores INT and QUIT together
	}
	var act sigaction
	rtSigaction(sig, nil, &act)
	return act.handler == sigIgn
}

// sigaction is the kernel's struct (not the C library's).
type sigaction struct {
	handler  uintptr
	flags    uint64
	restorer uintptr
	mask     uint64
}

const (
	sigDfl = 0
	sigIgn = 1

	saSiginfo  = 0x4
	saRestorer = 0x4000000
	saOnstack  = 0x8000000
	saRestart  = 0x10000000
)

func catch(sig syscall.Signal) {
	rtSigaction(sig, &sigaction{
		handler:  handlerPC(),
		flags:    saSiginfo | saOnstack | saRestart | saRestorer,
		restorer: restorerPC(),
		mask:     ^uint64(0),
	}, nil)
}

func setDefault(sig syscall.Signal) { rtSigaction(sig, &sigaction{handler: sigDfl}, nil) }

func rtSigaction(sig syscall.Signal, act, old *sigaction) {
	syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(act)), uintptr(unsafe.Pointer(old)), 8, 0, 0)
}

const (
	sigBlock   = 0
	sigUnblock = 1
	sigSetmask = 2
)

// sigprocmask changes the calling thread's mask: lock the goroutine to it first.
func sigprocmask(how int, set uint64) (old uint64) {
	syscall.RawSyscall6(syscall.SYS_RT_SIGPROCMASK, uintptr(how), uintptr(unsafe.Pointer(&set)), uintptr(unsafe.Pointer(&old)), 8, 0, 0)
	return old
}

func bit(sig syscall.Signal) uint64 { return 1 << (sig - 1) }

// raise sends sig to the calling thread with its default action, whatever it is
// now. It returns if that is not death: after a stop, or as PID 1.
func raise(sig syscall.Signal) {
	mask := sigprocmask(sigBlock, bit(sig))
	syscall.Tgkill(syscall.Getpid(), syscall.Gettid(), sig)
	// From here on somebody else's TSTP may stop us, too. The CONT that ends that drops ours.
	var was sigaction
	rtSigaction(sig, &sigaction{handler: sigDfl}, &was)
	sigprocmask(sigUnblock, bit(sig))
	sigprocmask(sigSetmask, mask)
	rtSigaction(sig, &was, nil)
}
