package runner

import (
	"os"
	"runtime"
	"syscall"
	"unsafe"
)

const (
	prSetDumpable       = 4
	prSetChildSubreaper = 36
	prGetChildSubreaper = 37
)

// Harden makes the process's memory and environment unreadable for others of the
// same user, first of all the command: the base credentials are there. Call it
// first.
func Harden() { syscall.RawSyscall(syscall.SYS_PRCTL, prSetDumpable, 0, 0) }

// noCore keeps our death from leaving a second core: the limit is for files,
// the attribute for a core_pattern that is a pipe.
func noCore() {
	syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{})
	Harden()
}

func setDeathSignal(a *syscall.SysProcAttr, name string) { a.Pdeathsig = deathSignal(name) }

// waitOptions keeps wait4(-1) from taking the children of others, those of os/exec
// in the first place: those are the children of the threads that forked them, and
// no other goroutine runs on Run's thread. Orphans and children from before our
// exec are the main thread's; see init.
const waitOptions = 0x20000000 // __WNOTHREAD

// Where somebody's orphans come to us, main's goroutine stays on the main thread,
// and Run with it. Elsewhere that would cost a thread switch at each step of main.
func init() {
	if reaps() {
		runtime.LockOSThread()
	}
}

// reaps reports whether we are PID 1, a subreaper by inheritance (the attribute
// survives an exec), or have had children before our exec.
func reaps() bool {
	_, _, noChildren := syscall.RawSyscall6(syscall.SYS_WAITID, 0, 0, 0, syscall.WEXITED|syscall.WNOHANG|syscall.WNOWAIT, 0, 0)
	return os.Getpid() == 1 || subreaper() || noChildren == 0
}

// subreaper reports whether we have inherited PR_SET_CHILD_SUBREAPER.
func subreaper() bool {
	var is int32
	syscall.RawSyscall(syscall.SYS_PRCTL, prGetChildSubreaper, uintptr(unsafe.Pointer(&is)), 0)
	return is != 0
}

func waitFor(int) int { return -1 }

func deathSignal(name string) syscall.Signal {
	switch name {
	case "none":
		return 0
	case "hup":
		return syscall.SIGHUP
	case "kill":
		return syscall.SIGKILL
	}
	return syscall.SIGTERM
}

func getsid() (int, error) {
	sid, _, e := syscall.RawSyscall(syscall.SYS_GETSID, 0, 0, 0)
	if e != 0 {
		return 0, e
	}
	return int(sid), nil
}
