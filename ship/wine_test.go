//go:build linux

package ship

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"brs-exec/need"
)

// The Windows archive is unpacked and run under wine, in a layer over the root that .ci/wine has made.
func TestWindowsArchive(t *testing.T) {
	t.Parallel()
	archive := artefact(t, "brs-exec_*_windows_amd64.zip")
	root := os.Getenv("WINE_ROOT")
	_, err := os.Stat(filepath.Join(root, "ready"))
	need.That(t, root != "" && err == nil, "wine's root in WINE_ROOT", ".ci/wine")
	dir := layer(t)
	folder := filepath.Join(dir, "changed", "release")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	unpack(t, archive, folder)
	const enter = `mount -t overlay -o "lowerdir=$1,upperdir=$2/changed,workdir=$2/work" overlay "$2/root"
		mount -t proc proc "$2/root/proc"
		chroot "$2/root" sh -euc 'cd /release; wine ./brs-exec.exe --version; wine ./brs-exec.exe --sandbox'`
	cmd := exec.Command("unshare", append(slices.Clone(apart), "sh", "-euc", enter, "sh", root, dir)...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "WINEPREFIX=/prefix", "WINEDEBUG=-all", "WINEARCH=win64",
		"WINEDLLOVERRIDES=mscoree=;mshtml=", "LC_ALL=C.UTF-8", "AWS_EC2_METADATA_DISABLED=true", "XDG_RUNTIME_DIR=/tmp"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	wants(t, "under wine", strings.ReplaceAll(string(out), "\r", ""), "windows/amd64\n", "commit ", asSandbox)
}
