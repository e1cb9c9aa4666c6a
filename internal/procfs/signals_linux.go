package procfs

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// SignalMask returns the signals that a file /proc/PID/status has in some of its fields: bit n-1 is
// signal n.
func SignalMask(path string, fields ...string) (mask uint64, known bool) {
	status, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	for _, field := range fields {
		_, rest, _ := strings.Cut(string(status), "\n"+field+":\t")
		hex, _, _ := strings.Cut(rest, "\n")
		m, err := strconv.ParseUint(hex, 16, 64)
		if err != nil {
			return 0, false
		}
		mask |= m
	}
	return mask, true
}

// Catches reports whether a process has a handler for the signal of this name ("HUP").
func Catches(pid int, name string) bool {
	mask, _ := SignalMask(file(pid, "status"), "SigCgt")
	number := unix.SignalNum("SIG" + name)
	return number > 0 && mask>>(number-1)&1 == 1
}
