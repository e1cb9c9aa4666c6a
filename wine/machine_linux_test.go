package wine

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// root is the file system in which wine is.
var root = os.Getenv("WINE_ROOT")

func enter() (leave func(), err error) {
	if root == "" {
		return nil, nil
	}
	dir = filepath.Join(root, "brs-exec")
	left, err := foldersInTemp() // a run that was killed may have left one, and is swept after a minute
	if err != nil {
		return nil, err
	}
	for _, path := range append(left, dir) { // made by an earlier run
		if err := os.RemoveAll(path); err != nil {
			return nil, err
		}
	}
	return func() {}, os.MkdirAll(dir, 0o755)
}

// foldersInTemp are those of brs-exec in TEMP, which wine takes from its registry.
func foldersInTemp() ([]string, error) {
	return filepath.Glob(filepath.Join(root, "prefix", "drive_c", "users", "*", "AppData", "Local", "Temp", "brs-exec-*"))
}

func environment() []string {
	return []string{
		"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "WINEPREFIX=/prefix", "WINEDEBUG=-all", "WINEARCH=win64",
		"WINEDLLOVERRIDES=mscoree=;mshtml=", "LC_ALL=C.UTF-8", "AWS_EC2_METADATA_DISABLED=true", "XDG_RUNTIME_DIR=/tmp", "TERM=xterm",
	}
}

// seen is how a program there names a file in dir.
func seen(name string) string { return `Z:\brs-exec\` + name }

// programFiles is a folder with spaces in its name, and how programs there name it.
func programFiles(*testing.T) (here, there string) {
	return filepath.Join(root, "prefix", "drive_c", "Program Files", "brs exec"), `C:\Program Files\brs exec`
}

func leftInTemp(t *testing.T) []string {
	t.Helper()
	left, err := foldersInTemp()
	if err != nil {
		t.Fatal(err)
	}
	return left
}

// command is one in the folder with the programs. Windows' own are found by name.
func (m *machine) command(argv ...string) *exec.Cmd {
	const enter = `mount --bind /proc "$0/proc" && exec chroot "$0" sh -c 'cd /brs-exec && exec wine "$@"' sh "$@"`
	cmd := exec.Command("unshare", slices.Concat([]string{"--mount", "--propagation", "private", "sh", "-c", enter, root}, argv)...)
	cmd.Env = m.env
	return cmd
}
