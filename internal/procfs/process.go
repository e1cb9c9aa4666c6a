package procfs

import (
	"bytes"
	"cmp"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

func file(pid int, name string) string { return "/proc/" + strconv.Itoa(pid) + "/" + name }

// StartTime returns when a process was started, in clock ticks since boot. Together with the
// process id, which is used again, it names a process for ever. ok is false when it has ended, as a
// zombie has.
func StartTime(pid int) (ticks uint64, ok bool) {
	fields := stat(pid)
	if fields == nil {
		return 0, false
	}
	ticks, err := strconv.ParseUint(fields[19], 10, 64) // field 22
	return ticks, err == nil
}

// Parent returns a process's parent; 0 if that can't be told.
func Parent(pid int) int {
	fields := stat(pid)
	if fields == nil {
		return 0
	}
	parent, _ := strconv.Atoi(fields[1])
	return parent
}

// stat returns the fields of proc_pid_stat(5) from the third on, which is the state; nil for a
// process that has ended. The second, the name, may hold anything, brackets too.
func stat(pid int) []string {
	text, err := os.ReadFile(file(pid, "stat"))
	if err != nil {
		return nil
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 20 || fields[0] == "Z" || fields[0] == "X" {
		return nil
	}
	return fields
}

// Caller returns who started a process to have something done: its parent, or that one's, past
// every process whose command line has the mark.
func Caller(pid int, mark string) int {
	for pid > 1 {
		cmdline, _ := os.ReadFile(file(pid, "cmdline"))
		if !bytes.Contains(cmdline, []byte(mark)) {
			return pid
		}
		pid = Parent(pid)
	}
	return 0
}

// Comm returns a process's short name: at most 15 bytes, of its main thread.
func Comm(pid int) string {
	name, _ := os.ReadFile(file(pid, "comm"))
	return strings.TrimSpace(string(name))
}

// Program returns the names, without directories, of a process's program and of its first argument
// that is a file there: "python3 etl.py". What else is on a command line may be secret.
func Program(pid int) string {
	cmdline, _ := os.ReadFile(file(pid, "cmdline"))
	args := strings.Split(strings.TrimRight(string(cmdline), "\x00"), "\x00")
	program := path.Base(args[0])
	if args[0] == "" || strings.ContainsAny(args[0], " =") { // a title that the program gave itself
		program = cmp.Or(Comm(pid), "unknown process")
	}
	const most = 16 // arguments to look at
	for _, arg := range args[1:min(len(args), most)] {
		if isFile(pid, arg) {
			return program + " " + path.Base(arg)
		}
	}
	return program
}

// isFile looks with the process's own eyes: from its directory and root.
func isFile(pid int, arg string) bool {
	if arg == "" || arg[0] == '-' || len(arg) > 1024 {
		return false
	}
	from := file(pid, "cwd/")
	if arg[0] == '/' {
		from = file(pid, "root")
	}
	info, err := os.Stat(from + arg)
	return err == nil && info.Mode().IsRegular()
}

// All lists all processes, the youngest first.
func All() []int {
	pids := numbers(names("/proc"))
	slices.Sort(pids)
	slices.Reverse(pids)
	return pids
}

// Tree lists a process and its descendants, children before their parents. A kernel without
// CONFIG_PROC_CHILDREN doesn't tell: then it is the process alone.
func Tree(pid int) []int {
	const most = 1 << 12
	pids := []int{pid}
	for i := 0; i < len(pids) && len(pids) < most; i++ {
		pids = append(pids, children(pids[i])...)
	}
	slices.Reverse(pids)
	return pids
}

// children reads /proc/PID/task/TID/children: those of each thread.
func children(pid int) (pids []int) {
	for _, tid := range names(file(pid, "task")) {
		list, _ := os.ReadFile(file(pid, "task/"+tid+"/children"))
		pids = append(pids, numbers(strings.Fields(string(list)))...)
	}
	return pids
}

// names lists a directory, in no order; nothing if it can't be read.
func names(path string) []string {
	dir, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	return names
}

// numbers keeps those of the words that are numbers.
func numbers(words []string) (numbers []int) {
	for _, word := range words {
		if n, err := strconv.Atoi(word); err == nil {
			numbers = append(numbers, n)
		}
	}
	return numbers
}

// OpenSockets lists the inodes of the sockets that a process has open, as far as that may be seen.
func OpenSockets(pid int) (inodes []uint32) {
	for _, fd := range names(file(pid, "fd")) {
		link, err := os.Readlink(file(pid, "fd/"+fd))
		if err != nil {
			continue
		}
		if digits, ok := strings.CutPrefix(link, "socket:["); ok {
			if inode, err := strconv.ParseUint(strings.TrimSuffix(digits, "]"), 10, 32); err == nil {
				inodes = append(inodes, uint32(inode))
			}
		}
	}
	return inodes
}

// SocketOwners tells which of these processes has each of their sockets open. If several have the
// same socket open, the last of them in pids counts. In the order of All and Tree that is the
// parent: a child between fork and exec has all that its parent has. Processes that it doesn't
// reach before the deadline are left out.
func SocketOwners(pids []int, deadline time.Time) map[uint32]int {
	owners := make(map[uint32]int)
	for _, pid := range pids {
		if time.Now().After(deadline) {
			break
		}
		for _, inode := range OpenSockets(pid) {
			owners[inode] = pid
		}
	}
	return owners
}
