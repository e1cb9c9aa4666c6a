package procfs

import (
	"bytes"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Catches reports whether a process has a handler for the signal of this name ("HUP").
func Catches(pid int, name string) bool {
	status, _ := os.ReadFile(file(pid, "status"))
	_, after, _ := bytes.Cut(status, []byte("\nSigCgt:\t"))
	digits, _, _ := bytes.Cut(after, []byte("\n"))
	mask, err := strconv.ParseUint(string(digits), 16, 64)
	number := unix.SignalNum("SIG" + name)
	return err == nil && number > 0 && mask>>(number-1)&1 == 1
}
