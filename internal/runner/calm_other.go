//go:build unix && !(linux && (amd64 || arm64))

package runner

import "os"

func calm() (undo func()) { return func() {} }

// Stderr is os.Stderr here.
var Stderr = os.Stderr
