//go:build unix

package runner

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func mustOpenLog(t *testing.T, path string) io.Writer {
	t.Helper()
	w, err := OpenLog(path)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestOpenLog(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, link := filepath.Join(dir, "log"), filepath.Join(dir, "link")
	io.WriteString(mustOpenLog(t, path), "a\n")
	if err := os.Symlink("log", link); err != nil {
		t.Fatal(err)
	}
	io.WriteString(mustOpenLog(t, link), "b\n")
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v; want mode 0600", info.Mode(), err)
	}
	if text, _ := os.ReadFile(path); string(text) != "a\nb\n" {
		t.Errorf("got %q", text)
	}
	if _, err := OpenLog(filepath.Join(dir, "none", "log")); !os.IsNotExist(err) {
		t.Errorf("a folder that isn't there: %v", err)
	}
}

// Where others can write, the last name is not followed, wherever it points.
func TestOpenLogAmongOthers(t *testing.T) {
	t.Parallel()
	for _, mode := range []os.FileMode{0o777 | os.ModeSticky, 0o775} {
		dir := filepath.Join(t.TempDir(), "open")
		target, link := filepath.Join(dir, "target"), filepath.Join(dir, "link")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, link); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenLog(link); err == nil || !strings.Contains(err.Error(), "symbolic link") {
			t.Errorf("%v: %v", mode, err)
		}
		if _, err := os.Lstat(target); err == nil {
			t.Errorf("%v: the target was made", mode)
		}
		mustOpenLog(t, filepath.Join(dir, "log"))
	}
}

// A FIFO is opened at once. The first write waits for a reader, and a pipe whose reader has gone
// breaks: we don't read from it ourselves.
func TestOpenLogFIFO(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	w := mustOpenLog(t, path)
	written := make(chan error, 1)
	go func() { _, err := io.WriteString(w, "a\n"); written <- err }()
	select {
	case err := <-written:
		t.Fatalf("nobody reads, and the write returned %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	r, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	text := make([]byte, 2)
	if _, err := io.ReadFull(r, text); err != nil || string(text) != "a\n" {
		t.Errorf("got %q, %v", text, err)
	}
	r.Close()
	if _, err := io.WriteString(w, "b\n"); err == nil {
		t.Error("nobody reads any more, and the write succeeded")
	}
}
