package runner

import (
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// As PID 1, as a subreaper by inheritance, or with children from before our exec, the wrapper has
// processes to collect that nobody in this program has started. wait4(-1) does it, but would take
// the children of os/exec, too. So it is told __WNOTHREAD: a child belongs to the thread that
// forked it, and no other goroutine runs on Run's thread. Orphans, and children from before our
// exec, belong to the main thread. Where there may be any, main's goroutine stays there, and Run
// with it. Elsewhere that would cost a thread switch at each step of main.

const waitOptions = unix.WNOTHREAD

func waitFor(int) int { return -1 }

func init() {
	if reaps() {
		runtime.LockOSThread() // here, before main: no later call could choose the main thread
	}
}

// reaps reports whether there may be children that nobody in this program has started.
func reaps() bool {
	noChildren := unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	return os.Getpid() == 1 || subreaper() || noChildren == nil
}

// subreaper reports whether we have inherited PR_SET_CHILD_SUBREAPER, which survives an exec.
func subreaper() bool {
	var is int32
	unix.Prctl(unix.PR_GET_CHILD_SUBREAPER, uintptr(unsafe.Pointer(&is)), 0, 0, 0)
	return is != 0
}

// Reap collects the orphans that have ended since Run returned. It is for the goroutine that called
// Run.
func Reap() {
	for {
		pid, err := unix.Wait4(-1, nil, unix.WNOHANG|unix.WNOTHREAD, nil)
		if err != unix.EINTR && (err != nil || pid <= 0) {
			return
		}
	}
}
