package ecsserver

import (
	"net/http"
	"sync"
	"sync/atomic"
)

// places is the set of open connections. Who has not shown the token goes first, oldest first; then
// who has been idle for longest. A client that has shown the token and is being answered is never
// closed: the newcomer is.
type places struct {
	max       int
	displaced atomic.Uint64

	mu    sync.Mutex // guards what follows
	conns map[*conn]bool
}

func newPlaces(max int) *places { return &places{max: max, conns: make(map[*conn]bool)} }

// add reports whether the set was full and whether there is room now.
func (p *places) add(c *conn) (full, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	full = len(p.conns) >= p.max
	if full && !p.displaceLocked() {
		return full, false
	}
	p.conns[c] = true
	return full, true
}

func (p *places) remove(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

func (p *places) displace() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.displaceLocked()
}

func (p *places) displaceLocked() bool {
	var least *conn
	for c := range p.conns {
		if (!c.proven.Load() || c.is(http.StateIdle)) && (least == nil || c.lessWanted(least)) {
			least = c
		}
	}
	if least == nil {
		return false
	}
	delete(p.conns, least)
	least.Close() // wakes its goroutine, which ends
	p.displaced.Add(1)
	return true
}

// closeUnasked closes the connections on which no whole request has come yet.
func (p *places) closeUnasked() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		if c.is(http.StateNew) {
			c.Close()
		}
	}
}
