//go:build unix

package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

var scripts = testscript.Params{Dir: filepath.Join("..", "..", "testdata", "scripts")}

var (
	systemCommands = map[string]func(){"person": person}
	systemCmds     = map[string]func(*testscript.TestScript, bool, []string){"signal": cmdSignal}
)

// signalOf is the name of the signal that a process died of; "": it ended by itself.
func signalOf(p *os.ProcessState) string {
	if w := p.Sys().(syscall.WaitStatus); w.Signaled() {
		return strings.TrimPrefix(unix.SignalName(w.Signal()), "SIG")
	}
	return ""
}

// signal NAME sends a signal to the script's only background process.
func cmdSignal(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: signal NAME")
	}
	cmds := ts.BackgroundCmds()
	if len(cmds) != 1 {
		ts.Fatalf("%d background commands; want one", len(cmds))
	}
	number := unix.SignalNum("SIG" + args[0])
	if number == 0 {
		ts.Fatalf("no signal %s", args[0])
	}
	ts.Check(cmds[0].Process.Signal(number))
}
