//go:build linux && (amd64 || arm64)

package runner

import (
	"os"
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

// Stderr is where a wrapper says something while its command runs: what is
// written there neither stops a job in the background (stty tostop) nor ends the
// wrapper when nobody reads it any more.
var Stderr stderr

type stderr struct{}

func (stderr) Write(p []byte) (int, error) {
	defer calm()()
	if !writeAll(2, p) {
		return 0, os.ErrClosed
	}
	return len(p), nil
}
