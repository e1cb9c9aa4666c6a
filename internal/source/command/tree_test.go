//go:build linux || darwin

package command

import (
	"os"
	"testing"
)

func TestProcesses(t *testing.T) {
	if parent, lives := processes()[os.Getpid()]; !lives || parent != os.Getppid() {
		t.Errorf("this process is there: %v, a child of %d; want of %d", lives, parent, os.Getppid())
	}
}
