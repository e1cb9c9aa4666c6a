//go:build amd64 || arm64

package runner

import (
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"brs-exec/internal/runner/entry"
	"brs-exec/internal/runner/holder"
	"brs-exec/internal/runner/witness"
)

// Hold is where the program begins in the role of the holder, and ends. Else it does nothing. Call
// it first.
func Hold() { holder.Hold() }

// Port is the port of an endpoint whose next owner must not be a stranger: see package holder.
type Port struct {
	told  []string
	files []uintptr // copies of the listeners
}

// NewPort takes note of listeners, and of the entries of the environment by which processes know
// them. It is nil where nobody can keep a port: as PID 1, with whom all others end, and where the
// program isn't linked with the early entry point.
func NewPort(listeners []*net.TCPListener, told ...string) *Port {
	if !entry.Seen() || os.Getpid() == 1 || len(listeners) == 0 {
		return nil
	}
	p := &Port{told: told}
	for _, ln := range listeners {
		raw, err := ln.SyscallConn()
		if err == nil {
			raw.Control(func(fd uintptr) {
				if n, err := unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0); err == nil {
					p.files = append(p.files, uintptr(n))
				}
			})
		}
	}
	return p
}

// Refuse ends the listening, whoever still has the socket.
func (p *Port) Refuse() {
	if p == nil {
		return
	}
	for _, fd := range p.files {
		syscall.Shutdown(int(fd), syscall.SHUT_RD)
	}
}

// Keep has the port, which is refusing, kept beyond our end.
func (p *Port) Keep() error {
	if p == nil {
		return nil
	}
	return holder.Start(p.files, holder.Orders{Told: p.told})
}

// witness starts the witness. It keeps the port if we are killed.
func (p *Port) witness(o holder.Orders) *witness.Witness {
	if p == nil {
		return witness.Start(nil, nil)
	}
	o.Told = p.told
	orders, err := o.Pipe()
	if err != nil {
		return nil
	}
	defer orders.Close()
	return witness.Start(p.files, orders)
}
