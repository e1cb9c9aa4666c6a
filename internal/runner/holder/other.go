//go:build !(linux && (amd64 || arm64))

package holder

import "errors"

// Start fails here.
func Start([]uintptr, Orders) error { return errors.ErrUnsupported }

// Hold does nothing here.
func Hold() {}
