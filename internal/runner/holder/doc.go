// Package holder keeps the port of an endpoint that has ended, as long as a process is left that
// was told of it. Whoever had the port next would be sent the endpoint's token, and could answer
// with keys of his own.
//
// The holder is brs-exec again, with an argv[0] of its own. Its listeners have been shut down: they
// refuse every connection, and the port stays taken (package ecsserver binds it in that way). It
// goes within seconds of the end of the last process that carries the endpoint in its environment.
//
// # Where it comes from
//
// If brs-exec is killed, the witness notices it, shuts the listeners down and executes the program
// anew: [Hold]. When brs-exec ends and such processes are left, it starts one itself: [Start].
//
// # What it has
//
// While a program is executed anew, its memory can be read, and a SIGSTOP can hold it there. So a
// holder has nothing that is secret: no environment, no arguments, and for descriptors the
// listeners and a pipe with its [Orders]. Every signal is blocked or ignored, since those that go
// to the whole process group must not free the port while others of the group go on. KILL ends it.
//
// # Passing on
//
// PR_SET_PDEATHSIG reaches the command alone when brs-exec is killed. The holder passes the same
// signal on to the others, once, and by pidfd, to nobody who has the id of one that has ended.
package holder

import (
	"encoding/json"
	"os"
	"syscall"

	"brs-exec/internal/procfs"
)

// Role is the holder's argv[0].
const Role = "brs-hold"

// Orders is what a holder has to know.
type Orders struct {
	// Told are the entries of the environment, NAME=VALUE, by which the endpoint's processes know
	// it.
	Told []string

	// Command is the command of a brs-exec that was killed. Zero: nobody was killed.
	Command procfs.Process

	// Signal is what the others get then. 0: nothing.
	Signal syscall.Signal
}

// Pipe returns the end of a pipe from which a holder reads the orders.
func (o Orders) Pipe() (*os.File, error) {
	text, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer w.Close()
	if _, err = w.Write(text); err != nil { // far less than a pipe takes
		r.Close()
		return nil, err
	}
	return r, nil
}
