package ecsserver

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// finder tells which processes ask. Requests that come while one looks through /proc share the next look, so that fifty
// children which start at once cost two looks and not fifty.
type finder struct {
	budget time.Duration

	looking sync.Mutex // held by the one that looks

	mu     sync.Mutex     // guards what follows
	asked  map[string]int // sockets that are waited for: how many wait
	found  map[string]int // the process of each that was looked for, until those who wait have read it; 0: none
	recent []int          // processes that asked last, the latest first
	seen   map[int]bool   // all that asked
}

const (
	mostRecent = 8
	mostSeen   = 1 << 16 // process ids: a system that has more of them counts no further
)

// find returns the process that has the other end of c open; 0 if there is none to be seen: of another user or
// namespace, or gone already.
func (f *finder) find(c *conn) int {
	s, ok := lookup(addrs(c))
	if !ok {
		return 0
	}
	link := linkOf(s.inode)
	pid := f.likely(link, c.pid)
	if pid == 0 {
		pid = f.search(link)
	}
	f.note(pid)
	return pid
}

// likely tries the connection's last process and then those that asked last: SDKs that ask at every call do so from
// one process, over new connections.
func (f *finder) likely(link string, last int) int {
	f.mu.Lock()
	pids := append([]int{last}, f.recent...)
	f.mu.Unlock()
	for _, pid := range pids {
		if pid != 0 && holds(pid, link) {
			return pid
		}
	}
	return 0
}

// search looks through /proc for link and for all that others wait for.
func (f *finder) search(link string) int {
	f.mu.Lock()
	if f.asked == nil {
		f.asked, f.found = make(map[string]int), make(map[string]int)
	}
	f.asked[link]++
	f.mu.Unlock()
	f.looking.Lock()
	defer f.looking.Unlock()
	f.mu.Lock()
	_, done := f.found[link]
	var links []string
	for l := range f.asked {
		if _, done := f.found[l]; !done {
			links = append(links, l)
		}
	}
	f.mu.Unlock()
	var owners map[string]int
	if !done {
		owners = sweep(links, f.budget)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !done {
		for _, l := range links {
			f.found[l] = owners[l]
		}
	}
	pid := f.found[link]
	if f.asked[link]--; f.asked[link] == 0 {
		delete(f.asked, link)
		delete(f.found, link)
	}
	return pid
}

// note remembers who asked.
func (f *finder) note(pid int) {
	if pid == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.seen == nil {
		f.seen = make(map[int]bool)
	}
	if len(f.seen) < mostSeen {
		f.seen[pid] = true
	}
	i := slices.Index(f.recent, pid)
	switch {
	case i < 0 && len(f.recent) < mostRecent:
		f.recent = append(f.recent, 0)
		i = len(f.recent) - 1
	case i < 0:
		i = mostRecent - 1
	}
	copy(f.recent[1:i+1], f.recent)
	f.recent[0] = pid
}

func (f *finder) count() int {
	if f == nil {
		return 0
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.seen)
}

// linkOf is what /proc/PID/fd/N says of a socket.
func linkOf(inode uint32) string { return "socket:[" + strconv.FormatUint(uint64(inode), 10) + "]" }

// sweep finds, for each of the links, a process that has it open: first among our own descendants, who are few, then
// among all, the youngest first. Unless we are root only processes of our own user can be seen.
func sweep(links []string, budget time.Duration) map[string]int {
	deadline := time.Now().Add(budget)
	found := make(map[string]int)
	for _, pids := range []func() []int{descendants, pids} {
		for _, pid := range pids() {
			if len(found) == len(links) || time.Now().After(deadline) {
				return found
			}
			for _, link := range opens(pid) {
				if _, done := found[link]; !done && slices.Contains(links, link) {
					found[link] = opener(pid, link)
				}
			}
		}
	}
	return found
}

// descendants lists our children, their children and so on; none where the kernel doesn't tell (CONFIG_PROC_CHILDREN).
func descendants() (pids []int) {
	const most = 1 << 12
	for next := []int{os.Getpid()}; len(next) > 0 && len(pids) < most; {
		children := childrenOf(next[0])
		pids, next = append(pids, children...), append(next[1:], children...)
	}
	return pids
}

// childrenOf reads /proc/PID/task/TID/children: those of each thread.
func childrenOf(pid int) (children []int) {
	tasks := filepath.Join("/proc", strconv.Itoa(pid), "task")
	for _, tid := range namesIn(tasks) {
		list, _ := os.ReadFile(tasks + "/" + tid + "/children")
		for _, child := range strings.Fields(string(list)) {
			if n, err := strconv.Atoi(child); err == nil {
				children = append(children, n)
			}
		}
	}
	return children
}

// namesIn lists a directory, in no order; nothing if it can't be read.
func namesIn(path string) []string {
	dir, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	return names
}

// opener is pid, or the ancestor that has the socket too: between fork and exec a child has all that its parent has, and
// it is the parent that waits for our answer.
func opener(pid int, link string) int {
	for range 8 {
		parent := parentOf(pid)
		if parent <= 1 || !holds(parent, link) {
			break
		}
		pid = parent
	}
	return pid
}

// parentOf reads the fourth field of /proc/PID/stat. The second, the name, may hold anything, brackets too.
func parentOf(pid int) int {
	stat, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 2 {
		return 0
	}
	parent, _ := strconv.Atoi(fields[1])
	return parent
}

// pids lists all processes, the youngest first.
func pids() (pids []int) {
	for _, name := range namesIn("/proc") {
		if pid, err := strconv.Atoi(name); err == nil {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	slices.Reverse(pids)
	return pids
}

// opens lists what a process's descriptors are, as far as that may be seen.
func opens(pid int) (links []string) {
	path := filepath.Join("/proc", strconv.Itoa(pid), "fd")
	for _, name := range namesIn(path) {
		if to, err := os.Readlink(path + "/" + name); err == nil {
			links = append(links, to)
		}
	}
	return links
}

func holds(pid int, link string) bool { return slices.Contains(opens(pid), link) }

// comm is the process's short name: 15 bytes, of its main thread.
func comm(pid int) string {
	name, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "comm"))
	return strings.TrimSuffix(string(name), "\n")
}
