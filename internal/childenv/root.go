package childenv

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"
)

// How long a file may be in use on Windows, before it isn't replaced or removed. A removal has it
// twice, for the files and for their folder, and brs-exec a second for its end.
const (
	replacePatience = time.Second
	removePatience  = 400 * time.Millisecond
)

// All work in a private directory goes through an os.Root, never by a path: somebody may have put
// something else in its place.

// openOurs opens a directory that is ours and is no symlink.
func openOurs(path string) (*os.Root, error) {
	there, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !there.IsDir() || !ours(there) {
		return nil, fmt.Errorf("%s: not a directory of ours", path)
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	if err := sameDirectory(root, path, there); err != nil {
		root.Close()
		return nil, err
	}
	return root, nil
}

// sameDirectory checks that what is there at path is the directory that root has open.
func sameDirectory(root *os.Root, path string, there fs.FileInfo) error {
	opened, err := root.Stat(".")
	if err == nil && !os.SameFile(there, opened) {
		err = fmt.Errorf("%s: something else is there", path)
	}
	return err
}

// writeWhole makes one file appear whole: a client may open it at any moment, and half a token is
// a wrong one.
func writeWhole(root *os.Root, f file) error {
	draft := f.name + draftSuffix
	_ = root.Remove(draft) // of an earlier look that failed, or somebody's symlink
	err := writeNew(root, draft, f.content)
	if err == nil {
		err = patiently(replacePatience, func() error { return root.Rename(draft, f.name) })
	}
	if err != nil {
		_ = root.Remove(draft)
	}
	return err
}

func writeNew(root *os.Root, name string, content []byte) error {
	w, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = w.Write(content)
	if err == nil {
		err = w.Chmod(fileMode()) // whatever the umask is
	}
	return errors.Join(err, w.Close())
}

// removeFile removes a file of ours. What a child has put in its place stays: it may be the
// user's. One that another program has open is emptied, and its error is errInUse then.
func removeFile(root *os.Root, name string) error {
	info, err := root.Lstat(name)
	if err == nil && !info.Mode().IsRegular() {
		return errors.New("something else is in its place")
	}
	if err == nil {
		err = root.Remove(name)
	}
	if inUse(err) && root.WriteFile(name, nil, fileMode()) == nil {
		return errInUse
	}
	return unlessMissing(err)
}

// errInUse says of a file that it was emptied, and is still there.
var errInUse = errors.New("in use by another program")

// removeDir removes an empty directory by its path, if that is still the directory that root is. It
// closes root: Windows removes no directory that is open.
func removeDir(root *os.Root, path string) error {
	there, err := os.Lstat(path)
	if err == nil && sameDirectory(root, path, there) == nil {
		root.Close()
		err = patiently(removePatience, func() error { return rmdir(path) })
	}
	return unlessMissing(err)
}

// nameless takes the file's name out of an error: as root, the name is what protects the token.
func nameless(f file, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = fmt.Errorf("%s: %w", e.Op, e.Err)
	} else if e, ok := errors.AsType[*os.LinkError](err); ok {
		err = fmt.Errorf("%s: %w", e.Op, e.Err)
	}
	kind, _, _ := strings.Cut(f.name, "-")
	return fmt.Errorf("%s file: %w", kind, err)
}

// join is errors.Join on one line.
func join(a, b error) error {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return fmt.Errorf("%w; %w", a, b)
}

// unlessMissing takes "does not exist" for done.
func unlessMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
