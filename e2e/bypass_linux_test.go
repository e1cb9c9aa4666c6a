package e2e

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"brs-exec/internal/sandbox"
	"brs-exec/need"
)

// However many brs-exec watch the user's files, he can start a program that needs inotify.
func TestManyLeaveInotify(t *testing.T) {
	need.Long(t, "15 seconds of a processor")
	w := newWorld(t, sandbox.Options{}).base()
	w.write(t, ".aws/credentials", "[default]\naws_access_key_id = AKIAOTHER\naws_secret_access_key = secret\n")
	const many = 200
	stop := filepath.Join(w.home, "stop")
	var wg sync.WaitGroup
	for range many {
		wg.Go(func() {
			cmd := exec.CommandContext(t.Context(), tools.brsExec, "--role-arn", role, "--start-timeout", "120", "--",
				"sh", "-c", `>"$0.$$"; while [ ! -e "$0" ]; do sleep 0.2; done`, stop)
			cmd.Env = w.env
			if err := cmd.Run(); err != nil { // what they say: each has opened the file that the others watch
				t.Error(err)
			}
		})
	}
	running := func() int {
		files, _ := filepath.Glob(stop + ".*")
		return len(files)
	}
	for end := time.Now().Add(2 * time.Minute); running() < many && time.Now().Before(end); {
		time.Sleep(100 * time.Millisecond)
	}
	if n := running(); n < many {
		t.Errorf("%d of %d run", n, many)
	}
	if fd, err := unix.InotifyInit1(unix.IN_CLOEXEC); err != nil {
		t.Errorf("an editor: %v", err)
	} else {
		unix.Close(fd)
	}
	if n := instances(t); n == 0 || n > 16 {
		t.Errorf("brs-exec hold %d instances of inotify; want 1 to 16", n)
	}
	if err := os.WriteFile(stop, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
}

// The line of the warning's hint, for root and for an ordinary user: the file is gone, and the endpoint is not.
func TestTheLineHidesTheFile(t *testing.T) {
	bwrap := needTool(t, "bwrap")
	for _, uid := range []string{"0", "65534"} {
		t.Run(uid, func(t *testing.T) {
			need.That(t, os.Geteuid() == 0, "root", "it becomes another user")
			w := newWorld(t, sandbox.Options{}).base()
			home := openDir(t, 0o755)
			w.set("HOME=" + home)
			for _, dir := range []string{".", ".aws"} {
				if err := errors.Join(os.MkdirAll(filepath.Join(home, dir), 0o755), os.Chown(filepath.Join(home, dir), 65534, 65534)); err != nil {
					t.Fatal(err)
				}
			}
			text := "[default]\naws_access_key_id = AKIAOTHER\naws_secret_access_key = secret\n"
			if err := os.WriteFile(filepath.Join(home, ".aws", "credentials"), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			as := func(command ...string) (string, int) {
				line := []string{"--reuid", uid, "--regid", uid, "--clear-groups", tools.brsExec, "--role-arn", role, "--"}
				cmd := exec.CommandContext(t.Context(), "setpriv", append(line, command...)...)
				cmd.Env = slices.Concat(w.env[3:], []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + openDir(t, 0o1777)})
				out, err := cmd.CombinedOutput()
				if err != nil && cmd.ProcessState == nil {
					t.Fatal(err)
				}
				return string(out), cmd.ProcessState.ExitCode()
			}
			cat := filepath.Join(home, ".aws", "credentials")
			if out, status := as("cat", cat); status != 0 || strings.Count(out, "nobody asked the endpoint") != 1 {
				t.Errorf("without: status %d, %s", status, out)
			}
			hidden := []string{bwrap, "--dev-bind", "/", "/", "--tmpfs", filepath.Join(home, ".aws")}
			if out, status := as(append(hidden, "cat", cat)...); status == 0 || !strings.Contains(out, "No such file") || strings.Contains(out, "nobody asked") {
				t.Errorf("cat: status %d, %s", status, out)
			}
			if out, status := as(append(hidden, tools.whois)...); status != 0 || !strings.Contains(out, "assumed-role/etl") {
				t.Errorf("whois: status %d, %s", status, out)
			}
		})
	}
}

// instances counts those of the brs-exec under test.
func instances(t *testing.T) (n int) {
	exes, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		t.Fatal(err)
	}
	for _, exe := range exes {
		if path, _ := os.Readlink(exe); path != tools.brsExec {
			continue
		}
		fds, _ := filepath.Glob(filepath.Join(filepath.Dir(exe), "fd", "*"))
		for _, fd := range fds {
			if to, _ := os.Readlink(fd); strings.Contains(to, "inotify") {
				n++
			}
		}
	}
	return n
}
