package command

import (
	"context"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/windows"

	"brs-exec/internal/winproc"
)

const (
	shellName = "cmd.exe"
	notThere  = 9009 // cmd.exe's exit status where there is no such command
)

// shell runs what would be typed at a prompt: /s takes the outer quotes away and nothing else, /d
// leaves out what the registry has cmd.exe run first. It is the system's own cmd.exe, whatever the
// folder and PATH have.
// https://learn.microsoft.com/en-us/windows-server/administration/windows-commands/cmd
func shell(ctx context.Context, command string) *exec.Cmd {
	path := shellName
	if system, err := windows.GetSystemDirectory(); err == nil {
		path = filepath.Join(system, shellName)
	}
	cmd := exec.CommandContext(ctx, path)
	cmd.SysProcAttr = &syscall.SysProcAttr{CmdLine: shellName + ` /d /s /c "` + command + `"`}
	return cmd
}

// runTree runs cmd to its end. When its context ends, all that it has started ends.
func runTree(cmd *exec.Cmd) error {
	winproc.Suspended(cmd.SysProcAttr)
	var tree atomic.Pointer[winproc.Tree] // nil: there is none yet, or no job can be had
	cmd.Cancel = func() error {
		if t := tree.Load(); t != nil {
			return t.Kill()
		}
		return cmd.Process.Kill()
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	tree.Store(winproc.Adopt(cmd.Process))
	defer tree.Load().Release()
	return cmd.Wait()
}
