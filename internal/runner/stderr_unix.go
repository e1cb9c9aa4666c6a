//go:build unix

package runner

import (
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"brs-exec/internal/runner/pty"
)

// Stderr is where a wrapper says something while its command runs. What is written there doesn't
// stop a job in the background (stty tostop), doesn't end the wrapper when nobody reads it any
// more, and doesn't hold it up when the reader stands still (Ctrl-S, a pager): the message is lost
// then.
var Stderr stderr

type stderr struct{}

// stderrPatience is how long we wait for a reader that stands still, once.
const stderrPatience = 250 * time.Millisecond

// stuck is set from a message that got no room to the next one that gets it.
var stuck atomic.Bool

func (stderr) Write(p []byte) (int, error) {
	defer pty.NeverStopped()()
	const most = 4096 // PIPE_BUF: what poll(2) has found room for
	for n := 0; n < len(p); n += most {
		if !roomOn(2) {
			return n, os.ErrDeadlineExceeded
		}
		if !pty.WriteAll(2, p[n:min(n+most, len(p))]) {
			return n, os.ErrClosed
		}
	}
	return len(p), nil
}

func roomOn(fd int) bool {
	patience := stderrPatience
	if stuck.Load() {
		patience = 0
	}
	n, err := 0, error(unix.EINTR)
	for err == unix.EINTR {
		n, err = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, int(patience.Milliseconds()))
	}
	stuck.Store(n == 0)
	return n != 0 // on an error, too: the write has it
}
