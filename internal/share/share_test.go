//go:build unix

package share

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// served is a folder that is a share: all of its files are there.
func served(t *testing.T, dir string) *Folder {
	t.Helper()
	f, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	ln, err := f.Listen()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	for _, name := range []string{Token, Env, JSON} {
		if err := f.Put(name, []byte(name)); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

// Rights don't depend on the umask; afterwards the lock is left, and with a port the token.
func TestFolder(t *testing.T) {
	for _, umask := range []int{0, 0o022, 0o777} {
		old := unix.Umask(umask)
		t.Cleanup(func() { unix.Umask(old) })
		dir := filepath.Join(t.TempDir(), "aws")
		f := served(t, dir)
		unix.Umask(old)
		for name, want := range map[string]fs.FileMode{
			".": fs.ModeDir | 0o700, lockName: 0o600, Token: 0o600, Env: 0o600, Socket: fs.ModeSocket | 0o600,
		} {
			if info, err := os.Lstat(filepath.Join(dir, name)); err != nil || info.Mode() != want {
				t.Errorf("umask %03o: %s: %v, %v; want %v", umask, name, info.Mode(), err, want)
			}
		}
		keep := umask == 0
		if err := f.Withdraw(keep); err != nil {
			t.Error(err)
		}
		want := lockName
		if keep {
			want += " " + Token
		}
		if got := names(t, dir); got != want {
			t.Errorf("left: %s; want %s", got, want)
		}
	}
}

// A folder for a group: install -d -m 2750 -g GROUP DIR.
func TestGroup(t *testing.T) {
	dir := t.TempDir()
	for mode, open := range map[fs.FileMode]bool{
		fs.ModeSetgid | 0o750: true,
		fs.ModeSetgid | 0o755: false, 0o750: false, 0o755: false, fs.ModeSetgid | 0o700: false,
	} {
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		f := served(t, dir)
		want := map[string]fs.FileMode{Token: 0o600, Env: 0o600, Socket: fs.ModeSocket | 0o600, lockName: 0o600}
		if open {
			want = map[string]fs.FileMode{Token: 0o640, Env: 0o640, Socket: fs.ModeSocket | 0o660, lockName: 0o600}
		}
		for name, want := range want {
			if info, err := os.Lstat(filepath.Join(dir, name)); err != nil || info.Mode() != want {
				t.Errorf("%v: %s: %v, %v; want %v", mode, name, info.Mode(), err, want)
			}
		}
		if err := errors.Join(f.Withdraw(false), f.Close()); err != nil {
			t.Error(err)
		}
	}
}

// A killed run leaves all behind, and is taken over; a live one is not.
func TestTakeOver(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "aws")
	first := served(t, dir)
	_, err := Open(dir)
	if err == nil || !strings.HasSuffix(err.Error(), "by process "+strconv.Itoa(os.Getpid())) {
		t.Errorf("a second server: %v", err)
	}
	if err := first.Close(); err != nil { // as a killed process does
		t.Fatal(err)
	}
	if got, want := names(t, dir), "aws.sock credentials.json env lock token"; got != want {
		t.Fatalf("left: %s; want %s", got, want)
	}
	second, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if got, want := names(t, dir), "aws.sock lock token"; got != want {
		t.Errorf("before the first credentials: %s; want %s", got, want)
	}
	ln, err := second.Listen()
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if c, err := net.Dial("unix", second.Path(Socket)); err != nil {
		t.Error(err)
	} else {
		c.Close()
	}
}

// What is in the place of a file of ours, and is not ours, is an error, and stays: before the run,
// and when it came in the middle of it.
func TestForeign(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "precious")
	write := func(path string) error { return os.WriteFile(path, []byte("precious"), 0o600) }
	if err := write(outside); err != nil {
		t.Fatal(err)
	}
	put := map[string]func(path string) error{
		"symlink":   func(path string) error { return os.Symlink(outside, path) },
		"dangling":  func(path string) error { return os.Symlink("nothing", path) },
		"hard link": func(path string) error { return os.Link(outside, path) },
		"fifo":      func(path string) error { return unix.Mkfifo(path, 0o600) },
		"folder":    func(path string) error { return os.Mkdir(path, 0o700) },
		"file":      write,
	}
	for _, name := range []string{Token, Env, Socket, draft, lockName} {
		for kind, put := range put {
			for _, shared := range []bool{false, true} { // a share before
				if shared && (name == lockName || kind == "file" && name != Socket) {
					continue // a leftover
				}
				dir := filepath.Join(t.TempDir(), "aws")
				if err := os.Mkdir(dir, 0o700); err != nil {
					t.Fatal(err)
				}
				if shared {
					if err := write(filepath.Join(dir, lockName)); err != nil {
						t.Fatal(err)
					}
					if err := os.Truncate(filepath.Join(dir, lockName), 0); err != nil {
						t.Fatal(err)
					}
				}
				path := filepath.Join(dir, name)
				if err := put(path); err != nil {
					t.Fatal(err)
				}
				before, _ := os.Lstat(path)
				if err := start(dir); err == nil {
					t.Errorf("%s in the place of %s: no error", kind, name)
				}
				after, err := os.Lstat(path)
				if err != nil || !os.SameFile(before, after) || after.Mode() != before.Mode() {
					t.Errorf("%s in the place of %s: now %v, %v", kind, name, after, err)
				}
				if kind == "file" {
					if text, _ := os.ReadFile(path); string(text) != "precious" {
						t.Errorf("%s: %q", name, text)
					}
				}
			}
		}
	}
	if text, err := os.ReadFile(outside); err != nil || string(text) != "precious" {
		t.Errorf("%q, %v", text, err)
	}
}

