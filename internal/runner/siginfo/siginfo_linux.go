//go:build amd64 || arm64

package siginfo

import (
	"iter"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Info is the head of siginfo_t, for a signal that a process sent. The handler writes the time into
// its unused tail.
type Info struct {
	Signo, errno, Code int32
	_                  int32
	PID                int32
	UID                uint32
	Value              uint64 // si_value
	_                  [size - 48]byte
	time               unix.Timespec // of CLOCK_MONOTONIC
}

const size = 128 // sizeof(siginfo_t)

// Queued is the Code of what sigqueue(3) sends, with a value: SI_QUEUE.
const Queued = -1

// At is when the handler ran, on the system's monotonic clock.
func (i *Info) At() time.Duration { return time.Duration(i.time.Nano()) }

// Now is the time on that clock.
func Now() time.Duration {
	var now unix.Timespec
	unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)
	return time.Duration(now.Nano())
}

// Send sends what sigqueue(3) sent on to another process, with its value and its sender.
func (i *Info) Send(pid int) error {
	queued := *i
	queued.time = unix.Timespec{}
	_, _, errno := syscall.RawSyscall(syscall.SYS_RT_SIGQUEUEINFO,
		uintptr(pid), uintptr(i.Signo), uintptr(unsafe.Pointer(&queued)))
	if errno != 0 {
		return errno
	}
	return nil
}

// pipe is the writing end of the pipe. The handler reads it.
var pipe int32

// Source is the reading end.
type Source struct{ r *os.File }

// Open makes the pipe.
func Open() (*Source, error) {
	var p [2]int
	if err := syscall.Pipe2(p[:], syscall.O_CLOEXEC|syscall.O_NONBLOCK); err != nil {
		return nil, err
	}
	pipe = int32(p[1])
	return &Source{os.NewFile(uintptr(p[0]), "signals")}, nil
}

// Mark puts an Info of zeros between what arrived until now and what arrives later.
func (*Source) Mark() {
	var m [size]byte
	syscall.Write(int(pipe), m[:])
}

// All is what arrives, as long as the process lives.
func (s *Source) All() iter.Seq[Info] {
	return func(yield func(Info) bool) {
		var info [16]Info
		buf := unsafe.Slice((*byte)(unsafe.Pointer(&info)), len(info)*size)
		for {
			n, err := s.r.Read(buf) // whole records: they are written whole
			if err != nil {
				return
			}
			for i := range n / size {
				if !yield(info[i]) {
					return
				}
			}
		}
	}
}

// Action is what a signal does: the kernel's struct sigaction (not the C library's).
type Action struct {
	handler  uintptr
	flags    uint64
	restorer uintptr
	mask     uint64
}

// The actions beside Catch's.
var (
	Default = Action{handler: 0} // SIG_DFL
	Ignore  = Action{handler: 1} // SIG_IGN
)

// Ignored reports whether a is Ignore.
func (a Action) Ignored() bool { return a.handler == Ignore.handler }

const (
	saSiginfo  = 0x4
	saRestorer = 0x4000000
	saOnstack  = 0x8000000
	saRestart  = 0x10000000
)

// Catch has the handler called for a signal, whose Info then comes from All.
func Catch(sig syscall.Signal) { handle(sig, handlerPC(), saRestart) }

// CatchInterrupting is Catch, and a system call that the signal interrupts fails (EINTR). A read or
// write of the terminal from the background would else be begun again for ever.
func CatchInterrupting(sig syscall.Signal) { handle(sig, handlerPC(), 0) }

// CatchSent is Catch for a signal that means a fault, if a process sent it. A fault of our own
// stays the Go runtime's, which makes a panic of it. The runtime has one handler for all of them.
func CatchSent(sig syscall.Signal) {
	forFaults = Of(sig).handler
	handle(sig, sentPC(), saRestart)
}

// forFaults is the Go runtime's handler. Ours reads it.
//
//lint:ignore U1000 the assembly does
var forFaults uintptr

func handle(sig syscall.Signal, handler uintptr, flags uint64) {
	Set(sig, Action{
		handler:  handler,
		flags:    flags | saSiginfo | saOnstack | saRestorer,
		restorer: restorerPC(),
		mask:     ^uint64(0),
	})
}

// Set gives a signal another action, and returns the one that it had.
func Set(sig syscall.Signal, act Action) (was Action) {
	sigaction(sig, &act, &was)
	return was
}

// Of returns a signal's action.
func Of(sig syscall.Signal) (act Action) {
	sigaction(sig, nil, &act)
	return act
}

func sigaction(sig syscall.Signal, act, was *Action) {
	const sizeofMask = 8
	syscall.RawSyscall6(syscall.SYS_RT_SIGACTION,
		uintptr(sig), uintptr(unsafe.Pointer(act)), uintptr(unsafe.Pointer(was)), sizeofMask, 0, 0)
}

// Implemented in handler_linux_$GOARCH.s.
func handlerPC() uintptr
func sentPC() uintptr
func restorerPC() uintptr
