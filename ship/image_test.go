//go:build linux

package ship

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"brs-exec/need"
)

// A blob of the image, as the OCI's image-spec has index, manifest and configuration.
type blob struct {
	Manifests []struct {
		Digest   string
		Platform struct{ OS, Architecture string }
	}
	Config       json.RawMessage // a digest in a manifest, what to run in a configuration
	Layers       []struct{ Digest string }
	OS           string
	Architecture string
}

type image struct{ dir string }

func (i image) blob(t *testing.T, path string) (b blob) {
	t.Helper()
	if err := json.Unmarshal([]byte(text(t, filepath.Join(i.dir, path))), &b); err != nil {
		t.Fatal(err)
	}
	return b
}

func blobPath(digest string) string {
	return filepath.Join("blobs", strings.Replace(digest, ":", "/", 1))
}

func decode[T any](t *testing.T, raw json.RawMessage) (v T) {
	t.Helper()
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// Both platforms are there; nobody is root; what is run is brs-exec, which runs.
func TestImage(t *testing.T) {
	t.Parallel()
	i := image{artefact(t, "image")}
	index := i.blob(t, blobPath(i.blob(t, "index.json").Manifests[0].Digest))
	var archs []string
	for _, m := range index.Manifests {
		archs = append(archs, m.Platform.OS+"/"+m.Platform.Architecture)
		manifest := i.blob(t, blobPath(m.Digest))
		configuration := i.blob(t, blobPath(decode[struct{ Digest string }](t, manifest.Config).Digest))
		run := decode[struct {
			User            string
			Env, Entrypoint []string
		}](t, configuration.Config)
		if run.User != "65532:65532" || !slices.Equal(run.Entrypoint, []string{"brs-exec"}) ||
			!slices.Contains(run.Env, "PATH=/usr/bin") || configuration.Architecture != m.Platform.Architecture {
			t.Errorf("%s: %s", m.Platform.Architecture, configuration.Config)
		}
		if m.Platform.Architecture != "amd64" {
			continue
		}
		root := t.TempDir()
		for _, layer := range manifest.Layers {
			must(t, root, "tar", "-xpf", filepath.Join(i.dir, blobPath(layer.Digest)))
		}
		for _, folder := range []string{"proc", "dev"} { // a runtime makes and mounts them
			if err := os.Mkdir(filepath.Join(root, folder), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		out := contained(t, root, run.Env, "/usr/bin/brs-exec", "--sandbox", "--", "brs-exec", "--version")
		wants(t, "in the image", out, "early entry point: yes")
		wants(t, "in the image", contained(t, root, run.Env, "/usr/bin/brs-exec", "--sandbox"), asSandbox)
	}
	slices.Sort(archs)
	if !slices.Equal(archs, []string{"linux/amd64", "linux/arm64"}) {
		t.Errorf("platforms %q", archs)
	}
}

// contained runs a command as a container's runtime would, with pids, mounts and a network of its own, as process 1.
func contained(t *testing.T, root string, env []string, argv ...string) string {
	t.Helper()
	need.Tools(t, "unshare", "ip")
	const enter = `ip link set lo up; mount -t proc proc "$0/proc"; mount -t tmpfs -o mode=755 tmpfs "$0/dev"
		mkdir -m 1777 "$0/dev/shm"; mknod -m 666 "$0/dev/null" c 1 3; mknod -m 666 "$0/dev/urandom" c 1 9
		exec env -i "$@"`
	args := slices.Concat(apart, []string{"--net", "sh", "-euc", enter, root}, env,
		[]string{"AWS_EC2_METADATA_DISABLED=true", "/usr/sbin/chroot", "--userspec=65532:65532", root}, argv)
	out, err := exec.Command("unshare", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%q: %v\n%s", argv, err, out)
	}
	return string(out)
}

// The program alone, and CA roots: no /proc, no /dev, no /tmp, no libc.
func TestEmptyRoot(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	must(t, root, "tar", "-xzf", artefact(t, "brs-exec_*_linux_amd64.tar.gz"), "brs-exec")
	must(t, root, "sh", "-ec", `mkdir -p etc/ssl/certs; cat /usr/share/ca-certificates/mozilla/*.crt >etc/ssl/certs/ca-certificates.crt`)
	cmd := exec.Command("/brs-exec", "--sandbox", "--", "/brs-exec", "--version")
	cmd.Env = []string{"AWS_EC2_METADATA_DISABLED=true"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
	cmd.Dir = "/"
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	wants(t, "in an empty root", string(out), "early entry point: yes")
	if left := must(t, root, "find", ".", "-mindepth", "1", "-newer", "brs-exec", "-type", "f", "!", "-path", "./etc/*"); left != "" {
		t.Errorf("left: %s", left)
	}
}
