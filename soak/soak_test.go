package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"brs-exec/need"
)

func TestMain(m *testing.M) { os.Exit(need.Run(m)) }

// TestServe is a short soak of a server without a command, by port and by socket.
func TestServe(t *testing.T) {
	need.Long(t, "a minute")
	r, err := run(t.Context(), time.Minute, 200, filepath.Join(t.TempDir(), "log"), true)
	if err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + r.table())
	for _, bad := range r.broken() {
		t.Error(bad)
	}
}

// TestSmoke is a short soak: the command must still run, and find nothing.
func TestSmoke(t *testing.T) {
	need.Long(t, "25 seconds")
	log := filepath.Join(t.TempDir(), "log")
	r, err := run(t.Context(), 20*time.Second, 60, log, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + r.table())
	for _, bad := range r.broken() {
		t.Error(bad)
	}
	if text, err := os.ReadFile(log); err != nil || !bytes.Contains(text, []byte(`"event":"child_exited"`)) {
		t.Errorf("the log was not kept (%v)", err)
	}
	if _, err := run(t.Context(), time.Second, 1, log, false); err == nil {
		t.Error("an old log was appended to")
	}
}

// TestExcuses: 503 is right from the expiry until brs-exec could have healed, and a second.
func TestExcuses(t *testing.T) {
	t0 := time.Unix(1000, 0)
	at := func(s float64) time.Time { return t0.Add(time.Duration(s * float64(time.Second))) }
	for _, tt := range []struct {
		name               string
		expired, end, asks float64
		want               bool
	}{
		{"while it lives", 8, 12, 7.9, false},
		{"at expiry", 8, 12, 8, true},
		{"at the end", 8, 12, 12, true},
		{"healing", 8, 12, 14.9, true},
		{"should have healed", 8, 12, 15, false},
		{"a third of a long one", 8, 38, 48.9, true},
		{"after a long one", 8, 38, 49, false},
	} {
		if got := (outage{at(tt.expired), at(tt.end)}).excuses(at(tt.asks), at(tt.asks)); got != tt.want {
			t.Errorf("%s: got %t; want %t", tt.name, got, tt.want)
		}
	}
}

// TestGrowth: noise is none.
func TestGrowth(t *testing.T) {
	r := &result{begun: time.Unix(0, 0), asked: 3 * time.Minute}
	for _, tt := range []struct {
		first, last int
		want        bool
	}{{100, 118, false}, {100, 119, true}, {100, 50, false}} {
		s := series{"x", 1, 8, []point{{time.Unix(10, 0), tt.first}, {time.Unix(170, 0), tt.last}}}
		if got := s.grows(r); got != tt.want {
			t.Errorf("%d to %d: got %t; want %t", tt.first, tt.last, got, tt.want)
		}
	}
}
