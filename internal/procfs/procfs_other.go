//go:build !linux

package procfs

import (
	"errors"
	"net/netip"
	"time"
)

// Supported reports whether anything can be seen here.
const Supported = false

// Connection finds nothing.
func Connection(local, remote netip.AddrPort) (Socket, error) { return Socket{}, errors.ErrUnsupported }

// Sockets finds nothing.
func Sockets() ([]Socket, error) { return nil, errors.ErrUnsupported }

// StartTime knows no process.
func StartTime(int) (ticks uint64, ok bool) { return 0, false }

// Comm knows no process.
func Comm(int) string { return "" }

// Program knows no process.
func Program(int) string { return "" }

// All lists nothing.
func All() []int { return nil }

// Tree lists nothing.
func Tree(int) []int { return nil }

// OpenSockets lists nothing.
func OpenSockets(int) []uint32 { return nil }

// SocketOwners finds nobody.
func SocketOwners([]int, time.Time) map[uint32]int { return nil }
