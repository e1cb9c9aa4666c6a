package main

import (
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/windows"
)

// shellExample runs the user's shell.
const shellExample = `-- %ComSpec%`

// environment is this process's. Windows' names have no case: those that brs-exec reads are in upper
// case here, so that nothing else has to know. (What the child gets besides is as it was: Path.)
func environment() []string {
	env := os.Environ()
	for i, entry := range env {
		name, value, ok := strings.Cut(entry, "=")
		switch upper := strings.ToUpper(name); {
		case !ok:
		case strings.HasPrefix(upper, "AWS_"), strings.HasPrefix(upper, "BRS_"), upper == "USERPROFILE":
			env[i] = upper + "=" + value
		}
	}
	return env
}

// platformRules refuse what does not exist here.
func (c *cli) platformRules() []rule {
	var rules []rule
	for _, flag := range []string{"pty", "kill-after"} {
		rules = append(rules, rule{c.setBy[flag] != "", c.given(flag) + ": Windows has no such thing", "leave it out"})
	}
	return rules
}

// plainPath is a path without spaces for the same file, where the volume has one: SDKs differ in
// how they quote.
func plainPath(path string) string {
	if !strings.Contains(path, " ") {
		return path
	}
	long, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return path
	}
	buf := make([]uint16, windows.MAX_LONG_PATH)
	n, err := windows.GetShortPathName(long, &buf[0], uint32(len(buf)))
	if err != nil || n == 0 || int(n) > len(buf) {
		return path
	}
	return windows.UTF16ToString(buf[:n])
}

// programName is how a command is known: without its folder and what PATHEXT adds, in lower case.
func programName(path string) string {
	name := strings.ToLower(filepath.Base(path))
	for ext := range strings.SplitSeq(strings.ToLower(os.Getenv("PATHEXT")), ";") {
		if short, ok := strings.CutSuffix(name, ext); ok && ext != "" {
			return short
		}
	}
	return name
}
