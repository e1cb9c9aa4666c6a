//go:build unix

package share

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"brs-exec/internal/hint"
)

// Supported says whether this system has shares.
const Supported = true

// longestSocket is what sockaddr_un takes: 107 bytes on Linux, 103 on macOS, and a zero byte.
const longestSocket = len(syscall.RawSockaddrUnix{}.Path) - 1

// openFolder makes the folder if there is none, and says whether it is a group's.
func openFolder(path string) (root *os.Root, group bool, err error) {
	made := false
	switch err := os.Mkdir(path, 0o700); {
	case err == nil:
		made = true
	case !errors.Is(err, fs.ErrExist):
		return nil, false, hint.Errorf("make the folder above it, or choose another path", "%w", err)
	}
	there, err := os.Lstat(path)
	if err != nil {
		return nil, false, err
	}
	if err := ownFolder(path, there); err != nil {
		return nil, false, err
	}
	if root, err = os.OpenRoot(path); err != nil {
		return nil, false, err
	}
	opened, err := root.Stat(".")
	if err == nil && !os.SameFile(there, opened) {
		err = fmt.Errorf("%s: something else is there now", path)
	}
	if err == nil && made {
		err = root.Chmod(".", 0o700) // whatever the umask is, and set-group-ID of the folder above
	}
	if err != nil {
		return nil, false, errors.Join(err, root.Close())
	}
	perm := there.Mode().Perm()
	return root, !made && there.Mode()&fs.ModeSetgid != 0 && perm&0o057 == 0o050, nil
}

// ownFolder refuses a folder in which others can put something in the place of ours.
func ownFolder(path string, info fs.FileInfo) error {
	owner := info.Sys().(*syscall.Stat_t).Uid
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		return hint.Errorf("give the folder that it leads to", "%s is a symlink", path)
	case !info.IsDir():
		return hint.Errorf("choose another path", "%s is no folder", path)
	case int(owner) != os.Geteuid():
		return hint.Errorf("choose another path: brs-exec makes a folder of your own", "%s belongs to user %d", path, owner)
	case info.Mode().Perm()&0o022 != 0:
		return hint.Errorf("chmod go-w "+path, "others can write to %s", path)
	}
	return nil
}

// oursAlone says whether a file is ours and has no second name.
func oursAlone(info fs.FileInfo) bool {
	stat := info.Sys().(*syscall.Stat_t)
	return int(stat.Uid) == os.Geteuid() && stat.Nlink == 1
}

// takeLock makes the folder this process's, or names the process whose it is.
func (f *Folder) takeLock() error {
	_, err := f.root.Lstat(lockName)
	f.wasHere = err == nil
	const flags = os.O_RDWR | os.O_CREATE | unix.O_NOFOLLOW | unix.O_NONBLOCK // a FIFO must not hold us up
	if f.lock, err = f.root.OpenFile(lockName, flags, 0o600); err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	pid, err := f.readLock()
	if err != nil {
		return hint.Errorf("look what it is; move it away, or choose another folder", "%s: %w", f.Path(lockName), err)
	}
	err = unix.Flock(int(f.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	switch {
	case errors.Is(err, unix.EWOULDBLOCK):
		return servedAlready(f.path, pid)
	case err != nil:
		return fmt.Errorf("lock %s: %w", f.Path(lockName), err)
	}
	err = f.lock.Chmod(0o600)
	if err == nil {
		err = f.lock.Truncate(0)
	}
	if err == nil {
		_, err = f.lock.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	return err
}

func servedAlready(path, pid string) error {
	return hint.Errorf("end it, or choose another folder", "%s is served already, by process %s", path, pid)
}

// unlocked refuses a folder that another process serves from. A lock file that can't be opened is
// Open's to tell of.
func unlocked(path string) error {
	lock, err := os.OpenFile(filepath.Join(path, lockName), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil
	}
	defer lock.Close()
	if !errors.Is(unix.Flock(int(lock.Fd()), unix.LOCK_SH|unix.LOCK_NB), unix.EWOULDBLOCK) {
		return nil
	}
	pid, err := io.ReadAll(io.LimitReader(lock, 20))
	if err != nil {
		return err
	}
	return servedAlready(path, strings.TrimSpace(string(pid)))
}

// readLock returns the process id in the lock file, which may be empty, and refuses a file that is
// not such a one.
func (f *Folder) readLock() (pid string, err error) {
	opened, err := f.lock.Stat()
	if err != nil {
		return "", err
	}
	there, err := f.root.Lstat(lockName)
	if err != nil || !os.SameFile(opened, there) || !opened.Mode().IsRegular() || !oursAlone(opened) {
		return "", errors.New("is no lock file of brs-exec's")
	}
	text, err := io.ReadAll(io.LimitReader(f.lock, 32))
	pid = strings.TrimSuffix(string(text), "\n")
	if err != nil || strings.Trim(pid, "0123456789") != "" {
		return "", errors.New("is no lock file of brs-exec's")
	}
	return pid, nil
}

// Listen opens the socket, in place of one that is left over.
func (f *Folder) Listen() (*net.UnixListener, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.free(Socket, func(m fs.FileMode) bool { return m.Type() == fs.ModeSocket }); err != nil {
		return nil, err
	}
	if err := f.root.Remove(Socket); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	lc := net.ListenConfig{Control: onlyOurs}
	nl, err := lc.Listen(context.Background(), "unix", f.Path(Socket))
	if err != nil {
		return nil, hint.Errorf("choose a folder on a file system of this machine: not all others have sockets", "%w", err)
	}
	ln := nl.(*net.UnixListener)
	ln.SetUnlinkOnClose(false) // by its path, whatever is there
	info, err := f.root.Lstat(Socket)
	if err == nil && (info.Mode().Type() != fs.ModeSocket || !oursAlone(info)) {
		err = fmt.Errorf("%s: something else is there now", f.Path(Socket))
	}
	if err == nil {
		f.made[Socket] = made{info: info}
		err = f.root.Chmod(Socket, f.socketMode()) // nobody else can write to the folder: it is ours still
	}
	if err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	return ln, nil
}

// Adopt checks a socket that the service manager opened: it must be the folder's, and open to
// nobody to whom one of ours would not be. It is not removed at the end.
func (f *Folder) Adopt(ln *net.UnixListener) error {
	if name := ln.Addr().String(); name != f.Path(Socket) {
		return hint.Errorf("ListenStream="+f.Path(Socket), "the inherited socket is %s, and not the folder's", name)
	}
	info, err := f.root.Lstat(Socket)
	switch {
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket || !oursAlone(info):
		return hint.Errorf("SocketUser= the user of the service", "%s is not ours", f.Path(Socket))
	case info.Mode().Perm()&^f.socketMode() != 0:
		return hint.Errorf(fmt.Sprintf("SocketMode=%04o", f.socketMode()), "others may open %s", f.Path(Socket))
	}
	return nil
}

func (f *Folder) socketMode() fs.FileMode {
	if f.group {
		return 0o660
	}
	return 0o600
}

// onlyOurs gives a socket its mode before bind(2) gives it a name. What Linux takes over from the
// descriptor, less the umask, others leave to the umask alone, and fchmod(2) may fail there: the
// folder keeps strangers out.
func onlyOurs(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) { _ = unix.Fchmod(int(fd), 0o600) })
}