// start is what a run does until its credentials are there, and its end.
func start(dir string) error {
	f, err := Open(dir)
	if err != nil {
		return err
	}
	f.LastToken()
	ln, err := f.Listen()
	if err == nil {
		defer ln.Close()
		err = errors.Join(f.Put(Token, nil), f.Put(Env, nil))
	}
	return errors.Join(err, f.Withdraw(false), f.Close())
}

// What took the place of a file during the run stays at the end.
func TestReplacedDuringTheRun(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "aws")
	f := served(t, dir)
	for _, name := range []string{Token, Env, Socket} {
		path := filepath.Join(dir, name)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("/etc/hostname", path); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Put(Env, nil); err == nil {
		t.Error("a symlink was replaced")
	}
	if err := f.Withdraw(false); err != nil {
		t.Error(err)
	}
	if got, want := names(t, dir), "aws.sock env lock token"; got != want {
		t.Errorf("left: %s; want %s", got, want)
	}
}

func TestLastToken(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "aws")
	f := served(t, dir)
	const good = "5Yd2nq0v1u3s5w7y9A_C-E0G2I4K6M8O0Q2S4U6W8Y0"
	for content, want := range map[string]string{good: good, good + "\n": "", "": "", "short": ""} {
		if err := f.Put(Token, []byte(content)); err != nil {
			t.Fatal(err)
		}
		if got := f.LastToken(); got != want {
			t.Errorf("%q: got %q", content, got)
		}
	}
	path := f.Path(Token)
	if err := errors.Join(f.Put(Token, []byte(good)), os.Chmod(path, 0o640)); err != nil {
		t.Fatal(err)
	}
	if got := f.LastToken(); got != "" {
		t.Error("a token that others may read is used again")
	}
	if err := errors.Join(os.Chmod(path, 0o600), os.Link(path, path+"2")); err != nil {
		t.Fatal(err)
	}
	if got := f.LastToken(); got != "" {
		t.Error("a token with a second name is used again")
	}
}

// A cleaner that goes by age finds nothing old, and what a symlink leads to is not touched.
func TestTouch(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "aws")
	f := served(t, dir)
	old := time.Now().Add(-100 * time.Hour).Truncate(time.Second)
	for _, name := range []string{".", lockName, Token, Socket} {
		if err := os.Chtimes(filepath.Join(dir, name), old, old); err != nil {
			t.Fatal(err)
		}
	}
	other := filepath.Join(t.TempDir(), "other")
	err := errors.Join(os.WriteFile(other, nil, 0o600), os.Chtimes(other, old, old),
		os.Remove(f.Path(Env)), os.Symlink(other, f.Path(Env)))
	if err != nil {
		t.Fatal(err)
	}
	f.touch()
	for _, name := range []string{".", lockName, Token, Socket} {
		if info, err := os.Lstat(filepath.Join(dir, name)); err != nil || time.Since(info.ModTime()) > time.Hour {
			t.Errorf("%s: %v, %v", name, info.ModTime(), err)
		}
	}
	if info, err := os.Stat(other); err != nil || !info.ModTime().Equal(old) {
		t.Errorf("what a symlink leads to: %v, %v", info.ModTime(), err)
	}
}
