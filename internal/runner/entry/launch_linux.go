//go:build amd64 || arm64

package entry

import (
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

// Start starts the program again in a role, with every signal blocked. If sys has a Pdeathsig, the
// calling goroutine has to be locked to its thread: the signal comes at that thread's end.
func Start(role string, args, env []string, files []uintptr, sys *syscall.SysProcAttr) (pid int, err error) {
	if !Seen() {
		return 0, ErrUnavailable
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	all, mask := unix.Sigset_t{}, unix.Sigset_t{}
	all.Val[0] = ^all.Val[0]
	unix.PthreadSigmask(unix.SIG_SETMASK, &all, &mask)
	defer unix.PthreadSigmask(unix.SIG_SETMASK, &mask, nil)
	argv := append([]string{role}, args...)
	return syscall.ForkExec("/proc/self/exe", argv, &syscall.ProcAttr{Env: env, Files: files, Sys: sys})
}

// Launch starts a command as if we had never been: with the signal actions, the mask and the
// descriptors that we came with. An error other than ErrUnavailable is that of its exec.
func Launch(c Command) (*Process, error) {
	env, variables := c.environment()
	p, err := c.process(env, variables)
	if err != nil {
		return nil, err
	}
	if w, _ := p.hear(c.Stopped); w.value < 0 {
		syscall.Wait4(p.Pid, nil, 0, nil)
		p.Close()
		return nil, syscall.Errno(-w.value)
	}
	if p.Leader == 0 {
		p.Close()
	}
	return p, nil
}

// process starts the process that becomes the command, hears who it is and gives it its orders.
func (c *Command) process(env []string, variables []int) (*Process, error) {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, ErrUnavailable
	}
	p := &Process{socket: pair[0]}
	early := len(variables) == 0 // it needn't wait for us then
	if early {
		p.order(c, env, nil)
	}
	pid, err := c.fork(pair[1], env)
	if err != nil {
		p.Close()
		return nil, ErrUnavailable
	}
	w, said := p.hear(nil)
	if !said || w.value <= 0 { // it is something else than we think
		syscall.Kill(pid, syscall.SIGKILL)
		syscall.Wait4(pid, nil, 0, nil)
		p.Close()
		return nil, ErrUnavailable
	}
	if c.TTY != nil {
		p.Leader = pid
	}
	p.Pid, p.Released = int(w.value), time.Duration(w.time.Nano())
	if !early {
		p.order(c, env, variables)
	}
	return p, nil
}

// fork starts the program again, in the role that the command needs.
func (c *Command) fork(socket int, env []string) (pid int, err error) {
	role, files, sys := "br:exec", standardFiles(), &syscall.SysProcAttr{}
	if c.TTY != nil {
		role, files = "ptykeep", []uintptr{c.TTY.Fd(), c.TTY.Fd(), c.TTY.Fd()}
		sys = &syscall.SysProcAttr{Setsid: true, Setctty: true, Pdeathsig: syscall.SIGKILL}
	}
	socket = apart(socket)
	defer syscall.Close(socket)
	for len(files) < socket && inherited(len(files)) {
		files = append(files, uintptr(len(files)))
	}
	at := strconv.Itoa(len(files))
	return Start(role, append([]string{at, c.Path}, c.Argv...), env, append(files, uintptr(socket)), sys)
}

// standardFiles is what ForkExec is to make descriptors 0 to 2: where the Go runtime opened
// /dev/null in place of a closed one, nothing.
func standardFiles() []uintptr {
	files := []uintptr{0, 1, 2}
	for fd := range files {
		if closed&(1<<fd) != 0 {
			files[fd] = ^uintptr(0)
		}
	}
	return files
}

// inherited reports whether a descriptor is open that we came with: ours are close-on-exec.
func inherited(fd int) bool {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	return err == nil && flags&unix.FD_CLOEXEC == 0
}

// apart moves a descriptor of ours, if need be, to where an inherited one doesn't follow:
// syscall.ForkExec may use the number after the last of its Files for itself.
func apart(fd int) int {
	for inherited(fd + 1) {
		next, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, fd+2)
		if err != nil {
			break
		}
		syscall.Close(fd)
		fd = next
	}
	return fd
}

