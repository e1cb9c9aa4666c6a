//go:build linux || darwin

package source

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// What Close ends is the command with all that it started, deaf ones too, and soon.
func TestCloseEndsDescendants(t *testing.T) {
	for name, command := range map[string]string{
		"child":       `sh -c 'echo $$ >>"$PIDS"; exec sleep 60'; true`,
		"pipe":        `sh -c 'echo $$ >>"$PIDS"; exec sleep 60' | cat; true`,
		"deaf child":  `sh -c 'trap "" TERM; echo $$ >>"$PIDS"; exec sleep 60' >/dev/null; true`,
		"deaf shell":  `trap "" TERM; echo $$ >>"$PIDS"; sh -c 'echo $$ >>"$PIDS"; exec sleep 60'; sleep 60; true`,
		"grandchild":  `sh -c 'sh -c "echo \$\$ >>\"$PIDS\"; exec sleep 60"; true'; true`,
		"late child":  `trap 'sh -c "trap \"\" TERM; echo \$\$ >>\"$PIDS\"; exec sleep 60"' TERM; sh -c 'echo $$ >>"$PIDS"; exec sleep 60'; true`,
		"stopped":     `sh -c 'echo $$ >>"$PIDS"; kill -STOP $$; exec sleep 60'; true`,
		"one command": `echo $$ >>"$PIDS"; exec sleep 60`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "pids")
			s := mustNew(t, Options{CredentialCommand: "PIDS=" + file + "; export PIDS\n" + command})
			got := make(chan error, 1)
			go func() { _, err := s.Retrieve(context.Background()); got <- err }()
			until(t, func() bool { return len(pids(t, file)) > 0 })
			start := time.Now()
			s.Close()
			if took := time.Since(start); took > 5*time.Second { // it is 0.5 s, on a machine with nothing else to do
				t.Errorf("took %v", took)
			}
			if err := <-got; err == nil {
				t.Error("no error")
			}
			for _, pid := range pids(t, file) {
				if lives(pid) {
					t.Errorf("%d lives on", pid)
				}
			}
		})
	}
}

func pids(t *testing.T, file string) (list []int) {
	data, _ := os.ReadFile(file)
	for line := range strings.Lines(string(data)) {
		pid, err := strconv.Atoi(strings.TrimSpace(line))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, pid)
	}
	return list
}

// until waits for what another process does.
func until(t *testing.T, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it never came")
		}
	}
}

// lives says whether the process runs: one that has ended and waits to be reaped doesn't.
func lives(pid int) bool {
	state, err := exec.Command("ps", "-o", "stat=", "-p", strconv.Itoa(pid)).Output()
	return err == nil && !strings.HasPrefix(string(state), "Z")
}
