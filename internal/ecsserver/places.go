package ecsserver

import (
	"bytes"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
)

// rank says how much a connection is wanted. A stranger is who has not shown the token.
type rank int

const (
	foreign  rank = iota // a stranger of a user who never showed the token, or who had gone at once
	familiar             // a stranger of ours, of root or of a user who has shown the token before
	local                // by the share's socket, before its first request: who can open it is no stranger
	trusted              // has shown the token
	ranks
)

// What strangers may have at a time, each rank for itself. A client of ours shows the token in its
// first packet, so 512 is far more than start at once.
const (
	mostForeign  = 32
	mostFamiliar = 512
	mostBytes    = 2 << 20

	// mostLines is for one stranger: SDKs send ten. net/http makes some 150 bytes of a header line
	// of four, so bytes alone would bound nothing.
	mostLines = 32
)

var errManyLines = errors.New("too many header lines before the token")

// places is the set of open connections. Who is least wanted goes first, of those the oldest. A
// client that has shown the token and is being answered is never closed: the newcomer is.
type places struct {
	limit     int // of all ranks
	displaced atomic.Uint64

	mu     sync.Mutex // guards what follows
	byRank [ranks]map[*conn]bool
	limits [ranks]int
	bytes  [ranks]int      // that the connections there have sent
	uids   map[uint32]bool // whose strangers are familiar
}

func newPlaces(limit int, uids ...uint32) *places {
	p := &places{limit: limit, uids: make(map[uint32]bool)}
	p.limits = [ranks]int{mostForeign, mostFamiliar, limit, limit}
	for r := range p.byRank {
		p.byRank[r] = make(map[*conn]bool)
	}
	for _, uid := range uids {
		p.uids[uid] = true
	}
	return p
}

// knows says whether a user's strangers are familiar.
func (p *places) knows(uid uint32) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.uids[uid]
}

// add reports whether the set was full and whether there is room now.
func (p *places) add(c *conn) (full, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if full = len(p.byRank[c.rank]) >= p.limits[c.rank]; full {
		p.closeLocked(p.leastLocked(c.rank))
	}
	if p.countLocked() >= p.limit {
		full = true
		if !p.displaceLocked(c.rank) {
			return full, false
		}
	}
	p.byRank[c.rank][c] = true
	return full, true
}

func (p *places) countLocked() (n int) {
	for _, conns := range p.byRank {
		n += len(conns)
	}
	return n
}

func (p *places) remove(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.removeLocked(c)
}

func (p *places) removeLocked(c *conn) {
	if p.byRank[c.rank][c] {
		delete(p.byRank[c.rank], c)
		p.bytes[c.rank] -= c.sent
	}
}

// prove notes that a connection has shown the token, and so vouches for its user.
func (p *places) prove(c *conn) {
	if c.proven.Swap(true) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.rank < local && c.socket.Inode != 0 {
		p.uids[c.socket.UID] = true
	}
	if p.byRank[c.rank][c] { // else it has been displaced
		p.removeLocked(c)
		c.rank, c.sent = trusted, 0
		p.byRank[trusted][c] = true
	}
}

// took counts what has come by a connection that has not shown the token. If a rank's strangers
// have sent too much in all, the oldest go.
func (p *places) took(c *conn, b []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.lines += bytes.Count(b, []byte("\n")); c.lines > mostLines {
		return errManyLines
	}
	if !p.byRank[c.rank][c] || c.rank >= local {
		return nil
	}
	c.sent += len(b)
	p.bytes[c.rank] += len(b)
	for p.bytes[c.rank] > mostBytes {
		p.closeLocked(p.leastLocked(c.rank))
	}
	return nil
}

// displace closes the connection that is least wanted, if there is one that may be closed.
func (p *places) displace() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.displaceLocked(trusted)
}

// displaceLocked makes room for a newcomer of this rank. A foreign one costs nobody else a place.
func (p *places) displaceLocked(newcomer rank) bool {
	for r := range ranks {
		if c := p.leastLocked(r); c != nil {
			p.closeLocked(c)
			return true
		}
		if newcomer == foreign {
			break
		}
	}
	return false
}

// leastLocked returns the oldest of a rank that may be closed, or who has been idle for longest.
func (p *places) leastLocked(r rank) (least *conn) {
	for c := range p.byRank[r] {
		if (r != trusted || c.is(http.StateIdle)) && (least == nil || c.since.Load() < least.since.Load()) {
			least = c
		}
	}
	return least
}

func (p *places) closeLocked(c *conn) {
	p.removeLocked(c)
	c.Close() // wakes its goroutine, which ends
	p.displaced.Add(1)
}

// closeUnasked closes the connections on which no whole request has come yet.
func (p *places) closeUnasked() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conns := range p.byRank {
		for c := range conns {
			if c.is(http.StateNew) {
				c.Close()
			}
		}
	}
}
