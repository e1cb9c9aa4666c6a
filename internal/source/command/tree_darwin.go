package command

import "golang.org/x/sys/unix"

// ended is SZOMB of <sys/proc.h>.
const ended = 5

// processes maps every process to its parent, but for those that have ended and wait to be reaped.
// sysctl(3)
func processes() map[int]int {
	list, err := unix.SysctlKinfoProcSlice("kern.proc.all")
	if err != nil {
		return nil
	}
	running := make(map[int]int)
	for _, p := range list {
		if p.Proc.P_stat != ended {
			running[int(p.Proc.P_pid)] = int(p.Eproc.Ppid)
		}
	}
	return running
}

// zombie: launchd reaps at once what it takes over.
func zombie(int) bool { return false }
