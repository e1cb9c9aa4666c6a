//go:build !unix

package ecsserver

// maxConns is a bound on memory where descriptors have no limit.
func maxConns() int { return 4096 }
