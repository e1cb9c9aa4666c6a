//go:build linux && (amd64 || arm64)

package runner

import (
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"brs-exec/internal/procfs"
	"brs-exec/internal/runner/entry"
	"brs-exec/internal/runner/siginfo"
)

// source is where signals come from.
type source struct{ *siginfo.Source }

func (s *source) open() {
	var err error
	if s.Source, err = siginfo.Open(); err != nil {
		panic("no pipe for signals: " + err.Error()) // no descriptor is free: nothing could be run either
	}
	for sig := range signals {
		switch {
		case !caught(sig) || jobSignal(sig):
		case isFault(sig):
			siginfo.CatchSent(sig)
		case ignoredAtEntry(sig):
			signal.Ignore(sig) // so that children of os/exec ignore it, too
			siginfo.Set(sig, siginfo.Ignore)
		default:
			siginfo.Catch(sig)
		}
	}
}

// takeJobSignals catches what Catch leaves alone until there is a command.
//
// What came in ignored is the command's now: it may catch it (a program does that under nohup, or a
// script's &), and keeps it ignored else.
func (s *source) takeJobSignals() {
	for sig := range signals {
		switch ignored := ignoredAtEntry(sig); {
		case !caught(sig) || isFault(sig):
		case sig == syscall.SIGTTIN && !ignored, sig == syscall.SIGTTOU && !ignored:
			siginfo.CatchInterrupting(sig)
		case jobSignal(sig) && !ignored:
			siginfo.Catch(sig)
		case !jobSignal(sig) && ignored && entry.Seen():
			siginfo.Catch(sig)
		}
	}
}

// terminalStopsUs says that TTIN and TTOU have their default action while the command runs.
const terminalStopsUs = false

// mark puts a mark between what arrived until now and what arrives later.
func (s *source) mark() { s.Mark() }

func (s *source) each(do func(event)) {
	for info := range s.All() {
		do(eventOf(info))
	}
}

func eventOf(info siginfo.Info) event {
	e := event{sig: syscall.Signal(info.Signo), from: byKernel, at: info.At()}
	if info.Code > 0 {
		return e
	}
	e.from, e.pid = byProcess, int(info.PID)
	if info.Code == siginfo.Queued {
		e.queued = &info
	}
	return e
}

// payload is the whole siginfo_t of a signal that sigqueue(3) sent.
type payload struct{ queued *siginfo.Info }

// deliver sends e on. What sigqueue(3) sent goes with its value and its sender.
func (e event) deliver(pid int) {
	if e.queued == nil {
		syscall.Kill(pid, e.sig)
		return
	}
	e.queued.Send(pid)
}

// handlersDone waits until no thread is in the handler for a signal that came before a stop of
// ours, and returns when that was, on the clock of event.at. The stop may have caught the thread
// before it wrote down when its signal came.
func handlersDone() time.Duration {
	for end := time.Now().Add(time.Second); inHandler() && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	return siginfo.Now()
}

// inHandler reports whether a thread has every signal blocked, as the handler has.
func inHandler() bool {
	tasks, _ := filepath.Glob("/proc/self/task/*/status")
	return slices.ContainsFunc(tasks, func(status string) bool {
		mask, known := procfs.SignalMask(status, "SigBlk")
		return known && mask == ^(bit(syscall.SIGKILL)|bit(syscall.SIGSTOP))
	})
}

// signals is all that there are.
func signals(yield func(syscall.Signal) bool) {
	for sig := syscall.Signal(1); sig <= 64 && yield(sig); sig++ {
	}
}

// caught is every signal but those that can't be caught, and those that the Go runtime and the C
// library send themselves.
func caught(sig syscall.Signal) bool {
	switch sig {
	case syscall.SIGKILL, syscall.SIGSTOP, syscall.SIGURG, syscall.SIGPROF, 32, 33:
		return false
	}
	return true
}

// isFault reports whether the kernel sends a signal for a fault of the process itself.
func isFault(sig syscall.Signal) bool {
	switch sig {
	case syscall.SIGSEGV, syscall.SIGBUS, syscall.SIGFPE, syscall.SIGILL, syscall.SIGTRAP, syscall.SIGSYS:
		return true
	}
	return false
}

func jobSignal(sig syscall.Signal) bool { return isStop(sig) || sig == syscall.SIGCONT }

// ignoredAtEntry reports whether the wrapper was started with sig ignored.
func ignoredAtEntry(sig syscall.Signal) bool {
	switch {
	case sig == syscall.SIGTERM && os.Getpid() == 1:
		return false // the kernel drops a TERM that PID 1 doesn't catch: nobody could stop the container
	case sig == syscall.SIGCHLD:
		return false
	case entry.Seen():
		return entry.Inherited().Ignored&bit(sig) != 0
	case sig == syscall.SIGQUIT:
		sig = syscall.SIGINT // the runtime keeps HUP and INT; a shell without job control ignores INT and QUIT together
	}
	return siginfo.Of(sig).Ignored()
}

// sigmask changes the calling thread's mask: lock the goroutine to it first.
func sigmask(how int, set uint64) (old uint64) {
	var was unix.Sigset_t
	unix.PthreadSigmask(how, &unix.Sigset_t{Val: [16]uint64{set}}, &was)
	return was.Val[0]
}

func bit(sig syscall.Signal) uint64 { return 1 << (sig - 1) }

// raise sends sig to the calling thread with its default action, whatever it is now. It returns if
// that is not death: after a stop, or as PID 1.
func raise(sig syscall.Signal) {
	mask := sigmask(unix.SIG_BLOCK, bit(sig))
	syscall.Tgkill(syscall.Getpid(), syscall.Gettid(), sig)
	// From here on somebody else's TSTP may stop us, too. The CONT that ends that drops ours.
	was := siginfo.Set(sig, siginfo.Default)
	sigmask(unix.SIG_UNBLOCK, bit(sig))
	sigmask(unix.SIG_SETMASK, mask)
	siginfo.Set(sig, was)
}
