package childenv

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// sweep removes the private directories that killed runs left in place. By their lock, never by a
// process id: /tmp may be shared with other process namespaces.
func sweep(ctx context.Context, place string) {
	dir, err := os.Open(place)
	if err != nil {
		return
	}
	defer dir.Close()
	for ctx.Err() == nil {
		names, err := dir.Readdirnames(256)
		for _, name := range names {
			if unguessable(name, dirPrefix) && ctx.Err() == nil {
				sweepOne(filepath.Join(place, name))
			}
		}
		if err != nil { // the end of the list, too
			return
		}
	}
}

// sweepOne removes a leftover: a real directory, ours, older than a minute, that holds nothing but
// what we make and whose lock can be had.
func sweepOne(path string) {
	root, err := openOurs(path)
	if err != nil {
		return
	}
	left := Dir{path: path, root: root}
	defer left.close()
	info, err := root.Stat(".")
	if err != nil || time.Since(info.ModTime()) < tooYoung {
		return
	}
	left.files, err = leftovers(root) // before the lock: on Windows that is a file inside
	if err != nil {
		return
	}
	if left.lock = tryLock(root); left.lock != nil {
		_ = left.remove()
	}
}

// leftovers are the files in root, if each is one of ours. If one isn't, all of them are taken for
// the user's.
func leftovers(root *os.Root) (files []file, err error) {
	dir, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	for _, name := range names {
		info, err := root.Lstat(name)
		if err != nil {
			return nil, err
		}
		if !fileName(name) || !info.Mode().IsRegular() || !ours(info) {
			return nil, errors.New("not a leftover")
		}
		files = append(files, file{name: name})
	}
	return files, err
}

// fileName tells a name that [NewDir] or [Dir.Keep] gives a file.
func fileName(name string) bool {
	name = strings.TrimSuffix(name, draftSuffix)
	return slices.ContainsFunc(filePrefixes[:], func(p string) bool { return unguessable(name, p) })
}

// unguessable tells prefix + rand.Text() from what a user may call a thing.
func unguessable(name, prefix string) bool {
	text, ok := strings.CutPrefix(name, prefix)
	return ok && len(text) == 26 && strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == ""
}
