//go:build unix

package childenv

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// placeVariable is what a user sets to say where temporary files go.
const placeVariable = "TMPDIR"

func makeFolder(path string) error { return os.Mkdir(path, 0o700) }

// patiently does it once: nobody can keep us from it here.
func patiently(_ time.Duration, do func() error) error { return do() }

// inUse says of an error that another process has the file open: here that is none.
func inUse(error) bool { return false }

func systemPlaces(environ) []string { return []string{"/tmp", "/var/tmp", "/dev/shm"} }

// trusted says whether nobody but us and root can put something in the place of our directory. It
// judges every folder on the way from the root: whoever can rename one of them can swap all below
// it. place has no symlinks in it (resolve), and who could put one there since is found here.
func trusted(place string) error {
	for path := place; ; path = filepath.Dir(path) {
		if err := trustedFolder(path); err != nil {
			return err
		}
		if path == filepath.Dir(path) {
			return nil
		}
	}
}

// trustedFolder asks that the owner is one of us, and that where others can write, the sticky bit
// keeps them from renaming what is not theirs.
func trustedFolder(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	owner := info.Sys().(*syscall.Stat_t).Uid
	switch {
	case !info.IsDir():
		return fmt.Errorf("%s: not a directory", path)
	case owner != 0 && int(owner) != os.Geteuid():
		return fmt.Errorf("%s: belongs to user %d", path, owner)
	case info.Mode().Perm()&0o022 != 0 && info.Mode()&fs.ModeSticky == 0:
		return fmt.Errorf("%s: others can write there, and it is not sticky", path)
	}
	return nil
}

// reachable says whether a child can follow the paths into place, also one of root's that drops to
// another user: that one needs search permission all the way, which pam_tmpdir's /tmp/user/0
// lacks.
func reachable(place string) bool {
	for os.Geteuid() == 0 {
		info, err := os.Lstat(place)
		if err == nil && info.Mode().Perm()&0o001 == 0 {
			return false
		}
		up := filepath.Dir(place)
		if up == place {
			break
		}
		place = up
	}
	return true
}

func ours(info fs.FileInfo) bool {
	return int(info.Sys().(*syscall.Stat_t).Uid) == os.Geteuid()
}

// dirMode lets a child of root's that drops to another user (gosu, su-exec) reach the paths that
// it was given. It can't list the directory, and nobody guesses the names.
func dirMode() fs.FileMode {
	if os.Geteuid() == 0 {
		return 0o711
	}
	return 0o700
}

// fileMode has no write bit: "aws configure" in the child fails aloud (though not as root).
func fileMode() fs.FileMode {
	if os.Geteuid() == 0 {
		return 0o444
	}
	return 0o400
}

// tryLock locks the directory, or returns nil. The lock goes with the file, also when brs-exec is
// killed; Go opens files close-on-exec, so that a child that lives on does not hold it.
func tryLock(root *os.Root) *os.File {
	dir, err := root.Open(".")
	if err != nil {
		return nil
	}
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		dir.Close()
		return nil
	}
	return dir
}

// rmdir is rmdir(2): os.Remove would unlink a file or a symlink that had taken the directory's
// place.
func rmdir(path string) error {
	if err := unix.Rmdir(path); err != nil {
		return &fs.PathError{Op: "rmdir", Path: path, Err: err}
	}
	return nil
}
