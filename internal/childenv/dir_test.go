//go:build unix

package childenv

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"brs-exec/need"
)

const nobody = 65534

func newDir(t *testing.T, place string) *Dir {
	t.Helper()
	d := NewDir(Options{Places: []string{place}, Token: "token", Config: []byte("[default]\n")})
	if d.Err() != nil {
		t.Fatal(d.Err())
	}
	t.Cleanup(func() { d.Remove() })
	return d
}

func asRoot(t *testing.T) {
	t.Helper()
	need.That(t, os.Geteuid() == 0, "root, to be other users", "run the tests as root")
}

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestDirHoldsTheFiles(t *testing.T) {
	place := newPlace(t)
	defer syscall.Umask(syscall.Umask(0o077))
	d := newDir(t, place)
	f := d.Files()
	for path, want := range map[string]string{f.Config: "[default]\n", f.Credentials: "", f.Token: "token"} {
		info, err := os.Lstat(path)
		if err != nil || info.Mode() != fileMode() || content(t, path) != want || !filepath.IsAbs(path) {
			t.Errorf("%s: got %v, %v; want mode %v and %q", path, info, err, fileMode(), want)
		}
	}
	if info, err := os.Lstat(d.path); err != nil || info.Mode().Perm() != dirMode() {
		t.Errorf("got %v, %v; want %v", info, err, dirMode())
	}
	if got := entries(t, d.path); len(got) != 3 {
		t.Errorf("got %v; want three files", got)
	}
	if err := d.RemoveToken(); err != nil {
		t.Error(err)
	}
	if err := d.look(); err != nil {
		t.Error(err)
	}
	if got := entries(t, d.path); len(got) != 2 {
		t.Errorf("after RemoveToken and a look: got %v; want two files", got)
	}
	for range 2 {
		if err := errors.Join(d.Remove(), d.RemoveToken(), d.look()); err != nil {
			t.Error(err)
		}
	}
	if got := entries(t, place); len(got) != 0 {
		t.Errorf("got %v; want nothing left", got)
	}
}

func TestNoTokenFileWithoutToken(t *testing.T) {
	d := NewDir(Options{Places: []string{newPlace(t)}})
	defer d.Remove()
	if f := d.Files(); d.Err() != nil || f.Token != "" || f.Config == "" {
		t.Errorf("got %+v, %v; want files without a token's", f, d.Err())
	}
}

func TestPlaces(t *testing.T) {
	got := Places([]string{"TMPDIR=/run/user/0/tmp", "XDG_RUNTIME_DIR=/run/user/0/"})
	if want := []string{"/tmp", "/var/tmp", "/dev/shm"}; !slices.Equal(got, want) {
		t.Errorf("got %v; want %v", got, want)
	}
	if got := Places([]string{"TMPDIR=/run/user/01", "XDG_RUNTIME_DIR=/run/user/0"}); got[0] != "/run/user/01" || len(got) != 4 {
		t.Errorf("got %v; want TMPDIR first", got)
	}
}

func TestPlaceIsTrusted(t *testing.T) {
	tests := []struct {
		name string
		mode fs.FileMode
		uid  int
		ok   bool
	}{
		{"private", 0o700, 0, true},
		{"readable", 0o755, 0, true},
		{"sticky", 0o777 | fs.ModeSticky, 0, true},
		{"open to all", 0o777, 0, false},
		{"open to the group", 0o775, 0, false},
		{"foreign", 0o700, nobody, false},
		{"foreign and sticky", 0o777 | fs.ModeSticky, nobody, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bad, good := newPlace(t), newPlace(t)
			if tt.uid != 0 {
				asRoot(t)
				if err := os.Chown(bad, tt.uid, tt.uid); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Chmod(bad, tt.mode); err != nil {
				t.Fatal(err)
			}
			d := NewDir(Options{Places: []string{filepath.Join(bad, "missing"), bad, good}})
			defer d.Remove()
			if got := d.place == bad; got != tt.ok || d.Err() != nil {
				t.Errorf("got %s, %v; want it in the first place: %t", d.place, d.Err(), tt.ok)
			}
		})
	}
}

