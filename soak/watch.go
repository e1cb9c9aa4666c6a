package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"
)

// sample is what brs-exec holds at one moment; -1 is what can't be read here.
type sample struct {
	at time.Time
	fds, threads,
	rss int // KiB
}

// watch samples every second until done, and then once more.
func (r *result) watch(pid int, done <-chan struct{}) {
	for {
		r.samples = append(r.samples, look(pid))
		select {
		case <-done:
			r.samples = append(r.samples, look(pid))
			return
		case <-time.After(time.Second):
		}
	}
}

func look(pid int) sample {
	s := sample{at: time.Now(), fds: -1, threads: -1, rss: -1}
	if fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid)); err == nil {
		s.fds = len(fds)
	}
	if status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)); err == nil {
		s.rss, s.threads = number(string(status), "VmRSS"), number(string(status), "Threads")
	}
	return s
}

// number reads one line of /proc/PID/status.
func number(status, name string) int {
	n := -1
	if _, rest, ok := strings.Cut("\n"+status, "\n"+name+":"); ok {
		fmt.Sscan(rest, &n)
	}
	return n
}

// point is a figure at a moment.
type point struct {
	at time.Time
	n  int
}

// goroutines reads brs-exec's debug log: a record "state" every ten seconds.
func goroutines(path string) ([]point, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []point
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var l struct {
			Time       time.Time
			Msg        string
			Goroutines int
		}
		if json.Unmarshal(lines.Bytes(), &l) == nil && l.Msg == "state" && l.Goroutines > 0 {
			all = append(all, point{l.Time, l.Goroutines})
		}
	}
	return all, nil
}
