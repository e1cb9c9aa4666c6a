package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// dropCode takes the pages of our executable out of our memory (RssFile), ten
// megabytes of code that ran once. They stay in the page cache and come back when
// they are touched. Only mappings that can't be written and of which the kernel
// counts no page as ours alone: a relocated one (PIE) would come back unrelocated.
func dropCode() {
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	smaps, err := os.Open("/proc/self/smaps")
	if err != nil {
		return
	}
	defer smaps.Close()
	var from, to uintptr // of the mapping that is being read; 0: not a candidate
	for lines := bufio.NewScanner(smaps); lines.Scan(); {
		line := lines.Text()
		switch fields := strings.Fields(line); {
		case strings.HasSuffix(line, " "+exe):
			from, to = 0, 0
			if len(fields) > 1 && !strings.Contains(fields[1], "w") && strings.HasSuffix(fields[1], "p") {
				fmt.Sscanf(fields[0], "%x-%x", &from, &to)
			}
		case from != 0 && line == "Anonymous:             0 kB":
			syscall.Syscall(syscall.SYS_MADVISE, from, to-from, syscall.MADV_DONTNEED)
			from = 0
		case len(fields) > 1 && strings.Contains(fields[0], "-"):
			from = 0 // another mapping begins
		}
	}
}
