package conformance

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"brs-exec/internal/sandbox"
	"brs-exec/need"
)

// TestHeal tells how soon a client's call is good again after an outage that outlasted its credential: one second,
// fifteen and sixty, each with the retries that SDKs have now and those of AWS_NEW_RETRIES_2026. No GET of it lacks the token.
func TestHeal(t *testing.T) {
	need.Asked(t, os.Getenv("CONFORMANCE") == "heal", "CONFORMANCE=heal") // its figures stand in docs/CLIENTS.md
	for _, c := range clients {
		if !c.main {
			continue
		}
		if _, err := c.prepare(); err != nil {
			skip(t, err)
		}
		for _, past := range []time.Duration{time.Second, 15 * time.Second, time.Minute} {
			for _, retries := range []string{"", "true"} {
				t.Run(c.name+" "+past.String()+" "+retries, func(t *testing.T) {
					t.Parallel()
					heal(t, c, past, retries)
				})
			}
		}
	}
}

func heal(t *testing.T, c *client, past time.Duration, retries string) {
	defer take(waits)()
	const life = 6 * time.Second
	var mu sync.Mutex
	var begun, healed, good time.Time
	down := false
	w := newWorld(t, life, func(call sandbox.Call) error {
		mu.Lock()
		defer mu.Unlock()
		now := time.Now()
		switch {
		case call.Action != "AssumeRole":
			if !healed.IsZero() && good.IsZero() && call.CallerARN == want {
				good = now
			}
		case begun.IsZero():
			begun = now
		case now.Before(begun.Add(life + past)):
			down = true
			return sandbox.ServiceUnavailable
		case down && healed.IsZero():
			healed = now
		}
		return nil
	})
	if retries != "" {
		w.set("AWS_NEW_RETRIES_2026=" + retries)
	}
	o := w.brsExec(c, past+within(limit), c.command(w, "loop", fmt.Sprint(15+past.Seconds()))...)
	mu.Lock()
	defer mu.Unlock()
	if healed.IsZero() || good.IsZero() {
		t.Fatalf("healed %v, no good call after that; status %d, stderr %s", healed, o.status, tail(o.stderr, 400))
	}
	log, err := os.ReadFile(filepath.Join(w.dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	if text := string(log); strings.Contains(text, "MissingToken") || strings.Contains(text, "WrongToken") {
		t.Errorf("a GET lacked the token")
	}
	t.Logf("first good call %v after the healing; %d answers of 503", good.Sub(healed).Round(100*time.Millisecond),
		strings.Count(string(log), "status=503"))
}
