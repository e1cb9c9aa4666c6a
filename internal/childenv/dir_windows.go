package childenv

import (
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/windows"
)

func systemPlaces(e environ) []string { return []string{e.get("TEMP"), e.get("TMP")} }

// trusted asks nothing: %TEMP% is in the user's profile, which no other user can write to.
func trusted(string) error { return nil }

func reachable(string) bool { return true }

func ours(fs.FileInfo) bool { return true }

func dirMode() fs.FileMode { return 0o700 }

// fileMode is writable: a read-only file could not be removed.
func fileMode() fs.FileMode { return 0o600 }

func writable(int) error { return nil }

// tryLock opens a file that nobody else can open meanwhile, and that Windows deletes when brs-exec
// ends, however it ends. Windows has no lock on a directory.
func tryLock(root *os.Root) *os.File {
	path := filepath.Join(root.Name(), "lock")
	p, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return nil
	}
	h, err := windows.CreateFile(p, windows.GENERIC_READ|windows.DELETE, 0, nil, windows.OPEN_ALWAYS,
		windows.FILE_ATTRIBUTE_HIDDEN|windows.FILE_FLAG_DELETE_ON_CLOSE, 0)
	if err != nil {
		return nil
	}
	return os.NewFile(uintptr(h), path)
}

func rmdir(path string) error {
	p, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return err
	}
	if err := windows.RemoveDirectory(p); err != nil {
		return &fs.PathError{Op: "rmdir", Path: path, Err: err}
	}
	return nil
}
