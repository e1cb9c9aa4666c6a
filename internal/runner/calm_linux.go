//go:build linux && (amd64 || arm64)

package runner

import (
	"runtime"
	"syscall"
)

// calm keeps the terminal from stopping us, and with us the command, for what the
// calling goroutine reads (EIO) or writes (it appears) from the background.
func calm() (undo func()) {
	runtime.LockOSThread()
	mask := sigprocmask(sigBlock, bit(syscall.SIGTTIN)|bit(syscall.SIGTTOU))
	return func() {
		sigprocmask(sigSetmask, mask)
		runtime.UnlockOSThread()
	}
}
