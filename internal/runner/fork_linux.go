//go:build linux && (amd64 || arm64)

package runner

import (
	"os"
	"runtime"
	"syscall"
	"unsafe"
)

// step is one system call of the new process between vfork and execve. It shares
// our memory and may do nothing else: fork_linux_$GOARCH.s walks through the list.
type step struct {
	nr     uintptr
	args   [6]uintptr
	check  uintptr // checkNothing …
	want   uintptr
	result uintptr
}

const (
	checkNothing = 0
	checkError   = 1 // a negative result ends the new process
	checkSame    = 2 // a result other than want does
)

// vforkSteps starts a process (CLONE_VFORK|CLONE_VM) that does the n steps and
// exits, unless one of them is an execve. It returns clone's result when the
// process has got that far.
//
//go:noescape
func vforkSteps(first *step, n int) (pid int)

// program is a list of steps, and what they point to.
type program struct {
	steps []step
	keep  []any
}

// fork starts the command with the signal dispositions and the mask that we came
// with, which the syscall package can't do.
func fork(path string, argv []string, c Command, tty *os.File) (int, error) {
	if !Early() {
		return forkExec(path, argv, c, tty)
	}
	p := program{steps: make([]step, 0, 80)}
	p.signals()
	p.stdio(tty)
	p.deathSignal(deathSignal(c.OnWrapperDeath))
	p.may(syscall.SYS_PRLIMIT64, 0, syscall.RLIMIT_NOFILE, ptr(&entryNofile), 0)
	p.must(syscall.SYS_RT_SIGPROCMASK, sigSetmask, ptr(&entryBlocked), 0, 8)
	if err := p.exec(path, argv, c.Env); err != nil {
		return 0, err
	}
	return p.run()
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

var sigactions = [2]sigaction{sigDfl: {handler: sigDfl}, sigIgn: {handler: sigIgn}}

// stdio makes tty the controlling terminal of a new session; without one it closes
// what the Go runtime opened in place of closed descriptors.
func (p *program) stdio(tty *os.File) {
	if tty != nil {
		p.must(syscall.SYS_SETSID)
		p.must(syscall.SYS_IOCTL, tty.Fd(), syscall.TIOCSCTTY, 0)
	}
	for fd := range uintptr(3) {
		switch {
		case tty != nil:
			p.must(syscall.SYS_DUP3, tty.Fd(), fd, 0)
		case entryClosed&(1<<fd) != 0:
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
	vars, err := syscall.SlicePtrFromStrings(env)
	if err != nil {
		return err
	}
	p.keep = append(p.keep, file, args, vars)
	p.must(syscall.SYS_EXECVE, ptr(file), ptr(&args[0]), ptr(&vars[0]))
	return nil
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

// run starts the process. It begins with every signal blocked.
func (p *program) run() (int, error) {
	mask := sigprocmask(sigSetmask, ^uint64(0))
	syscall.ForkLock.Lock()
	pid := vforkSteps(&p.steps[0], len(p.steps))
	syscall.ForkLock.Unlock()
	sigprocmask(sigSetmask, mask)
	runtime.KeepAlive(p)
	if pid < 0 {
		return 0, &forkError{syscall.Errno(-pid)}
	}
	for _, s := range p.steps {
		if errno := -int(s.result); s.check == checkError && 0 < errno && errno < 4096 {
			syscall.Wait4(pid, nil, 0, nil)
			return 0, syscall.Errno(errno)
		}
	}
	return pid, nil
}

func ptr[T any](p *T) uintptr { return uintptr(unsafe.Pointer(p)) }