// orders is what the new process is to do; entry_linux_$GOARCH.s knows its layout.
type orders struct {
	ignored, blocked, death, parent, count uint64
	variables                              [3]variable
}

// variable is a variable of the environment, and its place there.
type variable struct {
	place uint64
	text  [32]byte
}

func (p *Process) order(c *Command, env []string, variables []int) {
	o := orders{
		ignored: ignored, blocked: blocked,
		death: uint64(c.Death), parent: uint64(os.Getpid()),
		count: uint64(len(variables)),
	}
	for i, place := range variables {
		name, _, _ := strings.Cut(env[place], "=")
		o.variables[i].place = uint64(place)
		copy(o.variables[i].text[:], name+"="+strconv.Itoa(p.Pid))
	}
	syscall.Write(p.socket, bytes(&o))
}

func bytes[T any](v *T) []byte { return unsafe.Slice((*byte)(unsafe.Pointer(v)), unsafe.Sizeof(*v)) }

// environment is the environment, and the places in it where a service manager says "this is for
// process N", if that is us: sd_listen_fds(3), sd_watchdog_enabled(3), SYSTEMD_EXEC_PID of
// systemd.exec(5). It is for the command then. LISTEN_PIDFDID names our pidfd, and without it
// LISTEN_PID decides.
func (c *Command) environment() (env []string, ours []int) {
	env = c.Env
	self := strconv.Itoa(os.Getpid())
	if slices.Contains(env, "LISTEN_PID="+self) {
		env = slices.DeleteFunc(slices.Clone(env), func(kv string) bool {
			return strings.HasPrefix(kv, "LISTEN_PIDFDID=")
		})
	}
	for i, kv := range env {
		switch name, pid, _ := strings.Cut(kv, "="); name {
		case "LISTEN_PID", "WATCHDOG_PID", "SYSTEMD_EXEC_PID":
			if pid == self && len(ours) < len(orders{}.variables) {
				ours = append(ours, i)
			}
		}
	}
	return env, ours
}

// word is what the process says: its id, or 0 (a member is in place), or a negative errno; and
// when.
type word struct {
	value int64
	time  unix.Timespec
}

// hear waits for a word. There is none if the process has become the command, or has died. A stop
// of it meanwhile is told to stopped, if that isn't nil.
func (p *Process) hear(stopped func(pid int, sig syscall.Signal)) (w word, said bool) {
	const look = 10 // milliseconds between looks for a stop, which wakes nobody up
	for poll := []unix.PollFd{{Fd: int32(p.socket), Events: unix.POLLIN}}; ; {
		if n, _ := unix.Poll(poll, look); n == 1 {
			break
		}
		if stopped == nil {
			continue
		}
		if sig := StopOf(p.Pid); sig != 0 {
			stopped(p.Pid, sig)
		}
	}
	n, _ := syscall.Read(p.socket, bytes(&w))
	return w, n > 0
}

// StopOf is the signal that a child of ours has stopped with since it was last asked; 0: it hasn't.
// It takes nothing else from wait4.
func StopOf(pid int) syscall.Signal {
	var info struct {
		signo, errno, code, _, pid, uid, status int32
		_                                       [100]byte
	}
	err := unix.Waitid(unix.P_PID, pid, (*unix.Siginfo)(unsafe.Pointer(&info)), unix.WSTOPPED|unix.WNOHANG, nil)
	if err != nil || info.signo == 0 {
		return 0
	}
	return syscall.Signal(info.status)
}

// Close ends what stands around a command that has ended. Whoever has collected the leader's status
// meanwhile, by wait4(-1), sets Leader to 0 first.
func (p *Process) Close() {
	syscall.Close(p.socket)
	p.socket = -1
	if p.Leader != 0 {
		syscall.Kill(p.Leader, syscall.SIGKILL)
		syscall.Wait4(p.Leader, nil, 0, nil)
	}
	p.Leader = 0
}