// A folder on the way whose owner, or whose group, can rename what is in it can swap all below it.
func TestEveryFolderOnTheWayIsTrusted(t *testing.T) {
	for _, tt := range []struct {
		name string
		mode fs.FileMode
		uid  int
		ok   bool
	}{
		{"ours", 0o755, 0, true},
		{"sticky", 0o777 | fs.ModeSticky, 0, true},
		{"open to all", 0o777, 0, false},
		{"open to the group", 0o775, 0, false},
		{"foreign", 0o755, nobody, false},
		{"foreign and sticky", 0o777 | fs.ModeSticky, nobody, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			above, good := newPlace(t), newPlace(t)
			place := filepath.Join(above, "a", "b")
			if err := errors.Join(os.MkdirAll(place, 0o700), os.Chmod(above, tt.mode)); err != nil {
				t.Fatal(err)
			}
			if tt.uid != 0 {
				asRoot(t)
				if err := errors.Join(os.Chown(above, tt.uid, tt.uid), os.Chmod(above, tt.mode)); err != nil {
					t.Fatal(err)
				}
			}
			d := NewDir(Options{Places: []string{place, good}})
			defer d.Remove()
			if got := d.place == place; got != tt.ok || d.Err() != nil {
				t.Errorf("got %s, %v; want it in the first place: %t", d.place, d.Err(), tt.ok)
			}
		})
	}
}

