package ecsserver

import (
	"maps"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"brs-exec/internal/procfs"
)

// How long one look through /proc for the process that asks may take: a machine may have very many
// processes. Two such looks may delay an answer, after the wait for credentials. SDKs give up after
// a second.
const (
	findForLog     = 50 * time.Millisecond
	findForWatch   = 400 * time.Millisecond
	findForRefusal = 250 * time.Millisecond
)

// finder tells which processes ask. Requests that come while one looks through /proc share the next
// look, so that fifty children which start at once cost two looks and not fifty.
type finder struct {
	budget time.Duration

	mu     sync.Mutex     // held while one looks; guards what follows
	began  time.Time      // of the last look
	owners map[uint32]int // the process of each socket that was seen by it
	all    bool           // it went through all processes, not only our descendants
	seen   map[int]bool   // all that asked
}

func newFinder(budget time.Duration) *finder {
	return &finder{budget: budget, seen: make(map[int]bool)}
}

// mostSeen bounds memory: a system that has more process ids counts no further.
const mostSeen = 1 << 16

// client returns the process at a connection's other end. A share's socket tells it at once.
func (f *finder) client(c *conn) (pid int) {
	socket, ok := c.stream.(*net.UnixConn)
	if !ok {
		return f.find(addrs(c))
	}
	_, pid, _ = procfs.Peer(socket)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.noteLocked(pid)
	return pid
}

func (f *finder) noteLocked(pid int) {
	if pid != 0 && len(f.seen) < mostSeen {
		f.seen[pid] = true
	}
}

// find returns the process that has the client's end of a connection open; 0 if there is none to be
// seen: of another user or namespace, or gone already.
func (f *finder) find(client, server netip.AddrPort) int {
	s, err := procfs.Connection(client, server)
	if err != nil {
		return 0
	}
	return f.owner(s.Inode)
}

// owner returns the process that has a socket open.
func (f *finder) owner(inode uint32) int {
	came := time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	pid := f.look(inode, came)
	f.noteLocked(pid)
	return pid
}

// look searches our descendants, who are few, and then all processes. A look that began after the
// request came has seen its socket. Unless we are root only processes of our own user can be seen.
func (f *finder) look(inode uint32, came time.Time) int {
	if !f.began.After(came) {
		f.began, f.all = time.Now(), false
		f.owners = procfs.SocketOwners(procfs.Tree(os.Getpid()), f.began.Add(f.budget))
	}
	if f.owners[inode] == 0 && !f.all {
		f.all = true
		all := procfs.SocketOwners(procfs.All(), f.began.Add(f.budget))
		maps.Copy(all, f.owners)
		f.owners = all
	}
	return f.owners[inode]
}

func (f *finder) count() int {
	if f == nil {
		return 0
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.seen)
}
