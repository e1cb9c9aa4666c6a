//go:build linux

package ship

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"brs-exec/need"
)

const asSandbox = "arn:aws:sts::000000000000:assumed-role/sandbox/"

// The deb is installed over an older one, used, and purged: then the machine is what it was.
func TestDeb(t *testing.T) {
	t.Parallel()
	m := newcomer(t)
	m.run(`
		dpkg-deb --raw-extract /mnt/brs-exec_*_amd64.deb /tmp/old
		sed -i 's/^Version: .*/Version: 0.0.0~0/' /tmp/old/DEBIAN/control
		touch /tmp/old/usr/share/doc/brs-exec/of-old
		dpkg-deb -Znone --build /tmp/old /tmp/old.deb
		dpkg --install /tmp/old.deb
		rm -r /tmp/old /tmp/old.deb
		dpkg --install /mnt/brs-exec_*_amd64.deb
		test ! -e /usr/share/doc/brs-exec/of-old`)
	wants(t, "--version", m.run(`brs-exec --version`), "early entry point: yes", "commit ")
	wants(t, "--sandbox", m.run(`brs-exec --sandbox -- aws sts get-caller-identity`), asSandbox)
	wants(t, "man", m.run(`man brs-exec | cat; whatis brs-exec`), "brs-exec - ", "--role-arn")
	m.typed(`exec bash -li`, "brs-exec --sandbox-t\t", "brs-exec --sandbox-ttl")
	m.run(`dpkg --purge brs-exec; hash -r; ! command -v brs-exec`)
	if left := m.changed(); len(left) > 0 {
		t.Errorf("after the purge: %q", left)
	}
}

// Who has the deb alone runs what the README says first.
func TestNewcomer(t *testing.T) {
	t.Parallel()
	m := newcomer(t)
	m.run(`! command -v go; dpkg --install /mnt/brs-exec_*_amd64.deb; useradd --create-home me`)
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	lines := regexp.MustCompile(`(?m)^ {4}(?:\$ )?(brs-exec --sandbox\b[^#\n]*)`).FindAllStringSubmatch(string(readme), -1)
	if len(lines) == 0 {
		t.Fatal("the README has no line that starts brs-exec --sandbox")
	}
	for _, line := range lines {
		quoted := strings.ReplaceAll(line[1], "'", `'\''`)
		wants(t, line[1], m.run(fmt.Sprintf(`runuser -l me -c '%s' </dev/null`, quoted)), asSandbox)
	}
}

func TestLintian(t *testing.T) {
	t.Parallel()
	for _, arch := range []string{"amd64", "arm64"} {
		deb := artefact(t, "brs-exec_*_"+arch+".deb")
		need.Tools(t, "lintian")
		if out, err := exec.Command("lintian", "--allow-root", "--fail-on", "error", deb).CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		} else {
			t.Logf("%s", out)
		}
	}
}

// The rpm is installed into an empty root by Debian's rpm, verified, and erased.
func TestRpm(t *testing.T) {
	t.Parallel()
	pkg := artefact(t, "brs-exec-*.x86_64.rpm")
	need.Tools(t, "rpm")
	root := t.TempDir()
	rpm := func(args ...string) string {
		t.Helper()
		out, err := exec.Command("rpm", append([]string{"--root", root, "--dbpath", "/var/lib/rpm"}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("rpm %q: %v\n%s", args, err, out)
		}
		return string(out)
	}
	rpm("--initdb")
	rpm("--upgrade", "--nodeps", pkg)
	rpm("--verify", "--nodeps", "brs-exec")
	wants(t, "rpm -ql", rpm("-ql", "brs-exec"), "/usr/bin/brs-exec", "/usr/share/man/man1/brs-exec.1.gz",
		"/usr/share/bash-completion/completions/brs-exec", "/usr/share/zsh/site-functions/_brs-exec",
		"/usr/share/fish/vendor_completions.d/brs-exec.fish", "/usr/share/licenses/brs-exec/LICENSE")
	out, err := exec.Command(filepath.Join(root, "usr/bin/brs-exec"), "--sandbox", "--", "true").CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	rpm("--erase", "brs-exec")
	if _, err := os.Stat(filepath.Join(root, "usr/bin/brs-exec")); err == nil {
		t.Error("erased, and still there")
	}
}

// Debian has no apk: its parts are looked at.
func TestApk(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("tar", "--ignore-zeros", "-tzvf", artefact(t, "brs-exec_*_x86_64.apk")).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	wants(t, "apk", string(out), ".PKGINFO", "-rwxr-xr-x root/root", "usr/bin/brs-exec", "usr/share/man/man1/brs-exec.1.gz",
		"usr/share/zsh/site-functions/_brs-exec", "usr/share/licenses/brs-exec/LICENSE")
}
