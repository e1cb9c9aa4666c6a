package runner

import (
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Harden makes the process's memory and environment unreadable for others of the same user, first
// of all the command: the base credentials are there. Call it first.
func Harden() { unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) }

func dup(from, to int) error { return unix.Dup3(from, to, unix.O_CLOEXEC) }

// Deaths are what OnWrapperDeath can be here.
var Deaths = []string{"term", "hup", "kill", "none"}

func setDeathSignal(a *syscall.SysProcAttr, name string) { a.Pdeathsig = deathSignal(name) }

func deathSignal(name string) syscall.Signal { return unix.SignalNum("SIG" + strings.ToUpper(name)) }
