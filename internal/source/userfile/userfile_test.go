//go:build unix

package userfile

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What has no end, what nobody writes to and what is too large each end soon, in one line.
func TestRead(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	late := in("late")
	err := errors.Join(
		os.WriteFile(in("token"), []byte("token"), 0o600),
		os.WriteFile(in("limit"), make([]byte, Limit), 0o600),
		os.WriteFile(in("image"), nil, 0o600), os.Truncate(in("image"), 500<<20),
		syscall.Mkfifo(in("fifo"), 0o600), syscall.Mkfifo(late, 0o600))
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		time.Sleep(50 * time.Millisecond)
		os.WriteFile(late, []byte("in time"), 0o600)
	}()
	for _, c := range []struct {
		path string
		size int
		want string // in the error
	}{
		{in("token"), 5, ""},
		{in("limit"), Limit, ""},
		{late, 7, ""},
		{in("image"), 0, "larger than 1 MiB"},
		{"/dev/zero", 0, "larger than 1 MiB"},
		{"/dev/null", 0, ""},
		{in("nosuch"), 0, "no such file"},
		{dir, 0, "is a directory"},
		{in("fifo"), 0, "nobody wrote to it"},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		data, err := Read(ctx, c.path)
		cancel()
		switch {
		case c.want == "" && (err != nil || len(data) != c.size):
			t.Errorf("%s: got %d bytes, %v; want %d", c.path, len(data), err, c.size)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: got %v; want %q", c.path, err, c.want)
		}
		if err := Check(c.path); c.path != late && c.path != "/dev/null" && (err != nil) != (c.want != "") {
			t.Errorf("Check(%s): %v", c.path, err)
		}
	}
}
