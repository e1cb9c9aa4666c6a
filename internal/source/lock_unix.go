//go:build unix

package source

import (
	"os"

	"golang.org/x/sys/unix"
)

// tryLock takes the lock on f, which ends with it. held: another process has it.
func tryLock(f *os.File) (locked, held bool) {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	return err == nil, err == unix.EWOULDBLOCK || err == unix.EINTR
}
