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

func attributes(c Command) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: deathSignal(c.OnWrapperDeath)}
}

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
