package conformance

import (
	"errors"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// onlyLoopback runs this test binary again in a network namespace whose only interface is
// lo, so that a request to any other address fails, and builds the clients for it.
// Where no namespace is to be had the matrix runs without.
func onlyLoopback() (done bool, status int) {
	if os.Getenv(inside) != "" {
		if err := loUp(); err != nil {
			return true, fail(err)
		}
		onlyLo = true
		listen(os.NewFile(3, "builds"))
		return false, 0
	}
	r, w, err := os.Pipe()
	if err != nil {
		return true, fail(err)
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.ExtraFiles = []*os.File{r}
	cmd.Env = append(os.Environ(), inside+"="+brsExec)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if err := cmd.Start(); errors.Is(err, syscall.EPERM) {
		told("not root: this runs without a network namespace, and some rows are left out")
		return false, 0
	} else if err != nil {
		return true, fail(err)
	}
	r.Close()
	buildAll(w)
	if err := cmd.Wait(); err != nil {
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
