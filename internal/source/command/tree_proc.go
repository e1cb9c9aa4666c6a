//go:build unix && !darwin

package command

import "brs-exec/internal/procfs"

// processes maps every process to its parent, but for those that have ended and wait to be reaped.
// A system without Linux's /proc isn't asked: there the shell alone is told to end.
func processes() map[int]int {
	running := make(map[int]int)
	for _, pid := range procfs.All() {
		if parent := procfs.Parent(pid); parent != 0 {
			running[pid] = parent
		}
	}
	return running
}

// zombie: it has ended, and whoever took it over doesn't reap.
func zombie(pid int) bool {
	_, runs := procfs.StartTime(pid)
	return !runs && procfs.Own()
}
