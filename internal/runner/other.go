//go:build unix && !linux

package runner

import "syscall"

// Harden does nothing here.
func Harden() {}

func dup(from, to int) error {
	err := syscall.Dup2(from, to)
	syscall.CloseOnExec(to)
	return err
}

// Deaths are what OnWrapperDeath can be here: nobody tells a command that its parent has died.
var Deaths = []string{"none"}

func deathSignal(string) syscall.Signal           { return 0 }
func setDeathSignal(*syscall.SysProcAttr, string) {}

// There is no PID 1 case here: the command is the only child that is waited for.
const waitOptions = 0

func waitFor(pid int) int { return pid }

// Reap has nothing to do here: nobody's orphans come to us.
func Reap() {}
