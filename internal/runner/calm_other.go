//go:build unix && !(linux && (amd64 || arm64))

package runner

func calm() (undo func()) { return func() {} }
