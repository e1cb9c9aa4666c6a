//go:build !linux

package procfs

import (
	"errors"
	"net/netip"
)

// Connection finds nothing.
func Connection(local, remote netip.AddrPort) (Socket, error) { return Socket{}, errors.ErrUnsupported }

// Listener finds nothing.
func Listener(netip.AddrPort) (Socket, error) { return Socket{}, errors.ErrUnsupported }

// Sockets finds nothing.
func Sockets() ([]Socket, error) { return nil, errors.ErrUnsupported }

// Catches sees nothing.
func Catches(int, string) bool { return false }
