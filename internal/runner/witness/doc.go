// Package witness tells whether a signal went to the whole process group.
//
// A signal that a process sent may have gone to the wrapper alone (kill PID) or to all its group
// (timeout, kill %1, systemd's control-group kill), and nothing in its siginfo tells which. So a
// second process sits in our group: the witness, called sigprobe, a loop of system calls in package
// entry's assembly, with every signal blocked. What was sent to the group is pending there, from
// the very kill(2) that brought it to us, whether the witness has had a processor since or not.
//
// proc(5) tells what is pending, and the witness itself who sent it. If the witness gets no
// processor, proc(5) must do. With neither a signal is handed on: twice is better than never.
//
// The witness ends with us: it reads from a socket. If it has listeners to keep (package holder),
// it becomes their holder at the end of file. Else the kernel kills it, too (PR_SET_PDEATHSIG),
// when the thread ends that called [Start]. So one goroutine, locked to its thread, calls Start and
// all the rest.
package witness

import "time"

// Window is how long after us the witness may get a signal that some killer sends to the processes
// one by one.
const Window = 20 * time.Millisecond
