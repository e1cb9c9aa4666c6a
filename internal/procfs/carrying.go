package procfs

import (
	"bytes"
	"cmp"
	"os"
	"slices"
	"strconv"
	"time"
)

// Process is a process, not to be mistaken for a later one with the same id.
type Process struct {
	PID   int
	Start uint64 // as StartTime has it
}

// Runs reports whether it has not ended.
func (p Process) Runs() bool {
	start, ok := StartTime(p.PID)
	return ok && start == p.Start
}

// Of names the process that has this id now.
func Of(pid int) (p Process, ok bool) {
	start, ok := StartTime(pid)
	return Process{pid, start}, ok
}

// Own reports whether the ids in /proc are those that kill(2) takes. They are not where /proc is an
// outer PID namespace's (unshare --pid without --mount-proc).
func Own() bool {
	self, err := os.Readlink("/proc/self")
	return err == nil && self == strconv.Itoa(os.Getpid())
}

// Carrying lists the processes that were started with one of these entries, NAME=VALUE, in their
// environment, the youngest first. It leaves out ourselves, and whoever's environment may not be
// read: another user's process, or one that isn't dumpable. Where /proc is not our own there are
// none.
//
// after is the id of a process that is older than all that are wanted, and was started within the
// last second: that spares the look at a whole machine (8 ms for 300 processes). 0: all are wanted.
func Carrying(after int, entries ...string) (found []Process) {
	if !Own() {
		return nil
	}
	const pause, pauses = 5 * time.Millisecond, 4
	found, silent := look(startedSince(after), entries)
	for i := 0; i < pauses && len(silent) > 0; i++ {
		time.Sleep(pause)
		var more []Process
		more, silent = look(silent, entries)
		found = append(found, more...)
	}
	slices.SortFunc(found, func(a, b Process) int { return cmp.Or(cmp.Compare(b.Start, a.Start), b.PID-a.PID) })
	return found
}

// look reads each process's environment once. silent are those that show none and have a program:
// most of them have none, but one that is in the middle of execve(2) shows none yet.
func look(pids []int, entries []string) (found []Process, silent []int) {
	for _, pid := range pids {
		environ, err := os.ReadFile(file(pid, "environ"))
		if pid == os.Getpid() || err != nil {
			continue
		}
		if len(environ) == 0 {
			if _, err := os.Readlink(file(pid, "exe")); err == nil { // not the kernel's own, nor a zombie
				silent = append(silent, pid)
			}
			continue
		}
		if p, ok := Of(pid); ok && has(environ, entries) {
			found = append(found, p)
		}
	}
	return found, silent
}

// startedSince lists the ids that the kernel has given out since it gave out this one, of threads
// and processes that may have ended, if it tells and they are few. Else it is All.
func startedSince(after int) (pids []int) {
	const few = 1 << 10
	loadavg, _ := os.ReadFile("/proc/loadavg") // its last field is the last id
	words := bytes.Fields(loadavg)
	if after == 0 || len(words) == 0 {
		return All()
	}
	last, err := strconv.Atoi(string(words[len(words)-1]))
	if err != nil || last < after || last-after > few { // below: they have begun again at the lowest
		return All()
	}
	for pid := last; pid > after; pid-- {
		pids = append(pids, pid)
	}
	return pids
}

// HasVariable reports whether a process was started with a variable of this name, as far as its
// environment may be read.
func HasVariable(pid int, name string) bool {
	environ, err := os.ReadFile(file(pid, "environ"))
	return err == nil && bytes.Contains(append([]byte{0}, environ...), []byte("\x00"+name+"="))
}

// has looks for one of the entries in environ, whose strings end with NUL.
func has(environ []byte, entries []string) bool {
	for kv := range bytes.SplitSeq(environ, []byte{0}) {
		if slices.Contains(entries, string(kv)) {
			return true
		}
	}
	return false
}
