package runner

import "brs-exec/internal/runner/entry"

// Status is how brs-exec ends: 0 to 255 is an exit code, a negative number is death by that signal.
type Status int

// The statuses that are brs-exec's own. A command may well end with one of them.
const (
	RunFailed     Status = 124 // the command ran, and brs-exec failed the run
	Failed        Status = 125 // brs-exec failed; the command was not started
	NotExecutable Status = 126 // the command was found but can't be run
	NotFound      Status = 127 // there is no such command
)

// Code is the number that a shell's $? shows: the code, or 128 and the signal.
func (s Status) Code() int {
	if s < 0 {
		return 128 - int(s)
	}
	return int(s)
}

// EarlyEntry reports whether the program was linked with the entry point that runs before Go's
// runtime: see package entry.
func EarlyEntry() bool { return entry.Seen() }

// StdoutClosed reports whether file descriptor 1 came in closed. The Go runtime has opened
// /dev/null in its place, where whatever is printed gets lost. Without the early entry point nobody
// knows.
func StdoutClosed() bool { return entry.Inherited().Closed&(1<<1) != 0 }
