//go:build linux

package scale

import (
	"os"
	"testing"
	"time"
)

const role = "arn:aws:iam::000000000000:role/etl"

// full tells whether all is asked for, which takes long.
func full() bool { return os.Getenv("SCALE") == "full" }

// await waits for an event: five minutes, since the machine may be busy.
func await(t *testing.T, what string, happened func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); !happened(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain for " + what)
		}
	}
}

func tail(s string) string {
	const most = 4000
	if len(s) > most {
		return "…" + s[len(s)-most:]
	}
	return s
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
