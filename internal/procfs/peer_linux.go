package procfs

import (
	"cmp"
	"net"

	"golang.org/x/sys/unix"
)

// Peer returns the user and the process at the other end of a unix socket: of a client that called
// connect(2), or of a server that called listen(2). pid is 0 for a process outside of our PID
// namespace, uid the overflow uid for a user outside of our user namespace (unix(7), SO_PEERCRED).
func Peer(c *net.UnixConn) (uid uint32, pid int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, 0, err
	}
	var cred *unix.Ucred
	failed := raw.Control(func(fd uintptr) {
		cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if failed != nil || err != nil {
		return 0, 0, cmp.Or(failed, err)
	}
	return cred.Uid, int(cred.Pid), nil
}
