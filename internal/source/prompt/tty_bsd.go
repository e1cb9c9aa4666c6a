//go:build unix && !linux

package prompt

import "golang.org/x/sys/unix"

// flushTermios is setTermios that throws away what was typed before, as tcsetattr's TCSAFLUSH does.
const getTermios, setTermios, flushTermios = unix.TIOCGETA, unix.TIOCSETA, unix.TIOCSETAF
