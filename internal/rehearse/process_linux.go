package rehearse

import (
	"bytes"
	"cmp"
	"os"
	"path"
	"strconv"
	"strings"
)

// Supported reports whether processes can be watched here.
const Supported = true

func newSystem() system { return system{birth, name, connections} }

func proc(pid int, file string) string { return "/proc/" + strconv.Itoa(pid) + "/" + file }

// birth reads /proc/PID/stat: field 3 is the state, 22 the start time. The second, the name, may hold anything.
func birth(pid int) (ticks uint64, ok bool) {
	if pid == 0 {
		return 0, false
	}
	stat, err := os.ReadFile(proc(pid, "stat"))
	if err != nil {
		return 0, false
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 20 || fields[0] == "Z" || fields[0] == "X" {
		return 0, false
	}
	ticks, err = strconv.ParseUint(fields[19], 10, 64)
	return ticks, err == nil
}

// name is the program's and that of its first argument that is a file there, without directories: python3 etl.py. What
// else is on a command line may be secret.
func name(pid int) string {
	cmdline, _ := os.ReadFile(proc(pid, "cmdline"))
	args := strings.Split(strings.TrimRight(string(cmdline), "\x00"), "\x00")
	program := path.Base(args[0])
	if args[0] == "" || strings.ContainsAny(args[0], " =") { // a title that the program gave itself
		comm, _ := os.ReadFile(proc(pid, "comm"))
		program = cmp.Or(strings.TrimSpace(string(comm)), unknown)
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
	from := proc(pid, "cwd/")
	if arg[0] == '/' {
		from = proc(pid, "root")
	}
	info, err := os.Stat(from + arg)
	return err == nil && info.Mode().IsRegular()
}
