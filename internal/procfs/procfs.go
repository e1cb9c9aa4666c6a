// Package procfs asks Linux about sockets and processes: by sock_diag(7) and proc(5).
//
// # Subjects
//
// socket_linux.go asks the kernel for TCP sockets: one by its two addresses, or the one that
// listens at an address, in some ten microseconds, or all of them with the bytes they have carried.
// process.go reads /proc/PID: what a process is called, when it was started, which sockets it has
// open, what descends from it. carrying.go finds the processes that were started with a variable in
// their environment.
//
// # What can't be seen
//
// Everything here is a look at what may change the next moment. A process that has ended, or is
// another user's, has no sockets, no name and no children; a socket that its owner has closed is
// ErrNoSocket. On other systems than Linux nothing can be seen at all, and errors are
// errors.ErrUnsupported.
//
// All functions may be called at any time by any goroutine: each opens what it needs and closes it.
package procfs

import (
	"errors"
	"net/netip"
	"runtime"
)

// Supported reports whether anything can be seen here.
const Supported = runtime.GOOS == "linux"

// ErrNoSocket says that the kernel knows no such socket, or that its owner has closed it.
var ErrNoSocket = errors.New("sock_diag: no such socket")

// Socket is a TCP socket of this machine, in our network namespace.
type Socket struct {
	Local, Remote netip.AddrPort // an IPv4 address as such, on an IPv6 socket as well
	Listening     bool           // takes connections and is none itself
	UID           uint32         // of the user who made it
	Inode         uint32         // as in the link /proc/PID/fd/N; never 0

	// Sent and Received are the bytes that the peer has acknowledged and those that came. Only
	// Sockets tells them.
	Sent, Received uint64
}
