//go:build amd64 || arm64

package holder

import (
	"encoding/json"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"brs-exec/internal/procfs"
	"brs-exec/internal/runner/entry"
)

const (
	// look is how often it looks whether one of those that it knows runs.
	look = time.Second
	// anew is at which of these looks it searches all processes, which costs more: one may have
	// become something else meanwhile.
	anew = 10
)

// Start starts a holder of these listeners, which are refusing already. It goes on when we have
// ended.
func Start(listeners []uintptr, o Orders) error {
	orders, err := o.Pipe()
	if err != nil {
		return err
	}
	defer orders.Close()
	null, err := os.OpenFile("/dev/null", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	files := append([]uintptr{null.Fd(), orders.Fd(), null.Fd()}, listeners...)
	_, err = entry.Start(Role, nil, nil, files, &syscall.SysProcAttr{})
	return err
}

// Hold is the holder's whole life, if we are one: it doesn't return then. Else it does nothing.
func Hold() {
	if len(os.Args) != 1 || os.Args[0] != Role {
		return
	}
	signal.Ignore() // the Go runtime has taken some out of the mask that we came with
	// prctl(2) would name the thread that we are on, which isn't always the first.
	os.WriteFile("/proc/self/comm", []byte(Role), 0)
	os.Chdir("/") // a file system may be unmounted
	var o Orders
	pipe := os.NewFile(1, "orders")
	if err := json.NewDecoder(io.LimitReader(pipe, 1<<16)).Decode(&o); err == nil {
		pipe.Close()
		o.follow()
	}
	os.Exit(0)
}

// follow does as ordered.
func (o Orders) follow() {
	left := procfs.Carrying(0, o.Told...)
	if o.Command.PID != 0 {
		left = slices.Concat(left, o.descendants(left))
		for _, p := range left {
			if p != o.Command { // which got it from the kernel
				send(p, o.Signal)
			}
		}
	}
	for n := 1; len(left) > 0; n++ {
		time.Sleep(look)
		if n%anew == 0 || !slices.ContainsFunc(left, procfs.Process.Runs) {
			left = procfs.Carrying(0, o.Told...)
		}
	}
}

// descendants lists those of the command that have not the endpoint in their environment: what runs
// under sudo, or env -i. The command of an inner brs-exec is told by that one.
func (o Orders) descendants(told []procfs.Process) (found []procfs.Process) {
	if !procfs.Own() || !o.Command.Runs() {
		return nil
	}
	for _, pid := range procfs.Tree(o.Command.PID) {
		p, ok := procfs.Of(pid)
		if ok && !slices.Contains(told, p) && !procfs.HasVariable(pid, "AWS_CONTAINER_CREDENTIALS_FULL_URI") {
			found = append(found, p)
		}
	}
	return found
}

// send signals a process that may have ended meanwhile, and nobody else.
func send(p procfs.Process, sig syscall.Signal) {
	fd, err := unix.PidfdOpen(p.PID, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	if p.Runs() { // and so it did when the pidfd was opened
		unix.PidfdSendSignal(fd, sig, nil, 0)
	}
}
