package source

import "golang.org/x/sys/unix"

// zombie is SZOMB of <sys/proc.h>.
const zombie = 5

// processes maps every process to its parent, but for those that have ended and wait to be reaped. sysctl(3)
func processes() map[int]int {
	list, err := unix.SysctlKinfoProcSlice("kern.proc.all")
	if err != nil {
		return nil
	}
	running := make(map[int]int)
	for _, p := range list {
		if p.Proc.P_stat != zombie {
			running[int(p.Proc.P_pid)] = int(p.Eproc.Ppid)
		}
	}
	return running
}
