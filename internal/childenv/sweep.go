package childenv

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// sweep removes the private directories that killed runs left in place. By their lock, never by a process id: /tmp
// may be shared with other process namespaces.
func sweep(ctx context.Context, place string) {
	dir, err := os.Open(place)
	if err != nil {
		return
	}
	defer dir.Close()
	for ctx.Err() == nil {
		names, err := dir.Readdirnames(256)
		for _, name := range names {
			if strings.HasPrefix(name, prefix) && ctx.Err() == nil {
				sweepOne(filepath.Join(place, name))
			}
		}
		if err == io.EOF || err != nil {
			return
		}
	}
}

// sweepOne removes a leftover: a real directory, ours, older than a minute, whose lock can be had. What is in it
// besides our files keeps it alive.
func sweepOne(path string) {
	root, err := openOurs(path)
	if err != nil {
		return
	}
	defer root.Close()
	info, err := root.Stat(".")
	if err != nil || time.Since(info.ModTime()) < tooYoung {
		return
	}
	lock := tryLock(root)
	if lock == nil {
		return
	}
	err = removeLeftovers(root)
	lock.Close()
	if err == nil {
		_ = removeDir(root, path)
	}
}

func removeLeftovers(root *os.Root) error {
	dir, err := root.Open(".")
	if err != nil {
		return err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	for _, name := range names {
		if slices.ContainsFunc(filePrefixes, func(p string) bool { return strings.HasPrefix(name, p) }) {
			_ = root.Remove(name)
		}
	}
	return err
}
