//go:build !(linux && (amd64 || arm64))

package runner

import (
	"net"

	"brs-exec/internal/runner/holder"
	"brs-exec/internal/runner/witness"
)

// Hold does nothing here.
func Hold() {}

// Port is never there: it is Linux's.
type Port struct{}

// NewPort is nil here.
func NewPort([]*net.TCPListener, ...string) *Port { return nil }

// Refuse does nothing here.
func (*Port) Refuse() {}

// Keep does nothing here.
func (*Port) Keep() error { return nil }

func (*Port) witness(holder.Orders) *witness.Witness { return nil }
