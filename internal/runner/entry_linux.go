//go:build linux && (amd64 || arm64)

package runner

import "syscall"

// Linked with -ldflags '-E brs_exec_entry', the program starts in
// entry_linux_$GOARCH.s. What came in ignored or blocked, and the limit on open
// files, can be asked only there: the Go runtime changes them before the first
// line of Go. The entry point also takes the process's dumpable attribute away,
// and empties the mask, so that a signal that the command has blocked still comes
// here and waits there. Without the flag, or where the C linker has the last word
// (-race), these stay zero and the child is started by the syscall package, which
// keeps what the runtime has left.
var (
	entrySeen    uint64
	entryIgnored uint64         // bit n-1: signal n was ignored
	entryBlocked uint64         // the signal mask
	entryClosed  uint64         // bit n: file descriptor n of 0 to 2 was closed
	entryNofile  syscall.Rlimit // RLIMIT_NOFILE
)

// Early reports whether the program was linked with the early entry point.
func Early() bool { return entrySeen != 0 }

// StdoutClosed reports whether file descriptor 1 came in closed. The Go runtime
// has opened /dev/null in its place, where whatever is printed gets lost.
func StdoutClosed() bool { return entryClosed&(1<<1) != 0 }

// With the entry point we are brs-exec itself, not a test that happens to import
// this package: signals are caught before other packages are initialised.
func init() {
	if Early() {
		caughtEarly.open()
	}
}
