package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	"brs-exec/internal/hint"
)

// recovered is for a defer: a panic, which is a bug of ours, becomes an error for tell. Go would
// print pages and end the process with 2, and the command would lose its terminal's settings. With
// GOTRACEBACK set Go does that.
func recovered(tell func(error)) {
	p := recover()
	switch {
	case p == nil:
	case os.Getenv("GOTRACEBACK") != "":
		panic(p)
	default:
		tell(hint.Errorf("please report it; GOTRACEBACK=all brs-exec … prints more", "bug: %v%s", p, panicked()))
	}
}

// panicked is where the panic began that is being recovered from.
func panicked() string {
	callers := make([]uintptr, 32)
	frames := runtime.CallersFrames(callers[:runtime.Callers(0, callers)])
	for begun, more := false, true; more; {
		var f runtime.Frame
		f, more = frames.Next()
		if begun && !strings.HasPrefix(f.Function, "runtime.") {
			return fmt.Sprintf(" (%s:%d)", f.File, f.Line)
		}
		begun = begun || f.Function == "runtime.gopanic"
	}
	return ""
}
