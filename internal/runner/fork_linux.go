//go:build linux && (amd64 || arm64)

package runner

import (
	"errors"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// step is one system call of a new process that shares our memory and may do
// nothing but system calls: fork_linux_$GOARCH.s walks through a list of them,
// which ends with an exit or an execve.
type step struct {
	nr     uintptr
	args   [6]uintptr
	check  uintptr // checkNothing …
	want   uintptr
	result uintptr
	copy   uintptr // checkFork: where else the parent stores the new process's id
}

const (
	checkNothing = 0
	checkError   = 1 // a negative result ends the process
	checkSame    = 2 // a result other than want does
	checkFork    = 3 // a clone: the new process goes on at the step *want
	checkDecimal = 4 // the result's decimal digits go to *want
)

// cloneSteps starts a process that does the steps. They must not be on the stack, which
// may move.
func cloneSteps(flags uintptr, first *step) (pid int)

// program is a list of steps, and what they point to.
type program struct {
	steps []step
	keep  []any
}

// fork starts the command with the signal dispositions and the mask that we came
// with, which the syscall package can't do.
func (c *child) fork(path string, argv []string, tty *os.File) (int, error) {
	if Early() {
		if pid, err := c.forkEarly(path, argv, tty); !noClone(err) {
			return pid, err
		}
	}
	return forkExec(path, argv, c.Command, tty)
}

func (c *child) forkEarly(path string, argv []string, tty *os.File) (int, error) {
	if tty != nil {
		return forkSession(path, argv, c.Command, tty)
	}
	p := program{steps: make([]step, 0, 80)}
	p.closed()
	if err := p.command(path, argv, c.Command); err != nil {
		return 0, err
	}
	return p.run(c.startStopped)
}

// noClone reports whether this is no real Linux: qemu's user mode knows no process that
// shares our memory. There the signals' actions are those that syscall.ForkExec leaves.
func noClone(err error) bool {
	refused, ok := errors.AsType[*forkError](err)
	return ok && (refused.Errno == syscall.EINVAL || refused.Errno == syscall.ENOSYS)
}

// command is the steps that all commands have.
func (p *program) command(path string, argv []string, c Command) error {
	p.signals()
	p.deathSignal(deathSignal(c.OnWrapperDeath))
	p.may(syscall.SYS_PRLIMIT64, 0, syscall.RLIMIT_NOFILE, ptr(&entryNofile), 0)
	if subreaper() {
		p.may(syscall.SYS_PRCTL, prSetChildSubreaper, 1) // kept by an exec, not by a fork
	}
	p.may(syscall.SYS_CLOCK_GETTIME, unix.CLOCK_MONOTONIC, ptr(&exposed))
	p.must(syscall.SYS_RT_SIGPROCMASK, sigSetmask, ptr(&entryBlocked), 0, 8)
	return p.exec(path, argv, c.Env)
}

// signals sets every action: until the exec there must be no handler of ours.
func (p *program) signals() {
	for sig := syscall.Signal(1); sig <= maxSignal; sig++ {
		act := &sigactions[sigDfl]
		if entryIgnored&bit(sig) != 0 {
			act = &sigactions[sigIgn]
		}
		p.may(syscall.SYS_RT_SIGACTION, uintptr(sig), ptr(act), 0, 8)
	}
}

// exposed is when the command's process was about to unblock its signals; it writes
// that itself. A Ctrl-Z that had come to it by then stopped it before its exec.
var exposed unix.Timespec

// missedStop reports whether a command that didn't stop before its exec has not had a
// TSTP that came to us.
func missedStop(e event) bool {
	return e.sig == syscall.SIGTSTP && e.at <= time.Duration(exposed.Nano())
}

var sigactions = [2]sigaction{sigDfl: {handler: sigDfl}, sigIgn: {handler: sigIgn}}

// closed closes what the Go runtime opened in place of closed descriptors.
func (p *program) closed() {
	for fd := range uintptr(3) {
		if entryClosed&(1<<fd) != 0 {
			p.may(syscall.SYS_CLOSE, fd)
		}
	}
}

func (p *program) deathSignal(sig syscall.Signal) {
	if sig == 0 {
		return
	}
	p.must(syscall.SYS_PRCTL, syscall.PR_SET_PDEATHSIG, uintptr(sig))
	// Dead already? Then there is nobody to tell, and nothing to start.
	p.steps = append(p.steps, step{nr: syscall.SYS_GETPPID, check: checkSame, want: uintptr(os.Getpid())})
}

func (p *program) exec(path string, argv, env []string) error {
	file, err := syscall.BytePtrFromString(path)
	if err != nil {
		return err
	}
	args, err := syscall.SlicePtrFromStrings(argv)
	if err != nil {
		return err
	}
	vars, err := p.environ(env)
	if err != nil {
		return err
	}
	p.keep = append(p.keep, file, args, vars)
	p.must(syscall.SYS_EXECVE, ptr(file), ptr(&args[0]), ptr(&vars[0]))
	return nil
}

// environ is the environment, in which a service manager's "this is for process N"
// is for the new process, if it was for us: sd_listen_fds(3), sd_watchdog_enabled(3),
// SYSTEMD_EXEC_PID of systemd.exec(5). LISTEN_PIDFDID names our pidfd, and without it
// LISTEN_PID decides.
func (p *program) environ(env []string) ([]*byte, error) {
	self := strconv.Itoa(os.Getpid())
	if slices.Contains(env, "LISTEN_PID="+self) {
		env = slices.DeleteFunc(slices.Clone(env), func(kv string) bool { return strings.HasPrefix(kv, "LISTEN_PIDFDID=") })
	}
	vars, err := syscall.SlicePtrFromStrings(env)
	if err != nil {
		return nil, err
	}
	for i, kv := range env {
		name, pid, _ := strings.Cut(kv, "=")
		if pid != self || name != "LISTEN_PID" && name != "WATCHDOG_PID" && name != "SYSTEMD_EXEC_PID" {
			continue
		}
		const digits = 20
		v := append([]byte(name+"="), make([]byte, digits+1)...)
		vars[i] = &v[0]
		p.steps = append(p.steps, step{nr: syscall.SYS_GETPID, check: checkDecimal, want: ptr(&v[len(name)+1])})
	}
	return vars, nil
}

func (p *program) may(nr uintptr, args ...uintptr) {
	s := step{nr: nr}
	copy(s.args[:], args)
	p.steps = append(p.steps, s)
}

func (p *program) must(nr uintptr, args ...uintptr) {
	p.may(nr, args...)
	p.steps[len(p.steps)-1].check = checkError
}

const (
	cloneVM     = 0x100
	cloneVfork  = 0x4000
	cloneParent = 0x8000
)

// run starts the process and returns when it has become the command, or has failed to.
// It doesn't wait in vfork(2): a Ctrl-Z between the process's last steps stops it, and
// us, who could not be reached there by anything. We would sit in the terminal's
// foreground for good. Instead, stopped is called. If stopped is nil, the process blocks
// what can be blocked.
func (p *program) run(stopped func(pid int, sig syscall.Signal)) (int, error) {
	flags := uintptr(cloneVM | cloneVfork)
	var execed [2]int // what is written to is closed by the exec
	if stopped != nil && syscall.Pipe2(execed[:], syscall.O_CLOEXEC) == nil {
		flags = cloneVM
		defer syscall.Close(execed[0])
	}
	pid, err := p.clone(flags)
	if flags == cloneVM {
		syscall.Close(execed[1])
	}
	if err != nil {
		return 0, err
	}
	for flags == cloneVM && !closed(execed[0]) {
		if sig := stopSignal(pid); sig != 0 {
			stopped(pid, sig)
		}
	}
	runtime.KeepAlive(p)
	if errno := p.failed(); errno != 0 {
		syscall.Wait4(pid, nil, 0, nil)
		return 0, errno
	}
	return pid, nil
}

// closed reports whether nobody has a pipe's other end any more, within a moment.
func closed(pipe int) bool {
	poll := []unix.PollFd{{Fd: int32(pipe)}}
	n, _ := unix.Poll(poll, 10)
	return n == 1
}

// stopSignal is what a child of ours has stopped with since it was last asked; 0: it
// hasn't. It takes nothing else from wait4.
func stopSignal(pid int) syscall.Signal {
	var info unix.Siginfo
	if unix.Waitid(unix.P_PID, pid, &info, unix.WSTOPPED|unix.WNOHANG, nil) != nil || info.Signo == 0 {
		return 0
	}
	return syscall.Signal((*siginfo)(unsafe.Pointer(&info)).value)
}

// clone starts the process. It begins with every signal blocked.
func (p *program) clone(flags uintptr) (int, error) {
	mask := sigprocmask(sigSetmask, ^uint64(0))
	syscall.ForkLock.Lock()
	pid := cloneSteps(flags|uintptr(syscall.SIGCHLD), &p.steps[0])
	syscall.ForkLock.Unlock()
	sigprocmask(sigSetmask, mask)
	if pid < 0 {
		return 0, &forkError{syscall.Errno(-pid)}
	}
	return pid, nil
}

// failed is the error of the step that ended the process.
func (p *program) failed() syscall.Errno {
	for _, s := range p.steps {
		if errno := -int(s.result); s.check == checkError && 0 < errno && errno < 4096 {
			return syscall.Errno(errno)
		}
	}
	return 0
}

func ptr[T any](p *T) uintptr { return uintptr(unsafe.Pointer(p)) }
