package procfs

import (
	"cmp"
	"net"

	"golang.org/x/sys/unix"
)

// Peer returns the user and the process at the other end of a unix socket (unix(4), LOCAL_PEERCRED
// and LOCAL_PEERPID).
func Peer(c *net.UnixConn) (uid uint32, pid int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, 0, err
	}
	var cred *unix.Xucred
	failed := raw.Control(func(fd uintptr) {
		if cred, err = unix.GetsockoptXucred(int(fd), unix.SOL_LOCAL, unix.LOCAL_PEERCRED); err == nil {
			pid, _ = unix.GetsockoptInt(int(fd), unix.SOL_LOCAL, unix.LOCAL_PEERPID)
		}
	})
	if failed != nil || err != nil {
		return 0, 0, cmp.Or(failed, err)
	}
	return cred.Uid, pid, nil
}
