package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"brs-exec/need"
)

func TestMain(m *testing.M) { os.Exit(need.Run(m)) }

// TestOnce: one round of each still runs, and each child is who it should be.
func TestOnce(t *testing.T) {
	need.Long(t, "10 seconds of both processors")
	_, err := findPython(t.Context())
	need.That(t, err == nil, "python3 with boto3", "python3 -m pip install boto3 awscli")
	all, err := run(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if got := table(all); strings.Count(got, "\n") != 5 || !strings.Contains(got, "| 1.00 |") {
		t.Errorf("got\n%s", got)
	}
	if first := all[1].wall[0]; first < latency {
		t.Errorf("fetch first took %v, less than the %v of its AssumeRole", first, latency)
	}
}

func TestRatio(t *testing.T) {
	ms := func(n ...int) *subject {
		s := &subject{}
		for _, n := range n {
			s.wall = append(s.wall, time.Duration(n)*time.Millisecond)
		}
		return s
	}
	if got := ratio(ms(300, 100, 230), ms(90, 110, 1000, 90)); got != 2.3 {
		t.Errorf("got %v; want 2.3", got)
	}
}
