package runner

import "brs-exec/internal/runner/entry"

// EarlyEntry reports whether the program was linked with the entry point that runs before Go's
// runtime: see package entry.
func EarlyEntry() bool { return entry.Seen() }
