//go:build !(linux && (amd64 || arm64))

package runner

// StdoutClosed is false: without the early entry point nobody knows.
func StdoutClosed() bool { return false }
