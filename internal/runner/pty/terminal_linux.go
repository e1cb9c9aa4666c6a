package pty

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// NeverStopped lets the calling goroutine use the terminal from the background: a read fails (EIO),
// a write appears. Otherwise the terminal would stop us, and the command with us. undo ends that.
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

func getTermios(fd int) (*unix.Termios, error) { return unix.IoctlGetTermios(fd, unix.TCGETS) }

func setTermios(fd int, t *unix.Termios) { unix.IoctlSetTermios(fd, unix.TCSETSW, t) }
