//go:build linux && (amd64 || arm64)

package runner

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"brs-exec/internal/runner/siginfo"
)

// helpers are the commands that the test binary is under other names.
var helpers = map[string]func(){
	"masked":    maskedMain,
	"ignoring":  ignoringMain,
	"subreaper": subreaperMain,
	"stopping":  stoppingMain,
}

// maskedMain blocks signals and becomes a command: masked TERM,USR1 command [args…]
func maskedMain() {
	runtime.LockOSThread()
	var mask uint64
	for name := range strings.SplitSeq(os.Args[1], ",") {
		mask |= bit(unix.SignalNum("SIG" + name))
	}
	sigmask(unix.SIG_BLOCK, mask)
	become(os.Args[2:])
}

// ignoringMain ignores a signal, be it SEGV, and becomes a command: ignoring 11 command [args…]
func ignoringMain() {
	sig, _ := strconv.Atoi(os.Args[1])
	siginfo.Set(syscall.Signal(sig), siginfo.Ignore)
	become(os.Args[2:])
}

// subreaperMain becomes a command that orphans go to: subreaper command [args…]
func subreaperMain() {
	unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
	become(os.Args[1:])
}

// stoppingMain, which catches TSTP, writes a byte, and after each stop another; it stops itself for
// each byte that it reads.
func stoppingMain() {
	runtime.LockOSThread()
	if _, err := siginfo.Open(); err != nil { // nobody reads it
		panic(err)
	}
	siginfo.Catch(syscall.SIGTSTP)
	for b := make([]byte, 1); ; raise(syscall.SIGTSTP) {
		os.Stdout.Write(b)
		if n, _ := os.Stdin.Read(b); n == 0 {
			return
		}
	}
}

func become(argv []string) {
	path, _, err := Find(argv, os.Environ())
	if err == nil {
		err = syscall.Exec(path, argv, os.Environ())
	}
	panic(err)
}
