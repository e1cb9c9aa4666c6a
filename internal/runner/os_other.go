//go:build unix && !linux

package runner

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// Harden does nothing here.
func Harden() {}

func noCore() { syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{}) }

func attributes(Command) *syscall.SysProcAttr { return nil }

func getsid() (int, error) { return unix.Getsid(0) }
