package bypass

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// write puts a file below dir and returns its path.
func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t *testing.T, path string) {
	t.Helper()
	if _, err := os.ReadFile(path); err != nil {
		t.Error(err)
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	const keys = "[default]\naws_access_key_id = AKIA\naws_secret_access_key = x\n"
	for _, tt := range []struct {
		name                     string
		credentials, config, env string
		want                     []string
	}{
		{"nothing holds any", "[default]\nregion = x\n", "[default]\nregion = x\n", "A=1\n", nil},
		{"keys", keys, "", "", []string{".aws/credentials"}},
		{"a role and an SSO account", "[a]\n", "[profile b]\nsso_session = x\nrole_arn = y\n", "", []string{".aws/config"}},
		{"a .env", "", "", "AWS_ACCESS_KEY_ID=AKIA\nAWS_SECRET_ACCESS_KEY=x\n", []string{".env"}},
		{"comments, and nothing said", "[default]\n# aws_access_key_id = AKIA\naws_access_key_id =\n", "[default]\n;sso_session = x\n",
			"# AWS_ACCESS_KEY_ID=AKIA\nAWS_ACCESS_KEY_ID=\nAWS_PROFILE=\"\"\nMY_AWS_PROFILE=x\n", nil},
		{"as people write them", "[default]\r\nAWS_Access_Key_Id: AKIA\r\n", "[profile b]\n  role_arn=y\n", "export AWS_ACCESS_KEY_ID = 'AKIA'\n",
			[]string{".aws/credentials", ".aws/config", ".env"}},
		{"all", keys, "[profile p]\ncredential_process = x\n", "export AWS_PROFILE=p\n", []string{".aws/credentials", ".aws/config", ".env"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range map[string]string{".aws/credentials": tt.credentials, ".aws/config": tt.config, ".env": tt.env} {
				if text != "" {
					write(t, dir, name, text)
				}
			}
			var got []string
			for _, file := range Files(dir, dir) {
				name, _ := filepath.Rel(dir, file)
				got = append(got, name)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %q; want %q", got, tt.want)
			}
		})
	}
	if got := Files("", ""); got != nil {
		t.Errorf("without a home: got %q", got)
	}
}

func TestOpened(t *testing.T) {
	dir := t.TempDir()
	first, second := write(t, dir, "first", "x"), write(t, dir, "second", "x")
	w := startSoon(t, first, second, filepath.Join(dir, "none"))
	defer w.Close()
	if got := w.Opened(); got != "" {
		t.Errorf("before: got %q", got)
	}
	os.Stat(first)
	if got := w.Opened(); got != "" {
		t.Errorf("looked at: got %q", got)
	}
	w.Without(func() { read(t, first) })
	if got := w.Opened(); got != "" {
		t.Errorf("opened by ourselves: got %q", got)
	}
	read(t, second)
	w.Without(func() { read(t, first) })
	read(t, first)
	w.Close()
	read(t, first)
	if got := w.Opened(); got != second {
		t.Errorf("got %q; want %q", got, second)
	}
	w.Without(func() {})
	w.Close()
}

// However often a file is opened, the queue is emptied.
func TestManyOpened(t *testing.T) {
	dir := t.TempDir()
	a, b := write(t, dir, "a", "x"), write(t, dir, "b", "x")
	w := startSoon(t, a, b)
	defer w.Close()
	w.Without(func() {
		for range 500 { // more than one read takes; two files in turn, since the kernel joins equal events
			read(t, b)
			read(t, a)
		}
	})
	if got := w.Opened(); got != "" {
		t.Errorf("got %q", got)
	}
	read(t, b)
	if got := w.Opened(); got != b {
		t.Errorf("got %q; want %q", got, b)
	}
}

// The user keeps instances of inotify, however many brs-exec run.
func TestPlaces(t *testing.T) {
	file := write(t, t.TempDir(), "a", "x")
	var taken []*Watch
	defer func() {
		for _, w := range taken {
			w.Close()
		}
	}()
	for range 10 * places {
		if w := Start([]string{file}); w != nil {
			taken = append(taken, w)
		}
	}
	if len(taken) == 0 || len(taken) > places {
		t.Fatalf("%d watch at once; want 1 to %d", len(taken), places)
	}
	taken[0].Close()
	taken[0] = startSoon(t, file)
}

// startSoon is Start. The kernel gives a place back a moment after it was closed.
func startSoon(t *testing.T, files ...string) *Watch {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if w := Start(files); w != nil {
			return w
		}
	}
	t.Fatal("a place that was given back can't be had")
	return nil
}

// An instance is given back though nobody waits for it: the system gives a user 128.
func TestLeftToTheKernel(t *testing.T) {
	file := write(t, t.TempDir(), "a", "x")
	for range 300 {
		w := startSoon(t, file)
		read(t, file)
		w.Close()
		if w.Opened() != file {
			t.Fatal("not seen")
		}
		if fd, err := unix.InotifyInit1(unix.IN_CLOEXEC); err != nil {
			t.Fatalf("another program: %v", err)
		} else {
			unix.Close(fd)
		}
	}
}

func TestNothingToWatch(t *testing.T) {
	t.Parallel()
	w := Start(nil)
	if w != nil {
		t.Fatal("a watch on nothing")
	}
	called := false
	w.Without(func() { called = true })
	w.Close()
	if w.Opened() != "" || !called {
		t.Error("a nil watch is not as one that sees nothing")
	}
}
