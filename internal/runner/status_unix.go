//go:build unix

package runner

import (
	"os"
	"runtime"
	"syscall"
)

// Exit ends the process as s says: with the same code, or by the same signal, so that the parent
// sees WIFSIGNALED (a shell's loop goes on after a plain exit 130, and stops after a death by INT).
// The one core file, if any, is the command's: Harden keeps the kernel from writing ours, and where
// it does nothing, raise sends no signal that leaves one. As PID 1, which no signal ends, the code
// is 128 and the signal.
func (s Status) Exit() {
	if s < 0 {
		runtime.LockOSThread()
		raise(syscall.Signal(-s))
	}
	os.Exit(s.Code())
}
