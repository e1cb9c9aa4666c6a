//go:build unix

package runner

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"brs-exec/internal/runner/pty"
)

// Stderr is where a wrapper says something while its command runs. What is written there doesn't
// stop a job in the background (stty tostop) and doesn't end the wrapper when nobody reads it any
// more. It waits for a reader that stands still (Ctrl-S, a pager), since whether a descriptor
// blocks is everybody's matter who has it: let a goroutine write that nobody waits for.
var Stderr io.Writer = messages(2)

// messages is a descriptor for them.
type messages int

func (fd messages) Write(p []byte) (int, error) {
	defer pty.NeverStopped()()
	n := pty.WriteAll(int(fd), p)
	if n < len(p) {
		return n, os.ErrClosed
	}
	return n, nil
}

// OpenLog opens a file for messages: they are appended, and a new file is its owner's alone.
// Opening never waits: a FIFO that nobody reads yet is opened by the first write. Writing may wait,
// as on Stderr. Nothing closes the file but the end of the process.
func OpenLog(path string) (io.Writer, error) {
	flags := unix.O_WRONLY | unix.O_APPEND | unix.O_CLOEXEC | unix.O_NOCTTY
	trusted := onlyOursIn(filepath.Dir(path))
	if !trusted {
		flags |= unix.O_NOFOLLOW
	}
	fd, err := openAnyway(path, flags|unix.O_CREAT|unix.O_NONBLOCK)
	switch {
	case err == unix.ENXIO && isFIFO(path):
		return &unread{path: path, flags: flags}, nil
	case err == unix.ELOOP && !trusted:
		err = errors.New("a symbolic link in a folder that others can write to is not followed")
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return messages(fd), nil
}

// ReopenLog has what OpenLog opened go to the file that is at the path now: its name may have been
// given to another one since (logrotate). Whoever is writing is not disturbed. A FIFO stays.
func ReopenLog(w io.Writer, path string) error {
	old, isFile := w.(messages)
	if !isFile {
		return nil
	}
	again, err := OpenLog(path)
	if err != nil {
		return err
	}
	if fd, ok := again.(messages); ok {
		err = dup(int(fd), int(old))
		unix.Close(int(fd))
	}
	return err
}

// hasTerminal says whether there is a controlling terminal, whose end is a HUP.
func hasTerminal() bool {
	fd, err := openAnyway("/dev/tty", unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC)
	if err == nil {
		unix.Close(fd)
	}
	return err == nil
}

// onlyOursIn says that nobody but us and root can put something into the folder. One that isn't
// there gets another error soon.
func onlyOursIn(dir string) bool {
	info, err := os.Stat(dir)
	if err != nil {
		return true
	}
	owner := int(info.Sys().(*syscall.Stat_t).Uid)
	return info.Mode()&0o022 == 0 && (owner == 0 || owner == os.Geteuid())
}

func isFIFO(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode()&fs.ModeNamedPipe != 0
}

func openAnyway(path string, flags int) (fd int, err error) {
	err = unix.EINTR
	for err == unix.EINTR {
		fd, err = unix.Open(path, flags, 0o600)
	}
	return fd, err
}

// unread is a FIFO without a reader. The first write waits for one: were it opened for reading as
// well, as Linux allows, a pipe that the command has, too, would never break for it.
type unread struct {
	path  string
	flags int
	fd    messages // 0: not open yet
}

func (u *unread) Write(p []byte) (int, error) {
	if u.fd == 0 {
		fd, err := openAnyway(u.path, u.flags)
		if err != nil {
			return 0, err
		}
		u.fd = messages(fd)
	}
	return u.fd.Write(p)
}
