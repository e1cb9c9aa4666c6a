package procfs

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"brs-exec/need"
)

// carrier starts a process with entry in its environment. It ends with its stdin.
func carrier(t *testing.T, entry string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), entry)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); cmd.Wait() })
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// A process that is new since one that was started a moment ago is found among the new ones, and
// among all.
func TestCarrying(t *testing.T) {
	const entry = "BRS_TEST_CARRYING=http://127.0.0.1:1/x"
	before := carrier(t, "OTHER=1", "cat").Process.Pid
	pid := carrier(t, entry, "cat").Process.Pid
	for _, longer := range []string{entry + "y", "X" + entry} {
		carrier(t, longer, "cat")
	}
	for _, after := range []int{0, before, 1 << 30} {
		got := Carrying(after, "NONE=1", entry)
		if len(got) != 1 || got[0].PID != pid || !got[0].Runs() {
			t.Errorf("after %d: got %v; want process %d", after, got, pid)
		}
	}
	if got := Carrying(pid, entry); len(got) != 0 {
		t.Errorf("after the process: got %v; want none", got)
	}
	if (Process{pid, 1}).Runs() {
		t.Error("a process runs that was started at another time")
	}
}

// A process that has ended carries nothing, collected or not.
func TestCarryingZombie(t *testing.T) {
	const entry = "BRS_TEST_ZOMBIE=1"
	cmd := carrier(t, entry, "cat")
	p, _ := Of(cmd.Process.Pid)
	cmd.Process.Kill()
	for end := time.Now().Add(10 * time.Second); p.Runs(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it runs")
		}
	}
	if got := Carrying(0, entry); len(got) != 0 {
		t.Errorf("got %v; want none", got)
	}
}

// Where /proc is another namespace's, nobody may be signalled by an id from there.
func TestOwn(t *testing.T) {
	if os.Getenv("BRS_TEST_OWN") != "" {
		if Own() || len(Carrying(0, "BRS_TEST_OWN=1")) != 0 {
			t.Error("an outer /proc is taken for ours")
		}
		return
	}
	if !Own() {
		t.Fatal("our own /proc isn't")
	}
	need.That(t, os.Geteuid() == 0, "root", "a PID namespace is made")
	cmd := exec.Command(os.Args[0], "-test.run=^TestOwn$")
	cmd.Env = append(os.Environ(), "BRS_TEST_OWN=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func TestHas(t *testing.T) {
	environ := strings.Join([]string{"A=1", "B=2", ""}, "\x00")
	for entry, want := range map[string]bool{"A=1": true, "B=2": true, "A=": false, "=1": false, "A=1\x00B=2": false} {
		if got := has([]byte(environ), []string{entry}); got != want {
			t.Errorf("%q: got %v; want %v", entry, got, want)
		}
	}
}
