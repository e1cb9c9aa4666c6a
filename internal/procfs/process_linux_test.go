package procfs

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// child starts a command that waits for the end of its stdin, and returns its process id.
func child(t *testing.T, dir, path string, args ...string) int {
	t.Helper()
	cmd := exec.Command(path, args...)
	cmd.Dir = dir
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); cmd.Wait() })
	return cmd.Process.Pid
}

// The name, and the first argument that is a file: never a value that isn't one.
func TestProgram(t *testing.T) {
	dir := t.TempDir()
	script := filepath.Join(dir, "etl.sh")
	if err := os.WriteFile(script, []byte("read x\n:\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{
		"sh etl.sh": {"etl.sh", "--password", "hunter2"},
		"sh":        {"-c", "read x; :", "hunter2", "--token=hunter2", dir},
	} {
		for _, script := range []string{args[0], filepath.Join(dir, args[0])} {
			if args[0] == "-c" {
				script = "-c"
			}
			pid := child(t, dir, "sh", append([]string{script}, args[1:]...)...)
			got := Program(pid)
			for i := 0; i < 500 && got != want; i++ { // exec lets go of our pipe before it has set the arguments up
				time.Sleep(10 * time.Millisecond)
				got = Program(pid)
			}
			if got != want {
				t.Errorf("%q: got %q; want %q", args, got, want)
			}
		}
	}
}

// A title that a program gave itself may be a whole command line.
func TestProgramOfTitle(t *testing.T) {
	pid := child(t, "", "bash", "-c", `exec -a "server --password=hunter2 x" cat`)
	for range 500 {
		if got := Program(pid); got == "cat" {
			return
		}
		time.Sleep(10 * time.Millisecond) // until it is cat
	}
	t.Errorf("got %q; want cat", Program(pid))
}

func TestStartTime(t *testing.T) {
	pid := child(t, "", "cat")
	first, ok := StartTime(pid)
	if again, _ := StartTime(pid); !ok || first == 0 || first != again {
		t.Errorf("got %d, %d, %v", first, again, ok)
	}
	zombie := exec.Command("true")
	if err := zombie.Start(); err != nil {
		t.Fatal(err)
	}
	defer zombie.Wait()
	for range 500 {
		if _, ok := StartTime(zombie.Process.Pid); !ok {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("a zombie lives")
}

// A child and its child come before us; a process that is not ours is among all.
func TestTree(t *testing.T) {
	pid := child(t, "", "sh", "-c", "cat; :")
	var tree []int
	for range 500 {
		if tree = Tree(pid); len(tree) == 2 {
			break
		}
		time.Sleep(10 * time.Millisecond) // until it has started cat
	}
	if len(tree) != 2 || tree[1] != pid {
		t.Fatalf("got %v; want cat and its parent %d", tree, pid)
	}
	ours := Tree(os.Getpid())
	if last := ours[len(ours)-1]; last != os.Getpid() || !slices.Contains(ours, tree[0]) {
		t.Errorf("got %v; want %d among our descendants, ourselves last", ours, tree[0])
	}
	if all := All(); !slices.Contains(all, tree[0]) || !slices.Contains(all, os.Getppid()) {
		t.Errorf("got %v; want %d and %d among all", all, tree[0], os.Getppid())
	}
}
