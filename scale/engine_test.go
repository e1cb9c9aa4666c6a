//go:build linux

package scale

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"brs-exec/need"
)

// engine puts one of engines/ first in the PATH of what is typed: a venv with what its requirements.txt has, and the
// folder's other files in the working folder.
func (c *cloud) engine(name string) (venv string) {
	c.t.Helper()
	source := filepath.Join("engines", name)
	entries, err := os.ReadDir(source)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, e := range entries {
		c.write(e.Name(), read(c.t, filepath.Join(source, e.Name())))
	}
	venv = makeVenv(c.t, name)
	c.set("PATH=" + filepath.Join(venv, "bin") + ":" + filepath.Dir(brsExec) + ":" + os.Getenv("PATH"))
	return venv
}

// makeVenv makes it in the user's cache, if it isn't there.
func makeVenv(t *testing.T, name string) (dir string) {
	t.Helper()
	requirements, err := filepath.Abs(filepath.Join("engines", name, "requirements.txt"))
	if err != nil {
		t.Fatal(err)
	}
	return cached(t, name, read(t, requirements), func(dir string) {
		tool(t, dir, "python3", "-m", "venv", ".")
		tool(t, dir, filepath.Join(dir, "bin", "pip"), "install", "--quiet", "--no-deps", "-r", requirements)
	})
}

// cached returns a folder of the user's cache that build has filled for this text.
func cached(t *testing.T, name, text string, build func(dir string)) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	cache = filepath.Join(cache, "brs-exec-scale")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, fmt.Sprintf("%s-%.6x", name, sha256.Sum256([]byte(text))))
	lock, err := os.Create(dir + ".lock") // a venv can't be renamed when it is whole: its scripts name it
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	whole := filepath.Join(dir, "whole")
	if _, err := os.Stat(whole); err == nil {
		return dir
	}
	os.RemoveAll(dir)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	build(dir)
	if err := os.WriteFile(whole, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// tool runs a build step in dir. Where a registry can't be reached the test is skipped; in CI it fails.
func tool(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	need.Tools(t, name)
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Logf("%s %s: %v\n%s", name, strings.Join(args, " "), err, tail(string(out)))
	}
	need.That(t, err == nil, "what "+filepath.Base(name)+" downloads", "see -v")
}

// holds checks that a section of docs/SCALE.md has this line, in a block of its own.
func holds(t *testing.T, section, line string) {
	t.Helper()
	if !strings.Contains(sectionOf(t, section), "\n    "+line+"\n") {
		t.Errorf("docs/SCALE.md, section %s, has not the line that is typed here: %s", section, line)
	}
}
