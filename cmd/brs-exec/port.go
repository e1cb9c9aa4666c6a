package main

import (
	"fmt"
	"os"
	"time"

	"brs-exec/internal/procfs"
	"brs-exec/internal/runner"
)

// keptPort is the endpoint's port beyond the command's end: see package runner/holder. It is nil
// under --serve.
type keptPort struct {
	port    *runner.Port // nil: nobody keeps it
	told    []string     // what processes that know it have in their environment
	command int          // its process id; 0: it does not run yet, or could not be started
	began   time.Time
	left    []procfs.Process
}

func (s *session) newKeptPort(e *equipment) *keptPort {
	if !s.flags.delivery.served() {
		return new(keptPort)
	}
	told := []string{endpointVariable + "=" + e.srv.URL()}
	if at := e.srv.URLAt(); at != "" { // an empty variable is not ours
		told = append(told, endpointVariable+"="+at)
	}
	return &keptPort{port: runner.NewPort(e.srv.Drawn(), told...), told: told}
}

// endpointVariable is where SDKs read the endpoint's URL.
const endpointVariable = "AWS_CONTAINER_CREDENTIALS_FULL_URI"

// ended refuses connections, and looks who goes on now that the command has ended.
func (k *keptPort) ended() {
	if k == nil || k.command == 0 || len(k.told) == 0 || os.Getpid() == 1 { // with PID 1 everybody ends
		return
	}
	k.port.Refuse()
	k.look()
}

func (k *keptPort) look() {
	after := k.command
	if time.Since(k.began) > time.Second {
		after = 0 // process ids may have come around
	}
	k.left = procfs.Carrying(after, k.told...)
}

// stillThere is for those that are about to end, as the last of a pipeline are, or to become
// something else: it waits a moment for them.
func (k *keptPort) stillThere() bool {
	const (
		moment = 100 * time.Millisecond
		pause  = 20 * time.Millisecond
	)
	for end := time.Now().Add(moment); len(k.left) > 0 && time.Now().Before(end); k.look() {
		time.Sleep(pause)
	}
	return len(k.left) > 0
}

// keep has the port kept if anybody goes on.
func (s *session) keep(k *keptPort) {
	if k == nil || !k.stillThere() {
		return
	}
	verb := "goes"
	if len(k.left) > 1 {
		verb = "go"
	}
	told := []any{}
	if s.flags.linger == 0 {
		told = []any{"hint", "--linger 1h serves on for so long at most, until they have ended"}
	}
	s.log.Warn(k.whoIsLeft()+" "+verb+" on without the endpoint", told...)
	if err := k.port.Keep(); err != nil {
		s.log.Debug("the endpoint's port is not kept", "error", err)
	}
}

// whoIsLeft names the oldest of those that go on, of whom there is one at least.
func (k *keptPort) whoIsLeft() string {
	oldest := k.left[len(k.left)-1].PID
	who := fmt.Sprintf("%s (%d)", procfs.Program(oldest), oldest)
	if more := len(k.left) - 1; more > 0 {
		who += fmt.Sprintf(" and %d more", more)
	}
	return who
}
