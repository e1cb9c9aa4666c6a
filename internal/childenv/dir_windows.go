package childenv

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

// placeVariable is what a user sets to say where temporary files go.
const placeVariable = "TEMP"

// systemPlaces are what the variables name, and what GetTempPath2 has without them.
func systemPlaces(e environ) []string { return []string{e.get("TMP"), e.get("TEMP"), os.TempDir()} }

// makeFolder makes a directory that this user and the system alone can open, whatever TEMP's rights
// are; what is made in it inherits that.
func makeFolder(path string) error {
	attributes, err := onlyOurs()
	if err != nil {
		return &fs.PathError{Op: "mkdir", Path: path, Err: err}
	}
	p, err := windows.UTF16PtrFromString(path)
	if err == nil {
		err = windows.CreateDirectory(p, attributes)
	}
	if err != nil {
		return &fs.PathError{Op: "mkdir", Path: path, Err: err}
	}
	return nil
}

// onlyOurs is a protected DACL: full control for SYSTEM (SY) and this user, also of what is made
// inside (OICI). https://learn.microsoft.com/en-us/windows/win32/secauthz/ace-strings
func onlyOurs() (*windows.SecurityAttributes, error) {
	user, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return nil, err
	}
	sd, err := windows.SecurityDescriptorFromString("D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;" + user.User.Sid.String() + ")")
	if err != nil {
		return nil, err
	}
	a := &windows.SecurityAttributes{SecurityDescriptor: sd}
	a.Length = uint32(unsafe.Sizeof(*a))
	return a, nil
}

// patiently does what fails while somebody has the file open: a client that reads its token, a
// virus scanner. The pauses between its tries are that long in all.
func patiently(long time.Duration, do func() error) (err error) {
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		if err = do(); !inUse(err) || long <= 0 {
			return err
		}
		time.Sleep(pause)
		long -= pause
	}
}

// inUse says of an error that another process has the file, or one in the folder, open.
func inUse(err error) bool {
	return slices.ContainsFunc([]error{
		errInUse, windows.ERROR_SHARING_VIOLATION, windows.ERROR_ACCESS_DENIED, windows.ERROR_DIR_NOT_EMPTY,
	}, func(is error) bool { return errors.Is(err, is) })
}

// trusted asks nothing: %TEMP% is in the user's profile, which no other user can write to.
func trusted(string) error { return nil }

func reachable(string) bool { return true }

func ours(fs.FileInfo) bool { return true }

func dirMode() fs.FileMode { return 0o700 }

// fileMode is writable: a read-only file could not be removed.
func fileMode() fs.FileMode { return 0o600 }

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
