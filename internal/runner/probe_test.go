//go:build linux && (amd64 || arm64)

package runner

import (
	"fmt"
	"os"
	"runtime"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"brs-exec/internal/runner/witness"
	"brs-exec/need"
)

func init() { helpers["oldkernel"] = oldKernelMain }

// oldKernelMain becomes a command for which there is no close_range(2): oldkernel command [args…]
func oldKernelMain() {
	runtime.LockOSThread()
	const allow, refuse = 0x7fff0000, 0x00050000 | uint32(unix.ENOSYS) // SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}, // the system call's number
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: unix.SYS_CLOSE_RANGE},
		{Code: unix.BPF_RET | unix.BPF_K, K: refuse},
		{Code: unix.BPF_RET | unix.BPF_K, K: allow},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
	err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0)
	if err != nil {
		panic(err)
	}
	become(os.Args[1:])
}

// TestProbeKilled: a probe that somebody kills has a successor, which knows again what came to the
// whole group.
func TestProbeKilled(t *testing.T) {
	probeRow(t)
	j := newJournal(t)
	w := wrapped.start(t, "w", "count", string(j))
	j.ready(t)
	for _, sig := range []string{"TERM", "INT"} {
		first, second := wrapped.probed(t, w), 0
		kill(t, "KILL", first)
		eventually(t, "another probe", func() bool {
			for _, pid := range childrenOf(w) {
				if pid != first && commandName(pid) == "sigprobe" {
					second = pid
				}
			}
			return second != 0
		})
		kill(t, sig, -w)
		j.has(t, sig)
		eventually(t, "the wrapper has asked it", func() bool { // what a probe knew goes with it
			pending, known := witness.Pending(second)
			return known && pending == 0
		})
	}
	if got := j.finish(t, w, "INT"); got != "TERM INT" {
		t.Errorf("got %q; want each once", got)
	}
}

// TestProbeOfOuterProc: where /proc is another namespace's, the number of the probe is somebody
// else's there.
func TestProbeOfOuterProc(t *testing.T) {
	probeRow(t)
	need.That(t, os.Geteuid() == 0, "root", "a PID namespace is made")
	j := newJournal(t)
	outer := wrapped.start(t, "unshare", "--pid", "--fork", "--", "sh", "-c", "setsid w count "+string(j)+" & wait")
	j.ready(t)
	w := 0
	eventually(t, "the wrapper", func() bool {
		w = below(outer, "w")
		return w != 0
	})
	wrapped.probed(t, w)
	kill(t, "TERM", -w)
	j.has(t, "TERM")
	if got := j.finish(t, w, "TERM"); got != "TERM" {
		t.Errorf("got %q; want it once", got)
	}
}

// below finds a descendant by its name.
func below(pid int, name string) int {
	for _, child := range childrenOf(pid) {
		if commandName(child) == name {
			return child
		}
		if found := below(child, name); found != 0 {
			return found
		}
	}
	return 0
}

// TestOldKernel: without close_range(2), too, our processes have nothing open that isn't theirs.
func TestOldKernel(t *testing.T) {
	probeRow(t)
	for flag, name := range map[string]string{"": "sigprobe", "--pty": "ptykeep"} {
		j := newJournal(t)
		w := wrapped.start(t, "bash", "-c", "exec 9</dev/null 300</dev/null; exec oldkernel w "+flag+" count "+string(j))
		j.ready(t)
		ours := 0
		eventually(t, name, func() bool { ours = below(w, name); return ours != 0 })
		eventually(t, name+" has closed them", func() bool {
			open := fmt.Sprintf("/proc/%d/fd/", ours) // brs-exec's own have its listeners, too
			return exists(open) && !exists(open+"9") && !exists(open+"300")
		})
		j.finish(t, w)
	}
}
