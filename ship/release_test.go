//go:build linux

package ship

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"brs-exec/need"
)

func must(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

func text(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

var platforms = map[string]string{"linux": "tar.gz", "darwin": "tar.gz", "windows": "zip"}

// Every file that a user may fetch is in checksums.txt, which verifies.
func TestChecksums(t *testing.T) {
	t.Parallel()
	dist := filepath.Join(clone(t), "dist")
	sums := text(t, filepath.Join(dist, "checksums.txt"))
	must(t, dist, "sha256sum", "--strict", "--check", "checksums.txt")
	found, err := filepath.Glob(filepath.Join(dist, `brs-exec[_\-]*`))
	if err != nil || len(found) < 18 {
		t.Fatalf("%d files (%v), want 6 archives, 6 packages and 6 lists of parts: %q", len(found), err, found)
	}
	for _, file := range found {
		if !strings.Contains(sums, "  "+filepath.Base(file)+"\n") {
			t.Errorf("checksums.txt lacks %s", filepath.Base(file))
		}
	}
}

func TestArchives(t *testing.T) {
	t.Parallel()
	for system, format := range platforms {
		for _, arch := range []string{"amd64", "arm64"} {
			dir := t.TempDir()
			unpack(t, artefact(t, "brs-exec_*_"+system+"_"+arch+"."+format), dir)
			program := "brs-exec"
			if system == "windows" {
				program += ".exe"
			}
			for _, file := range []string{program, "README.md", "LICENSE", "CHANGELOG.md", "man/brs-exec.1",
				"completions/brs-exec.bash", "completions/_brs-exec", "completions/brs-exec.fish"} {
				if info, err := os.Stat(filepath.Join(dir, file)); err != nil || info.Size() == 0 {
					t.Errorf("%s/%s: %s: %v", system, arch, file, err)
				}
			}
		}
	}
}

func unpack(t *testing.T, archive, dir string) {
	t.Helper()
	if strings.HasSuffix(archive, ".zip") {
		must(t, dir, "python3", "-m", "zipfile", "-e", archive, ".")
		return
	}
	must(t, dir, "tar", "-xzf", archive)
}

// The program for arm64 starts at its entry point, too.
func TestArm64(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	unpack(t, artefact(t, "brs-exec_*_linux_arm64.tar.gz"), dir)
	need.Tools(t, "qemu-aarch64-static")
	wants(t, "emulated", must(t, dir, "qemu-aarch64-static", "./brs-exec", "--version"), "linux/arm64", "early entry point: yes")
}

// Each manifest names the archives by their right sums.
func TestManifests(t *testing.T) {
	t.Parallel()
	sums := text(t, artefact(t, "checksums.txt"))
	for pattern, count := range map[string]int{
		"homebrew/brs-exec.rb": 4, "scoop/brs-exec.json": 2, "winget/manifests/*/*/*/*/*.installer.yaml": 2,
	} {
		manifest := text(t, artefact(t, pattern))
		found := regexp.MustCompile(`\b[0-9a-f]{64}\b`).FindAllString(manifest, -1)
		if len(found) != count {
			t.Errorf("%s: %d sums, want %d", pattern, len(found), count)
		}
		for _, sum := range found {
			_, name, _ := strings.Cut(sums, sum+"  ")
			name, _, _ = strings.Cut(name, "\n")
			if name == "" || !strings.Contains(manifest, "/"+name) {
				t.Errorf("%s: sum %s is of %q", pattern, sum, name)
			}
		}
	}
	must(t, "", "ruby", "-c", artefact(t, "homebrew/brs-exec.rb"))
}

// The list of parts has what go.mod has.
func TestBillOfMaterials(t *testing.T) {
	t.Parallel()
	var list struct {
		Components []struct{ Name, Version string }
	}
	if err := json.Unmarshal([]byte(text(t, artefact(t, "brs-exec_*_linux_amd64.sbom.json"))), &list); err != nil {
		t.Fatal(err)
	}
	version := strings.TrimSpace(must(t, clone(t), "go", "list", "-m", "-f", "{{.Version}}", "github.com/aws/aws-sdk-go-v2"))
	for _, c := range list.Components {
		if c.Name == "github.com/aws/aws-sdk-go-v2" && c.Version == version {
			return
		}
	}
	t.Errorf("no aws-sdk-go-v2 %s among %d parts", version, len(list.Components))
}

// The line that docs/INSTALL.md has for Linux makes the bytes of the release, in another folder, and no folder is in them.
func TestReproducible(t *testing.T) {
	t.Parallel()
	line := regexp.MustCompile(`(?m)^ {4}(CGO_ENABLED=0 go build .*-E brs_exec_entry.*)$`).FindStringSubmatch(text(t, "../docs/INSTALL.md"))
	if line == nil {
		t.Fatal("docs/INSTALL.md has no line for Linux")
	}
	dir := t.TempDir()
	there := filepath.Join(dir, "another folder")
	must(t, dir, "git", "clone", "--quiet", clone(t), there)
	must(t, there, "sh", "-c", line[1])
	unpack(t, artefact(t, "brs-exec_*_linux_amd64.tar.gz"), dir)
	mine, theirs := text(t, filepath.Join(there, "brs-exec")), text(t, filepath.Join(dir, "brs-exec"))
	if mine != theirs {
		t.Errorf("%d bytes here, %d in the release, and they differ", len(mine), len(theirs))
	}
	for _, folder := range []string{dir, clone(t)} {
		if strings.Contains(theirs, folder) {
			t.Errorf("the program names %s", folder)
		}
	}
	commit := strings.TrimSpace(must(t, there, "git", "rev-parse", "HEAD"))
	wants(t, "--version", must(t, dir, "./brs-exec", "--version"), "\ncommit "+commit+" 20", "early entry point: yes")
}

// After .ci/module, with the module's home, `go install` needs nothing but the path and a version.
func TestGoInstall(t *testing.T) {
	t.Parallel()
	const module, version = "example.com/me/brs-exec", "v1.2.3"
	dir := t.TempDir()
	there := filepath.Join(dir, "clone")
	must(t, dir, "git", "clone", "--quiet", clone(t), there)
	must(t, there, ".ci/module", module)
	must(t, there, "git", "-c", "user.name=me", "-c", "user.email=me@example.com", "commit", "--quiet", "--all", "--message", "home")

	proxy := filepath.Join(dir, "proxy", module, "@v")
	if err := os.MkdirAll(proxy, 0o755); err != nil {
		t.Fatal(err)
	}
	archive := []string{"archive", "--format=zip", "--prefix=" + module + "@" + version + "/", "--output=" + filepath.Join(proxy, version+".zip"), "HEAD", "."}
	for file := range strings.FieldsSeq(must(t, there, "git", "ls-files", "*/go.mod")) { // modules of their own
		archive = append(archive, ":!"+filepath.Dir(file))
	}
	must(t, there, "git", archive...)
	for name, content := range map[string]string{
		"list": version, version + ".info": `{"Version":"` + version + `"}`, version + ".mod": text(t, filepath.Join(there, "go.mod")),
	} {
		if err := os.WriteFile(filepath.Join(proxy, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	installed(t, dir, module, version)
}

// installed has modules and programs in folders of the test's own; what is fetched is there already.
func installed(t *testing.T, dir, module, version string) {
	t.Helper()
	cache := strings.TrimSpace(must(t, dir, "go", "env", "GOMODCACHE"))
	cmd := exec.Command("go", "install", "-trimpath", module+"/cmd/brs-exec@"+version)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOPROXY=file://"+filepath.Join(dir, "proxy")+",file://"+cache+"/cache/download",
		"GOMODCACHE="+filepath.Join(dir, "modules"), "GOBIN="+dir, "GOFLAGS=-modcacherw", "GOSUMDB=off", "CGO_ENABLED=0")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, &errs)
	}
	page := must(t, dir, "./brs-exec", "--version")
	wants(t, "--version", page, "brs-exec "+strings.TrimPrefix(version, "v")+"\n", "early entry point: no")
	wants(t, "--sandbox", must(t, dir, "./brs-exec", "--sandbox"), asSandbox)
}
