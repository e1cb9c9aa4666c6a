//go:build linux

package runner

import (
	"os"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// helpers are the commands that the test binary is under other names.
var helpers = map[string]func(){
	"masked": maskedMain,
}

// maskedMain blocks signals and becomes a command: masked TERM,USR1 command [args…]
func maskedMain() {
	runtime.LockOSThread()
	var mask uint64
	for name := range strings.SplitSeq(os.Args[1], ",") {
		mask |= bit(unix.SignalNum("SIG" + name))
	}
	sigprocmask(sigBlock, mask)
	path, _, err := Find(os.Args[2:], os.Environ())
	if err == nil {
		err = syscall.Exec(path, os.Args[2:], os.Environ())
	}
	panic(err)
}
