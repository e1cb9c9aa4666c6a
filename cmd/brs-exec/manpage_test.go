//go:build unix

package main

import (
	"os/exec"
	"testing"

	"brs-exec/need"
)

// TestManPage: the readers of man pages find no fault with ours.
func TestManPage(t *testing.T) {
	t.Parallel()
	need.Tools(t, "mandoc", "lexgrog")
	const page = "../../docs/brs-exec.1"
	if out, err := exec.Command("mandoc", "-T", "lint", page).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("mandoc -T lint: %v\n%s", err, out)
	}
	out, err := exec.Command("lexgrog", page).CombinedOutput()
	if err != nil {
		t.Errorf("lexgrog: %v: %s", err, out)
	}
}
