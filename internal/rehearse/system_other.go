//go:build !linux

package rehearse

// Supported reports whether processes can be watched here.
const Supported = false

func newSystem() system {
	return system{
		birth:       func(int) (uint64, bool) { return 0, false },
		name:        func(int) string { return unknown },
		connections: func([]int) (map[int][]Conn, bool) { return nil, false },
	}
}
