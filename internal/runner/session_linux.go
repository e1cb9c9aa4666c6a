//go:build linux && (amd64 || arm64)

package runner

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// A command on a terminal of its own needs a session of its own, and if it led
// that itself, the kernel would take its process group for orphaned (its parent,
// us, is in another session) and drop the terminal's Ctrl-Z. So two processes,
// which share our memory and do nothing but wait, stand around it:
//
//	leader    leads the session, has the terminal; our child
//	command   has a group of its own, in the foreground; our child, too (CLONE_PARENT)
//	member    sits in the command's group and is the leader's child, which makes
//	          that a group with a parent in the session: not orphaned
//
// When the member is killed the leader ends. Both end with us (PR_SET_PDEATHSIG).
// Without the early entry point the command leads the session, and Ctrl-Z in it
// does nothing, as under script(1).
type session struct {
	program
	leader int
	member uintptr // its process id, stored by the leader
}

var sessionName = [16]byte{'p', 't', 'y', 'k', 'e', 'e', 'p'}

// sessions keeps the steps that the processes still read. It is written by Run's goroutine.
var sessions []*session

func forkSession(path string, argv []string, c Command, tty *os.File) (int, error) {
	var ready [2]int
	if err := syscall.Pipe2(ready[:], syscall.O_CLOEXEC); err != nil {
		return 0, err
	}
	defer syscall.Close(ready[0])
	s := &session{program: program{steps: make([]step, 0, 120)}} // never grown: steps point to steps
	commandStep := s.leads(tty, ready[1])
	if err := s.becomes(path, argv, c, tty); err != nil {
		syscall.Close(ready[1])
		return 0, err
	}
	var err error
	s.leader, err = s.clone(cloneVM)
	syscall.Close(ready[1])
	if err != nil {
		return 0, err
	}
	sessions = append(sessions, s)
	b := make([]byte, 1)
	n, _ := syscall.Read(ready[0], b)
	pid := int(commandStep.result)
	if errno := s.failed(); errno != 0 || n == 0 {
		if pid > 0 {
			syscall.Wait4(pid, nil, 0, nil)
		}
		endSession()
		if errno == 0 {
			errno = syscall.EIO
		}
		return 0, errno
	}
	return pid, nil
}

// leads is the leader's steps and the member's. It returns the one that makes the command.
func (s *session) leads(tty *os.File, ready int) *step {
	s.must(syscall.SYS_SETSID)
	s.must(syscall.SYS_IOCTL, tty.Fd(), syscall.TIOCSCTTY, 0)
	s.deathSignal(syscall.SIGKILL)
	s.may(syscall.SYS_PRCTL, syscall.PR_SET_NAME, ptr(&sessionName[0])) // pkill(1) goes by it
	command := s.fork(cloneVM | cloneVfork | cloneParent)
	// From here on neither process may hold open what isn't theirs.
	s.may(syscall.SYS_DUP3, uintptr(ready), 0, 0)
	s.may(unix.SYS_CLOSE_RANGE, 1, ^uintptr(0)>>32, 0)
	member := s.fork(cloneVM)
	member.copy = ptr(&s.member)
	s.may(syscall.SYS_WAIT4, ^uintptr(0), 0, 0, 0)
	s.may(syscall.SYS_EXIT, 0)

	member.want = s.next()
	s.may(syscall.SYS_PRCTL, syscall.PR_SET_PDEATHSIG, uintptr(syscall.SIGKILL))
	s.may(syscall.SYS_PRCTL, syscall.PR_SET_NAME, ptr(&sessionName[0]))
	s.may(syscall.SYS_SETPGID, 0, 0)
	command.copy = ptr(&s.steps[len(s.steps)-1].args[1])
	s.may(syscall.SYS_WRITE, 0, ptr(&[]byte{0}[0]), 1)
	s.may(unix.SYS_PPOLL, 0, 0, 0, 0)
	s.may(syscall.SYS_EXIT, 0)

	command.want = s.next()
	return command
}

// becomes is the command's steps.
func (s *session) becomes(path string, argv []string, c Command, tty *os.File) error {
	s.must(syscall.SYS_SETPGID, 0, 0)
	s.may(syscall.SYS_GETPID)
	s.must(syscall.SYS_IOCTL, tty.Fd(), syscall.TIOCSPGRP, ptr(&s.steps[len(s.steps)-1].result))
	for fd := range uintptr(3) {
		s.must(syscall.SYS_DUP3, tty.Fd(), fd, 0)
	}
	return s.command(path, argv, c)
}

func (s *session) fork(flags uintptr) *step {
	s.may(syscall.SYS_CLONE, flags|uintptr(syscall.SIGCHLD))
	f := &s.steps[len(s.steps)-1]
	f.check = checkFork
	return f
}

// next is the address of the step that is added next.
func (s *session) next() uintptr { return ptr(&s.steps[:len(s.steps)+1][len(s.steps)]) }

// endSession ends the processes around the command.
func endSession() {
	for _, s := range sessions {
		if s.member != 0 {
			syscall.Kill(int(s.member), syscall.SIGKILL)
		} else {
			syscall.Kill(s.leader, syscall.SIGKILL)
		}
		syscall.Wait4(s.leader, nil, 0, nil)
	}
	sessions = nil
}
