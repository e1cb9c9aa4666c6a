//go:build !unix

package notify

import "net"

// Reloading is what to send when a reload begins.
func Reloading() []string { return []string{"RELOADING=1"} }

// Listeners takes nothing.
func Listeners(func(string) string) ([]net.Listener, error) { return nil, nil }
