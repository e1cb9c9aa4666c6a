//go:build unix

package command

import (
	"os"
	"syscall"
	"time"
)

// grace is how long a command and all that it started may take to end when they are told to.
const grace = 400 * time.Millisecond

// endTree ends a child of ours and what descends from it, in half a second. A group of their own
// would make that one call, but keep the terminal's Ctrl-C from them. What has left the tree, as a
// daemon does, lives on.
func endTree(root *os.Process) error {
	if err := root.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	tree := map[int]*os.Process{root.Pid: root} // nobody else has the pid of what isn't reaped
	halt(tree)
	signal(tree, syscall.SIGTERM)
	signal(tree, syscall.SIGCONT)
	if wait(tree, grace) {
		return nil
	}
	halt(tree)
	signal(tree, syscall.SIGKILL)
	wait(tree, grace/4)
	return nil
}

// halt stops them all before any of them ends: a shell whose child ends first would go on with its
// next command, which nobody here knows of.
func halt(tree map[int]*os.Process) {
	for more := true; more; more = grow(tree) {
		signal(tree, syscall.SIGSTOP)
	}
}

// wait says whether all have ended in time. It looks at these alone: reading the whole table of a
// busy machine takes long.
func wait(tree map[int]*os.Process, limit time.Duration) bool {
	deadline := time.Now().Add(limit)
	for pause := 2 * time.Millisecond; time.Now().Before(deadline); pause = min(2*pause, 50*time.Millisecond) {
		time.Sleep(pause)
		for pid, p := range tree {
			if p.Signal(syscall.Signal(0)) != nil || zombie(pid) {
				delete(tree, pid)
			}
		}
		if len(tree) == 0 {
			return true
		}
	}
	return false
}

func signal(tree map[int]*os.Process, s syscall.Signal) {
	for _, p := range tree {
		p.Signal(s) // it may have ended meanwhile, or be another user's (sudo)
	}
}

// grow adds the children of those that are there. They are remembered, since the table shows no
// longer whose child somebody was when the parent has died. (On Linux an os.Process is a pidfd:
// nobody else is ever signalled.)
func grow(tree map[int]*os.Process) (grown bool) {
	running := processes()
	for more := true; more; {
		more = false
		for pid, parent := range running {
			if tree[parent] == nil || tree[pid] != nil {
				continue
			}
			if p, err := os.FindProcess(pid); err == nil {
				tree[pid], more, grown = p, true, true
			}
		}
	}
	return grown
}
