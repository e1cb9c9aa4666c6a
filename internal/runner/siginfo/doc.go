// Package siginfo catches signals with what the kernel tells of each: who sent it, and when. It is
// for Linux on amd64 and arm64; on other systems the package is empty.
//
// os/signal can't serve there: it doesn't say who sent a signal, merges real-time signals, and
// sorts what arrives together by number. So a handler of our own, a few lines of assembly, writes
// the siginfo_t of each signal, and the time, into a pipe. A handler may run on any thread, at any
// instruction, without a goroutine: it can make system calls and nothing else. Signals that the Go
// runtime needs (URG, PROF, and 33) must be left to it. Of the faults (SEGV and its like) it needs
// those that the kernel reports; those that a process sent by kill(2) are signals like others.
//
// Signal handlers are the process's. So is the pipe: [Open] is called once.
package siginfo
