//go:build !(linux && (amd64 || arm64))

package entry

// Seen is false here.
func Seen() bool { return false }

// Inherited is empty here.
func Inherited() State { return State{} }

// Launch fails here.
func Launch(Command) (*Process, error) { return nil, ErrUnavailable }

// Close is never called here.
func (p *Process) Close() { p.socket = -1 }
