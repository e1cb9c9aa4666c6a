package pty

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// NeverStopped keeps the terminal from stopping us, and with us the command, for what the calling
// goroutine reads (EIO) or writes (it appears) from the background. The return value undoes it.
func NeverStopped() (undo func()) {
	runtime.LockOSThread()
	var stops, was unix.Sigset_t
	const bits = 8 * unsafe.Sizeof(stops.Val[0])
	for _, sig := range []uintptr{uintptr(unix.SIGTTIN), uintptr(unix.SIGTTOU)} {
		stops.Val[(sig-1)/bits] |= 1 << ((sig - 1) % bits)
	}
	unix.PthreadSigmask(unix.SIG_BLOCK, &stops, &was)
	return func() {
		unix.PthreadSigmask(unix.SIG_SETMASK, &was, nil)
		runtime.UnlockOSThread()
	}
}
