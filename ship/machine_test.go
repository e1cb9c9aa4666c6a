//go:build linux

package ship

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"

	"brs-exec/need"
)

func TestMain(m *testing.M) { os.Exit(need.Run(m)) }

// clone is the clean clone in which the release was made.
func clone(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("SHIP")
	need.Asked(t, dir != "", "SHIP, which .ci/ship sets")
	return dir
}

// artefact is the one file of the release that a pattern names.
func artefact(t *testing.T, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(clone(t), "dist", pattern))
	if err != nil || len(found) != 1 {
		t.Fatalf("%s: %q, %v; want one file", pattern, found, err)
	}
	return found[0]
}

// apart are unshare's flags: mounts and processes end with the command, whatever becomes of the test.
var apart = []string{"--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"}

// A machine is a Debian that never saw Go. What is done to it stays in a layer of the test's own,
// for as long as the test runs.
type machine struct {
	t     *testing.T
	root  string // what it was at first
	layer string // what changed, as overlayfs notes it
}

func newcomer(t *testing.T) *machine {
	t.Helper()
	clone(t)
	return &machine{t, filepath.Join(os.Getenv("SHIP_CACHE"), "root"), layer(t)}
}

func layer(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"changed", "work", "root"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// command runs a script there, as root, in a login's environment; the release is in /mnt.
func (m *machine) command(script string) *exec.Cmd {
	const enter = `mount -t overlay -o "lowerdir=$1,upperdir=$2/changed,workdir=$2/work" overlay "$2/root"
		mount --bind "$3" "$2/root/mnt"
		mount -t proc proc "$2/root/proc"
		mount --rbind /dev "$2/root/dev"
		exec env -i PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=xterm LC_ALL=C.UTF-8 \
			AWS_EC2_METADATA_DISABLED=true DEBIAN_FRONTEND=noninteractive chroot "$2/root" bash -euc "cd; $4"`
	return exec.Command("unshare", append(slices.Clone(apart), "sh", "-euc", enter, "sh",
		m.root, m.layer, filepath.Join(clone(m.t), "dist"), script)...)
}

func (m *machine) run(script string) string {
	m.t.Helper()
	out, err := m.command(script).CombinedOutput()
	if err != nil {
		m.t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return string(out)
}

// changed are the files that the machine has, lacks or has otherwise now, but for the records of its package manager.
func (m *machine) changed() (files []string) {
	m.t.Helper()
	top := filepath.Join(m.layer, "changed")
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		name := strings.TrimPrefix(path, top)
		switch {
		case err != nil:
			return err
		case name == "/var/lib/dpkg" || name == "/var/log" || name == "/var/cache":
			return fs.SkipDir
		case d.IsDir(): // overlayfs has those around a file that came and went
			if _, err := os.Lstat(filepath.Join(m.root, name)); err == nil {
				return nil
			}
		}
		files = append(files, name)
		return nil
	})
	if err != nil {
		m.t.Fatal(err)
	}
	return files
}

// typed returns what a terminal showed after keys were typed, as soon as it has shown a text.
func (m *machine) typed(script, keys, until string) string {
	m.t.Helper()
	cmd := m.command(script)
	terminal, err := pty.Start(cmd)
	if err != nil {
		m.t.Fatal(err)
	}
	late := time.AfterFunc(2*time.Minute, func() { terminal.Close() })
	defer func() { late.Stop(); terminal.Close(); cmd.Process.Kill(); cmd.Wait() }()
	if _, err := terminal.WriteString(keys); err != nil {
		m.t.Fatal(err)
	}
	var shown bytes.Buffer
	for piece := make([]byte, 1024); !strings.Contains(shown.String(), until); {
		n, err := terminal.Read(piece)
		if err != nil {
			m.t.Fatalf("%q: %v; want %q", &shown, err, until)
		}
		shown.Write(piece[:n])
	}
	return shown.String()
}

func wants(t *testing.T, what, got string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(got, part) {
			t.Errorf("%s: %q is missing in\n%s", what, part, got)
		}
	}
}
