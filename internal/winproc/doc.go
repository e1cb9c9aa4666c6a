// Package winproc starts processes on Windows: in a job from their first instruction on, and with a
// command line as somebody typed it.
//
// A Windows process gets one line, which it takes apart itself. Whoever joins a list of arguments
// to a line must guess how: cmd.exe, msiexec and batch files read it otherwise than most programs.
// So what was typed is handed on as it is, where that can be.
//
// A [Tree] is a job object. It holds a process and all that this starts, and can end them at once.
// https://learn.microsoft.com/en-us/windows/win32/procthread/job-objects
package winproc

import "strings"

// Tail returns what stands in a command line behind its first n arguments, the program's name
// included, as Go's package os takes them apart (os/exec_windows.go, readNextArg).
func Tail(line string, n int) string {
	for i := range n {
		line = strings.TrimLeft(line, " \t")
		if line = line[argument(line, i == 0):]; line == "" {
			return ""
		}
	}
	return strings.TrimLeft(line, " \t")
}

// argument is the length of the first argument. In the program's name a backslash is one.
func argument(line string, isName bool) int {
	quoted, slashes := false, 0
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case c == '"' && (isName || slashes%2 == 0):
			if quoted && !isName && i+1 < len(line) && line[i+1] == '"' { // "" in quotes is one, and ends them
				i++
			}
			quoted = !quoted
		case (c == ' ' || c == '\t') && !quoted:
			return i
		}
		if c == '\\' {
			slashes++
		} else {
			slashes = 0
		}
	}
	return len(line)
}
