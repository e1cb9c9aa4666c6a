//go:build !windows

package main

import (
	"os"
	"path/filepath"
)

// shellExample runs the user's shell.
const shellExample = `-- "$SHELL"`

// environment is this process's.
func environment() []string { return os.Environ() }

// platformRules refuse what does not exist here.
func (c *cli) platformRules() []rule { return nil }

// plainPath is a path for the same file that needs no quotes, where there is one.
func plainPath(path string) string { return path }

// programName is how a command is known.
func programName(path string) string { return filepath.Base(path) }
