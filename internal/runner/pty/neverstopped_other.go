//go:build unix && !linux

package pty

// NeverStopped does nothing here: x/sys has no signal masks for these systems.
func NeverStopped() (undo func()) { return func() {} }
