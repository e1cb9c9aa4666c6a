package conformance

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// inside marks the process that runs in the namespace.
const inside = "CONFORMANCE_INSIDE_LO"

// onlyLoopback builds the clients and then runs this test binary again in a network
// namespace whose only interface is lo, so that a request to any other address fails.
// Where no namespace is to be had the matrix runs without.
func onlyLoopback() (done bool, status int) {
	if os.Getenv(inside) != "" {
		if err := loUp(); err != nil {
			return true, fail(err)
		}
		onlyLo = true
		return false, 0
	}
	for _, c := range wanted() {
		c.prepare() // what can't be had is told by the run
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	switch err := cmd.Run(); {
	case errors.Is(err, syscall.EPERM):
		fmt.Fprintln(os.Stderr, "conformance: not root: this runs without a network namespace, and some rows are left out")
		return false, 0
	case err != nil:
		return true, fail(err)
	}
	return true, 0
}

// loUp does what ip(8) link set lo up does.
func loUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	ifr.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr)
}
