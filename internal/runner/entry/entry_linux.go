//go:build amd64 || arm64

package entry

// Written by entry_linux_$GOARCH.s.
var (
	seen    uint64
	ignored uint64
	blocked uint64
	closed  uint64
)

// Seen reports whether the program was linked with the early entry point.
func Seen() bool { return seen != 0 }

// Inherited returns what the entry point has seen: without it, nothing.
func Inherited() State { return State{Ignored: ignored, Blocked: blocked, Closed: closed} }
