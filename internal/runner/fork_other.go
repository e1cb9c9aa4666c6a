//go:build unix && !(linux && (amd64 || arm64))

package runner

import "os"

// Early is false: there is no early entry point here.
func Early() bool { return false }

func (c *child) fork(path string, argv []string, tty *os.File) (int, error) {
	return forkExec(path, argv, c.Command, tty)
}

func missedStop(event) bool { return false }

func endSession() {}
