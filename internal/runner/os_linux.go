package runner

import (
	"syscall"
)

const prSetDumpable = 4

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
// no other goroutine runs on Run's thread. The kernel gives orphans to the main
// thread, which is Run's if main's goroutine was locked to it by an init function.
const waitOptions = 0x20000000 // __WNOTHREAD

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