func TestNoPlaceIsNoDirAndNoPanic(t *testing.T) {
	file := filepath.Join(newPlace(t), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	d := NewDir(Options{Places: []string{"/proc/self", file, "/nowhere"}, Token: "token"})
	if d.Err() == nil || d.Files() != (Files{}) || strings.Contains(d.Err().Error(), "token-") || strings.Contains(d.Err().Error(), "\n") {
		t.Errorf("got %+v, %v; want no files and the reason in a line", d.Files(), d.Err())
	}
	if h, ok := d.Err().(interface{ Hints() []string }); !ok || len(h.Hints()) != 1 {
		t.Errorf("got %v; want a hint", d.Err())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	d.Keep(ctx)
	if err := errors.Join(d.look(), d.RemoveToken(), d.Remove()); err != nil {
		t.Error(err)
	}
}

func TestRelativePlaceSurvivesChdir(t *testing.T) {
	place := newPlace(t)
	t.Chdir(place)
	d := newDir(t, ".")
	t.Chdir("/")
	if got := content(t, d.Files().Token); got != "token" {
		t.Errorf("got %q; want the token", got)
	}
	if err := d.Remove(); err != nil || len(entries(t, place)) != 0 {
		t.Errorf("got %v, %v; want nothing left", err, entries(t, place))
	}
}

// TMPDIR may be a symlink, and may be turned elsewhere while we run.
func TestPlaceIsResolvedOnce(t *testing.T) {
	place := newPlace(t)
	link := filepath.Join(newPlace(t), "link")
	if err := os.Symlink(place, link); err != nil {
		t.Fatal(err)
	}
	d := newDir(t, link)
	if err := os.Remove(link); err != nil {
		t.Fatal(err)
	}
	if got := content(t, d.Files().Token); got != "token" {
		t.Errorf("got %q; want the token", got)
	}
	if err := errors.Join(d.look(), d.Remove()); err != nil || len(entries(t, place)) != 0 {
		t.Errorf("got %v, %v; want nothing left", err, entries(t, place))
	}
}

// A file system that is full after the directory was made leaves nothing behind.
func TestUnwritableFilesLeaveNothing(t *testing.T) {
	place := newPlace(t)
	d := &Dir{log: slog.New(slog.DiscardHandler), files: []file{{name: "config-a/b", content: []byte("x")}}} // no such directory
	if err := d.make(place); err == nil || strings.Contains(err.Error(), "a/b") {
		t.Errorf("got %v; want an error without the file's name", err)
	}
	if got := entries(t, place); len(got) != 0 || d.Files() != (Files{}) {
		t.Errorf("got %v; want nothing", got)
	}
}

// Under "ulimit -f 0" a place is no place. (The SIGXFSZ that comes with it is the runner's to tell from others.)
func TestFileSizeLimit(t *testing.T) {
	if os.Getenv("CHILDENV_LIMITED") == "" { // a process of its own: "go test" has this one write a log
		cmd := exec.Command(os.Args[0], "-test.run=^TestFileSizeLimit$")
		cmd.Env = append(os.Environ(), "CHILDENV_LIMITED=1")
		if out, err := cmd.CombinedOutput(); err != nil || !bytes.HasPrefix(out, []byte("PASS")) {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	place := newPlace(t)
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &was); err != nil {
		t.Fatal(err)
	}
	under := func(limit uint64, o Options) *Dir {
		t.Helper()
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: limit, Max: was.Max}); err != nil {
			t.Fatal(err)
		}
		defer unix.Setrlimit(unix.RLIMIT_FSIZE, &was)
		return NewDir(o)
	}
	config := bytes.Repeat([]byte("#"), 1024)
	for _, limit := range []uint64{0, 1, 1023} {
		d := under(limit, Options{Places: []string{place}, Config: config})
		if !errors.Is(d.Err(), unix.EFBIG) || len(entries(t, place)) != 0 {
			t.Errorf("limit %d: got %v, %v; want EFBIG and nothing left", limit, d.Err(), entries(t, place))
		}
	}
	for limit, o := range map[uint64]Options{1024: {Places: []string{place}, Config: config}, 0: {Places: []string{place}}} {
		d := under(limit, o)
		if err := errors.Join(d.Err(), d.Remove()); err != nil {
			t.Errorf("limit %d, which suffices: %v", limit, err)
		}
	}
}

func TestLookMakesAgainWhatACleanerTook(t *testing.T) {
	d := newDir(t, newPlace(t))
	f := d.Files()
	for name, take := range map[string]string{"one file": f.Token, "all of it": d.path} {
		if err := os.RemoveAll(take); err != nil {
			t.Fatal(err)
		}
		if err := d.look(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		info, err := os.Stat(d.path)
		if err != nil || info.Mode().Perm() != dirMode() || content(t, f.Token) != "token" || content(t, f.Config) != "[default]\n" || content(t, f.Credentials) != "" {
			t.Errorf("%s: got %v, %v; want all as it was", name, info, err)
		}
		if locked(t, d.path) == false {
			t.Errorf("%s: not locked again", name)
		}
	}
	if d.Files() != f {
		t.Errorf("got %+v; want the same paths %+v", d.Files(), f)
	}
}

func TestLookLeavesWhatSomebodyElsePutThere(t *testing.T) {
	for name, put := range map[string]func(path, target string) error{
		"symlink":     func(path, target string) error { return os.Symlink(target, path) },
		"dangling":    func(path, target string) error { return os.Symlink(target+"/no", path) },
		"directory":   func(path, target string) error { return os.Mkdir(path, 0o777) },
		"file":        func(path, target string) error { return os.WriteFile(path, []byte("theirs"), 0o644) },
		"our own dir": func(path, target string) error { return os.Rename(path+".moved", path+".moved2") },
	} {
		t.Run(name, func(t *testing.T) {
			place, target := newPlace(t), newPlace(t)
			d := newDir(t, place)
			moved := d.path + ".moved"
			if err := os.Rename(d.path, moved); err != nil {
				t.Fatal(err)
			}
			if err := put(d.path, target); err != nil {
				t.Fatal(err)
			}
			if name == "our own dir" { // moved away: the path is free, and ours again
				if err := d.look(); err != nil || content(t, d.Files().Token) != "token" {
					t.Errorf("got %v; want it made again", err)
				}
				return
			}
			if err := d.look(); err == nil {
				t.Error("got nil; want an error")
			}
			if err := d.Remove(); err != nil {
				t.Error(err)
			}
			if got := entries(t, target); len(got) != 0 {
				t.Errorf("got %v; want nothing behind the symlink", got)
			}
			if _, err := os.Lstat(d.path); err != nil {
				t.Errorf("got %v; want theirs left alone", err)
			}
			if got := entries(t, moved); len(got) != 0 {
				t.Errorf("got %v; want our files gone, wherever the directory is", got)
			}
		})
	}
}

func TestLookRefusesAPlaceGoneBad(t *testing.T) {
	place := newPlace(t)
	d := newDir(t, place)
	if err := os.RemoveAll(d.path); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(place, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := d.look(); err == nil {
		t.Error("got nil; want an error: anybody may be in the middle")
	}
	if got := entries(t, place); len(got) != 0 {
		t.Errorf("got %v; want nothing made", got)
	}
}

// A symlink in place of a file, made by the child, leads nowhere: neither a look nor the removal follows it.
func TestSymlinkInside(t *testing.T) {
	victim := filepath.Join(newPlace(t), "victim")
	if err := os.WriteFile(victim, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	old := time.Unix(1e9, 0)
	if err := os.Chtimes(victim, old, old); err != nil {
		t.Fatal(err)
	}
	place := newPlace(t)
	d := newDir(t, place)
	config := d.Files().Config
	if err := errors.Join(os.Remove(config), os.Symlink(victim, config), os.Symlink(victim, config+".new")); err != nil {
		t.Fatal(err)
	}
	if err := d.look(); err != nil || content(t, config) != "[default]\n" {
		t.Errorf("got %v; want the file again", err)
	}
	if err := d.Remove(); err != nil {
		t.Error(err)
	}
	info, err := os.Stat(victim)
	if err != nil || content(t, victim) != "mine" || !info.ModTime().Equal(old) {
		t.Errorf("got %v, %v; want the victim untouched", info, err)
	}
}

func TestRemoveLeavesWhatIsNotOurs(t *testing.T) {
	place := newPlace(t)
	d := newDir(t, place)
	if err := os.WriteFile(filepath.Join(d.path, "theirs"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := d.Remove(); err == nil {
		t.Error("got nil; want an error: the directory is not empty")
	}
	if got := entries(t, d.path); !slices.Equal(got, []string{"theirs"}) {
		t.Errorf("got %v; want only what is theirs", got)
	}
}

// One file that can't be removed keeps none of the others, and what a child has put in a file's place stays.
func TestRemoveGoesOn(t *testing.T) {
	for name, put := range map[string]func(path string) error{
		"directory":      func(path string) error { return os.Mkdir(path, 0o700) },
		"full directory": func(path string) error { return os.MkdirAll(filepath.Join(path, "theirs"), 0o700) },
		"symlink":        func(path string) error { return os.Symlink("/dev/null", path) },
	} {
		t.Run(name, func(t *testing.T) {
			d := newDir(t, newPlace(t))
			f := d.Files()
			for _, path := range []string{f.Config, f.Credentials} {
				if err := errors.Join(os.Remove(path), put(path)); err != nil {
					t.Fatal(err)
				}
			}
			err := d.Remove()
			if got := entries(t, d.path); !slices.Equal(got, []string{filepath.Base(f.Config), filepath.Base(f.Credentials)}) {
				t.Errorf("got %v; want the token gone and theirs left", got)
			}
			if err == nil {
				t.Fatal("got nil; want an error")
			}
			for _, path := range []string{f.Config, f.Credentials} {
				kind, text, _ := strings.Cut(filepath.Base(path), "-")
				if !strings.Contains(err.Error(), kind+" file: ") || strings.Contains(err.Error(), text) {
					t.Errorf("got %v; want it to tell of the %s file without its name", err, kind)
				}
			}
			if strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), d.path) {
				t.Errorf("got %v; want one line that says where", err)
			}
		})
	}
}

func TestKeep(t *testing.T) {
	place := newPlace(t)
	synctest.Test(t, func(t *testing.T) {
		var logged bytes.Buffer
		d := NewDir(Options{Places: []string{place}, Token: "token", Log: slog.New(slog.NewTextHandler(&logged, nil))})
		defer d.Remove()
		killed := leftover(t, place)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { d.Keep(ctx) })

		time.Sleep(keepTime + 1)
		synctest.Wait()
		if _, err := os.Lstat(killed); err == nil {
			t.Error("Keep did not sweep what a killed run left")
		}
		for _, path := range []string{d.path, d.Files().Token, d.Files().Config, d.Files().Credentials} {
			if info, err := os.Stat(path); err != nil || time.Since(info.ModTime()) > time.Second {
				t.Errorf("%s: got %v, %v; want it touched just now", path, info, err)
			}
		}

		if err := errors.Join(os.RemoveAll(d.path), os.WriteFile(d.path, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * keepTime)
		synctest.Wait()
		if err := os.Remove(d.path); err != nil {
			t.Fatal(err)
		}
		time.Sleep(keepTime)
		synctest.Wait()
		if got := content(t, d.Files().Token); got != "token" {
			t.Errorf("got %q; want the token back", got)
		}
		cancel()
		wg.Wait()
		if got := strings.Count(logged.String(), "level=WARN"); got != 2 || strings.Contains(logged.String(), "token-") {
			t.Errorf("got %d warnings; want one for the outage, one for its end, no file name:\n%s", got, logged.String())
		}
	})
}

// leftover is what a killed run leaves: the directory with its files, unlocked, old.
func leftover(t *testing.T, place string) string {
	t.Helper()
	d := NewDir(Options{Places: []string{place}, Token: "token"})
	if d.Err() != nil {
		t.Fatal(d.Err())
	}
	d.close()
	age(t, d.path)
	return d.path
}

func age(t *testing.T, path string) {
	t.Helper()
	old := time.Now().Add(-2 * tooYoung)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
}

func TestSweep(t *testing.T) {
	tests := []struct {
		name  string
		setup func(t *testing.T, path string)
		stays bool
	}{
		{name: "leftover", setup: func(*testing.T, string) {}},
		{name: "killed while it wrote", setup: func(t *testing.T, path string) {
			if err := os.WriteFile(filepath.Join(path, "token-"+rand.Text()+".new"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			age(t, path)
		}},
		{name: "killed before it wrote", setup: func(t *testing.T, path string) {
			for _, name := range entries(t, path) {
				if err := os.Remove(filepath.Join(path, name)); err != nil {
					t.Fatal(err)
				}
			}
			age(t, path)
		}},
		{name: "young", stays: true, setup: func(t *testing.T, path string) {
			if err := os.Chtimes(path, time.Now(), time.Now()); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "from the future", stays: true, setup: func(t *testing.T, path string) {
			if err := os.Chtimes(path, time.Now(), time.Now().Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "locked", stays: true, setup: func(t *testing.T, path string) {
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { f.Close() })
			if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "not ours", stays: true, setup: func(t *testing.T, path string) {
			asRoot(t)
			if err := os.Chown(path, nobody, nobody); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "somebody's file inside", stays: true, setup: func(t *testing.T, path string) {
			if err := os.WriteFile(filepath.Join(path, "theirs"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			age(t, path)
			t.Cleanup(func() {
				if got := entries(t, path); len(got) != 4 {
					t.Errorf("got %v; want all four left alone", got)
				}
			})
		}},
		{name: "a symlink to a directory", stays: true, setup: func(t *testing.T, path string) {
			target := leftover(t, newPlace(t))
			if err := errors.Join(os.RemoveAll(path), os.Symlink(target, path)); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if got := entries(t, target); len(got) != 3 {
					t.Errorf("behind the symlink: got %v; want all three", got)
				}
			})
		}},
		{name: "a file of that name", stays: true, setup: func(t *testing.T, path string) {
			if err := errors.Join(os.RemoveAll(path), os.WriteFile(path, nil, 0o600)); err != nil {
				t.Fatal(err)
			}
			age(t, path)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			place := newPlace(t)
			other := filepath.Join(place, "brs-other")
			if err := os.Mkdir(other, 0o700); err != nil {
				t.Fatal(err)
			}
			age(t, other)
			path := leftover(t, place)
			tt.setup(t, path)
			sweep(t.Context(), place)
			_, err := os.Lstat(path)
			if stays := err == nil; stays != tt.stays {
				t.Errorf("got %v; want it to stay: %t", err, tt.stays)
			}
			if _, err := os.Lstat(other); err != nil {
				t.Errorf("got %v; want other directories left alone", err)
			}
		})
	}
}

// The user's own files stay: all of a directory that holds, or is, anything but what we make.
func TestSweepLeavesWhatOnlyLooksLikeOurs(t *testing.T) {
	const text = "4OFGOQIKTWQQNMAG7OJD5URR44"
	const ours = dirPrefix + text
	tests := []struct{ dir, file string }{
		{dirPrefix + "proj", "config-" + text},
		{dirPrefix + "proj", "config-prod.yaml"},
		{dirPrefix + strings.ToLower(text), "config-" + text},
		{dirPrefix + text + "A", "config-" + text},
		{dirPrefix + text[1:], "config-" + text},
		{dirPrefix + text[1:] + "1", "config-" + text},
		{"X" + ours, "config-" + text},
		{ours, "config-prod.yaml"},
		{ours, "token-" + text + ".bak"},
		{ours, "token-" + text + ".new.new"},
		{ours, "token-" + strings.ToLower(text)},
		{ours, "token-"},
		{ours, "lock"},
		{ours, "token-" + text + "/"},
		{ours, "token-" + text + "@"},
	}
	for _, tt := range tests {
		t.Run(tt.dir+"/"+tt.file, func(t *testing.T) {
			place := newPlace(t)
			dir := filepath.Join(place, tt.dir)
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, strings.TrimRight(tt.file, "/@"))
			var err error
			switch tt.file[len(tt.file)-1] {
			case '/':
				err = os.Mkdir(path, 0o700)
			case '@':
				err = os.Symlink("/dev/null", path)
			default:
				err = os.WriteFile(path, nil, 0o600)
			}
			// and what we do make
			err = errors.Join(err, os.WriteFile(filepath.Join(dir, "credentials-"+rand.Text()), nil, 0o600))
			if err != nil {
				t.Fatal(err)
			}
			age(t, dir)
			want := entries(t, dir)
			sweep(t.Context(), place)
			if got := entries(t, dir); !slices.Equal(got, want) {
				t.Errorf("got %v; want %v", got, want)
			}
		})
	}
}

func TestSweepSparesTheLiving(t *testing.T) {
	place := newPlace(t)
	d := newDir(t, place)
	age(t, d.path) // stopped for two minutes: no look
	sweep(t.Context(), place)
	if got := content(t, d.Files().Token); got != "token" {
		t.Errorf("got %q; want the token", got)
	}
}

func TestChildDoesNotHoldTheLock(t *testing.T) {
	d := newDir(t, newPlace(t))
	cmd := exec.Command("/bin/sh", "-c", "read x")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { in.Close(); cmd.Wait() }()
	if !locked(t, d.path) {
		t.Error("got no lock while the run lives")
	}
	d.unlock()
	if locked(t, d.path) {
		t.Error("the child holds the lock")
	}
}

func locked(t *testing.T, path string) bool {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil
}

// A place that a child of root's could not reach after it dropped to another user (pam_tmpdir's) comes last.
func TestRootPrefersAPlaceThatOthersReach(t *testing.T) {
	asRoot(t)
	open, closed, below, foreign := openPlace(t), newPlace(t), newPlace(t), openPlace(t)
	if err := os.Chmod(below, 0o755); err != nil { // but t.TempDir's own parent is 0700
		t.Fatal(err)
	}
	if err := os.Chown(foreign, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	in, out := filepath.Join(openPlace(t), "in"), filepath.Join(newPlace(t), "out")
	if err := errors.Join(os.Symlink(below, in), os.Symlink(open, out)); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(in)
	tests := []struct {
		name   string
		places []string
		want   string
	}{
		{"closed itself", []string{closed, open}, open},
		{"below a closed one", []string{below, open}, open},
		{"open first", []string{open, closed}, open},
		{"leads in", []string{in, open}, open},
		{"leads out", []string{out, below}, open},
		{"none, the first", []string{below, closed}, below},
		{"none that will do", []string{closed, "/nowhere", foreign, "/proc/self"}, closed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := NewDir(Options{Places: tt.places, Token: "token"})
			if d.place != tt.want || d.Err() != nil {
				t.Errorf("got %s, %v; want %s", d.place, d.Err(), tt.want)
			}
			if err := d.Remove(); err != nil {
				t.Error(err)
			}
		})
	}
}

// Whoever isn't root has no other users among his children, and gets the place that he named.
func TestOthersGetTheFirstPlace(t *testing.T) {
	open, mine := openPlace(t), filepath.Join(openPlace(t), "mine")
	if err := os.Mkdir(mine, 0o700); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(mine)
	if os.Geteuid() == 0 {
		if err := errors.Join(os.Chown(mine, nobody, nobody), syscall.Seteuid(nobody)); err != nil {
			t.Fatal(err)
		}
		defer syscall.Seteuid(0)
	}
	d := NewDir(Options{Places: []string{mine, open}, Token: "token"})
	if d.place != mine || d.Err() != nil {
		t.Errorf("got %s, %v; want %s", d.place, d.Err(), mine)
	}
	if err := d.Remove(); err != nil {
		t.Error(err)
	}
}

// openPlace is one that every user reaches: t.TempDir's are not.
func openPlace(t *testing.T) string {
	t.Helper()
	place, err := os.MkdirTemp("/tmp", "childenv-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.Remove(place); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(place, 0o777|fs.ModeSticky); err != nil {
		t.Fatal(err)
	}
	return place
}

// A child of root's that drops to another user reads the paths that it was given, and can't list the directory.
func TestDroppedChildReadsItsFiles(t *testing.T) {
	asRoot(t)
	d := NewDir(Options{Places: []string{newPlace(t), openPlace(t)}, Token: "token", Config: []byte("[default]\n")})
	defer d.Remove()
	as := func(arg ...string) (string, error) {
		cmd := exec.Command(arg[0], arg[1:]...)
		cmd.Dir = "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		out, err := cmd.Output()
		return string(out), err
	}
	if got, err := as("/bin/cat", d.Files().Token); got != "token" || err != nil {
		t.Errorf("got %q, %v; want the token", got, err)
	}
	if got, err := as("/bin/cat", d.Files().Config); got != "[default]\n" || err != nil {
		t.Errorf("got %q, %v; want the config", got, err)
	}
	if got, err := as("/bin/ls", d.path); err == nil {
		t.Errorf("got %q; want no list", got)
	}
	if _, err := as("/bin/rm", "-f", d.Files().Token); err == nil {
		t.Error("got nil; want no removal by another user")
	}
}

// Everything at once, as at a signal in the middle of a look.
func TestEndDuringLooks(t *testing.T) {
	for range 20 {
		place := newPlace(t)
		d := newDir(t, place)
		var wg sync.WaitGroup
		wg.Go(func() {
			for range 5 {
				os.RemoveAll(d.path)
				d.look()
			}
		})
		wg.Go(func() { d.RemoveToken() })
		wg.Go(func() { d.Files() })
		wg.Wait()
		if slices.ContainsFunc(entries(t, place), func(string) bool { return len(d.files) != 2 }) {
			t.Error("the token is still kept")
		}
		if err := d.Remove(); err != nil || len(entries(t, place)) != 0 {
			t.Fatalf("got %v, %v; want nothing left", err, entries(t, place))
		}
	}
}

func BenchmarkNewDir(b *testing.B) {
	b.ReportAllocs()
	place := b.TempDir()
	for b.Loop() {
		d := NewDir(Options{Places: []string{place}, Token: "token", Config: []byte("[default]\n")})
		if d.Err() != nil || d.Remove() != nil {
			b.Fatal(d.Err())
		}
	}
}
