package rehearse

import "brs-exec/internal/procfs"

// Supported reports whether processes can be watched here.
const Supported = procfs.Supported

// Blind says why no connection can be seen, where that is so: a kernel without inet_diag, a sandbox
// (gVisor) that lacks it. No process would ever fail there.
func Blind() error {
	_, err := procfs.Sockets()
	return err
}

// connections returns the open TCP connections that each process opened; ok is false when they
// can't be seen. Who reached the endpoint is in our network namespace.
func connections(pids []int) (opened map[int][]procfs.Socket, ok bool) {
	all, err := procfs.Sockets()
	if err != nil {
		return nil, false
	}
	// A connection on a port that is listened on came in and was not opened here. To be asked (a
	// health check) is not to call AWS.
	served := make(map[uint16]bool)
	for _, s := range all {
		served[s.Local.Port()] = served[s.Local.Port()] || s.Listening
	}
	byInode := make(map[uint32]procfs.Socket, len(all))
	for _, s := range all {
		if !served[s.Local.Port()] {
			byInode[s.Inode] = s
		}
	}
	opened = make(map[int][]procfs.Socket)
	for _, pid := range pids {
		for _, inode := range procfs.OpenSockets(pid) {
			if s, ok := byInode[inode]; ok {
				opened[pid] = append(opened[pid], s)
			}
		}
	}
	return opened, true
}
