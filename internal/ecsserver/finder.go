package ecsserver

import (
	"maps"
	"net"
	"os"
	"sync"
	"time"

	"brs-exec/internal/procfs"
)

// How long an answer waits, after the wait for credentials, until it is known which process asks: a
// machine may have very many, and one may have very many files open. SDKs give up after a second.
const (
	findForLog     = 20 * time.Millisecond
	findForWatch   = 400 * time.Millisecond
	findForRefusal = 250 * time.Millisecond
)

// finder tells which processes ask. Requests that come while one looks through /proc share the next
// look, so that fifty children which start at once cost two looks and not fifty.
type finder struct {
	budget time.Duration

	looking sync.Mutex     // held while one looks; guards what follows
	began   time.Time      // of the last look
	owners  map[uint32]int // the process of each socket that was seen by it
	all     bool           // it went through all processes, not only our descendants

	mu   sync.Mutex
	seen map[int]bool // all that asked; guarded by mu
}

func newFinder(budget time.Duration) *finder {
	return &finder{budget: budget, seen: make(map[int]bool)}
}

// mostSeen bounds memory: a system that has more process ids counts no further.
const mostSeen = 1 << 16

// client returns the process at a connection's other end; 0 if there is none to be seen: of another
// user or namespace, or gone already. It looks once a connection; a look that takes longer than the
// budget ends beside the answer, and is known to the next one. A share's socket tells it at once.
func (f *finder) client(c *conn) (pid int) {
	if !c.sought {
		c.sought = true
		f.seek(c)
	}
	return int(c.pid.Load())
}

func (f *finder) seek(c *conn) {
	if socket, ok := c.stream.(*net.UnixConn); ok {
		_, pid, _ := procfs.Peer(socket)
		f.note(c, pid)
		return
	}
	if c.socket.Inode == 0 {
		return
	}
	found := make(chan struct{})
	c.listener.open.Go(func() {
		f.note(c, f.owner(c.socket.Inode))
		close(found)
	})
	within(found, f.budget)
}

func (f *finder) note(c *conn, pid int) {
	c.pid.Store(int64(pid))
	f.mu.Lock()
	defer f.mu.Unlock()
	if pid != 0 && len(f.seen) < mostSeen {
		f.seen[pid] = true
	}
}

// owner returns the process that has a socket open.
func (f *finder) owner(inode uint32) int {
	came := time.Now()
	f.looking.Lock()
	defer f.looking.Unlock()
	return f.look(inode, came)
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
