//go:build unix

package need

import (
	"os"
	"os/signal"
	"syscall"
)

// toTerminal writes past go test, as a prompt for a password does. Where there is no terminal it writes nothing.
func toTerminal(line string) {
	signal.Ignore(syscall.SIGTTOU)                                            // `stty tostop` would stop a go test in the background
	fd, err := syscall.Open("/dev/tty", syscall.O_WRONLY|syscall.O_NOCTTY, 0) // os.Open would be part of go test's cache key
	if err != nil {
		return
	}
	f := os.NewFile(uintptr(fd), "/dev/tty")
	f.WriteString(line)
	f.Close()
}
