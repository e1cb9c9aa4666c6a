//go:build !(linux && (amd64 || arm64))

package entry

import "syscall"

// Seen is false here.
func Seen() bool { return false }

// Inherited is empty here.
func Inherited() State { return State{} }

// Start fails here.
func Start(string, []string, []string, []uintptr, *syscall.SysProcAttr) (int, error) {
	return 0, ErrUnavailable
}

// Launch fails here.
func Launch(Command) (*Process, error) { return nil, ErrUnavailable }

// Close is never called here.
func (p *Process) Close() { p.socket = -1 }
