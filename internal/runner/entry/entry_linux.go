//go:build amd64 || arm64

package entry

import "golang.org/x/sys/unix"

// Written by entry_linux_$GOARCH.s.
var (
	seen    uint64
	ignored uint64
	blocked uint64
	closed  uint64
)

// limit is a resource of getrlimit(2), and the least of it with which there is any use in starting.
type limit struct {
	resource uint64
	kind     uint64 // 0: the soft limit counts, 1: the hard one, to which the runtime raises the soft
	least    uint64
	text     string
}

// limits are those beneath which Go's runtime always fails, with a page of its own words; read by
// entry_linux_$GOARCH.s. Measured with Go 1.26.
//
//lint:ignore U1000 the assembly reads it
var limits = [3]limit{
	{unix.RLIMIT_AS, 0, 730 << 20, "brs-exec: ulimit -v is too low: brs-exec reserves 730 MB of addresses\n"},
	{unix.RLIMIT_NOFILE, 1, 24, "brs-exec: ulimit -n is too low: brs-exec opens 24 files\n"},
	{unix.RLIMIT_NPROC, 0, 6, "brs-exec: ulimit -u is too low: brs-exec starts 5 threads\n"},
}

// Seen reports whether the program was linked with the early entry point.
func Seen() bool { return seen != 0 }

// Inherited returns what the entry point has seen: without it, nothing.
func Inherited() State { return State{Ignored: ignored, Blocked: blocked, Closed: closed} }
