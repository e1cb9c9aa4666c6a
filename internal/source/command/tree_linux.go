package command

import (
	"os"
	"strconv"
	"strings"
)

// processes maps every process to its parent, but for those that have ended and wait to be reaped.
// proc(5)
func processes() map[int]int {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	running := make(map[int]int)
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		data, _ := os.ReadFile("/proc/" + name + "/stat")
		if parent, lives := parseStat(string(data)); lives {
			running[pid] = parent
		}
	}
	return running
}

// zombie: it has ended, and whoever took it over doesn't reap.
func zombie(pid int) bool {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	_, lives := parseStat(string(data))
	return err == nil && !lives
}

// parseStat reads "PID (NAME) STATE PPID …"; the name may hold anything.
func parseStat(stat string) (parent int, lives bool) {
	f := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(f) < 2 || f[0] == "Z" || f[0] == "X" {
		return 0, false
	}
	parent, err := strconv.Atoi(f[1])
	return parent, err == nil
}
