package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"brs-exec/internal/sandbox"
)

// However many brs-exec watch the user's files, he can start a program that needs inotify.
func TestManyLeaveInotify(t *testing.T) {
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
