//go:build unix

package command

import (
	"context"
	"os/exec"
)

const (
	shellName = "/bin/sh"
	notThere  = 127 // a shell's exit status where there is no such command
)

func shell(ctx context.Context, command string) *exec.Cmd {
	return exec.CommandContext(ctx, shellName, "-c", command)
}

// runTree runs cmd to its end. When its context ends, all that it has started ends.
func runTree(cmd *exec.Cmd) error {
	cmd.Cancel = func() error { return endTree(cmd.Process) }
	return cmd.Run()
}
