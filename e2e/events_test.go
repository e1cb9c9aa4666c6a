package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"brs-exec/internal/sandbox"
	"brs-exec/need"
)

// record is one line of --log-format json.
type record map[string]any

func (r record) event() string { s, _ := r["event"].(string); return s }

// records reads a log in which every line must be whole.
func records(t *testing.T, path string) (all []record) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		var r record
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		all = append(all, r)
	}
	return all
}

// eventRuns are runs of the real binary; together they give every event with every field that docs/MACHINE.md has.
var eventRuns = map[string]func(t *testing.T, log string){
	"an outage and its clients": troubledRun,
	"a command that asks, and fails": func(t *testing.T, log string) {
		w := newWorld(t, sandbox.Options{}).base()
		w.wantStatus(t, 3, jsonLog(log, "--", "sh", "-c", tools.whois+"; "+tools.whois+"; "+tools.whois+"; exit 3")...)
	},
	"a client of a share": func(t *testing.T, log string) {
		w := newWorld(t, sandbox.Options{}).base()
		dir := filepath.Join(t.TempDir(), "aws")
		e := w.serve(t, jsonLog(log, "--share", dir)...)
		defer e.stop()
		c, err := net.Dial("unix", filepath.Join(dir, "aws.sock"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		io.WriteString(c, "GET /credentials HTTP/1.0\r\n\r\n")
		if answer, err := io.ReadAll(c); err != nil || !bytes.Contains(answer, []byte(" 200 OK")) {
			t.Errorf("%v: %s", err, answer)
		}
	},
	"a further profile, refused at first": func(t *testing.T, log string) {
		var asked time.Time
		w := newWorld(t, sandbox.Options{Fault: func(c sandbox.Call) error {
			if !strings.HasSuffix(c.Params.Get("RoleArn"), "role/a") {
				return nil
			}
			if asked.IsZero() {
				asked = time.Now()
			}
			if time.Since(asked) < 2*time.Second { // longer than a GET waits
				return sandbox.InternalFailure
			}
			return nil
		}}).base()
		config := filepath.Join(t.TempDir(), "config")
		text := "[profile a]\nrole_arn = arn:aws:iam::111111111111:role/a\ncredential_source = Environment\n"
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		w.set("AWS_CONFIG_FILE=" + config)
		w.wantStatus(t, 0, jsonLog(log, "--with-profile", "a", "--", "sh", "-c", "AWS_PROFILE=a exec "+tools.whois)...)
	},
	"STS down at the start": func(t *testing.T, log string) {
		begun := time.Now()
		w := newWorld(t, sandbox.Options{Fault: func(sandbox.Call) error {
			if time.Since(begun) < 4*time.Second {
				return sandbox.InternalFailure
			}
			return nil
		}}).base()
		w.wantStatus(t, 0, jsonLog(log, "--", "true")...)
	},
}

func (w *world) wantStatus(t *testing.T, want int, args ...string) {
	t.Helper()
	if _, stderr, status := w.run(t, args...); status != want {
		t.Errorf("status %d, stderr %q; want %d", status, stderr, want)
	}
}

func jsonLog(path string, more ...string) []string {
	return append([]string{"--role-arn", role, "--log-level", "debug", "--log-format", "json", "--log-file", path}, more...)
}

// troubledRun: one good life, then AccessDenied and 500 until the credential has ended, then health; its clients ask in
// every way that is refused.
func troubledRun(t *testing.T, log string) {
	var calls, broken atomic.Int64
	broken.Store(1)
	w := newWorld(t, sandbox.Options{TTL: 12 * time.Second, Fault: func(c sandbox.Call) error {
		switch n := calls.Add(1); {
		case n == 1 || broken.Load() == 0:
			return nil
		case n == 2:
			return sandbox.Error{Status: 403, Code: "AccessDenied", Message: "made by the test"}
		}
		return sandbox.InternalFailure
	}}).base()
	e := w.serve(t, jsonLog(log)...)
	for _, odd := range []func(*http.Request){
		func(r *http.Request) {},
		func(r *http.Request) { r.Header.Set("Authorization", "wrong") },
		func(r *http.Request) { r.Header.Del("Authorization") },
		func(r *http.Request) { r.Host = "example.com" },
		func(r *http.Request) { r.Method = "PUT" },
		func(r *http.Request) { r.URL.Path = "/" },
	} {
		e.ask(t, odd)
	}
	waitForEvent(t, log, "refresh_failed", "expired")
	if status := e.ask(t, func(*http.Request) {}); status == 200 {
		t.Error("200 after the end")
	}
	broken.Store(0)
	waitForEvent(t, log, "healed", "outage")
	e.stop()
}

// ask sends one request with something changed.
func (e *endpoint) ask(t *testing.T, change func(*http.Request)) (status int) {
	t.Helper()
	req, err := http.NewRequest("GET", e.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", e.token)
	req.Close = true
	change(req)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// waitForEvent waits for one with that field.
func waitForEvent(t *testing.T, log, event, field string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(log); err != nil {
			continue
		}
		for _, r := range records(t, log) {
			if r.event() == event && r[field] != nil {
				return
			}
		}
	}
	t.Fatalf("no %s with %s in a minute", event, field)
}

// The table of docs/MACHINE.md is what a run says: a field that isn't in it fails, and one that never comes.
func TestEventsTable(t *testing.T) {
	t.Parallel()
	said := make(map[string]string) // "event field" to its levels
	var mu sync.Mutex
	t.Run("runs", func(t *testing.T) {
		for name, run := range eventRuns {
			t.Run(name, func(t *testing.T) {
				log := filepath.Join(t.TempDir(), "log")
				run(t, log)
				if name == "an outage and its clients" {
					readByJq(t, log)
				}
				mu.Lock()
				defer mu.Unlock()
				for _, r := range records(t, log) {
					collect(said, r)
				}
			})
		}
	})
	if t.Failed() {
		return
	}
	want := eventTable(t)
	for _, key := range slices.Sorted(maps.Keys(said)) {
		if _, ok := want[key]; !ok {
			t.Errorf("docs/MACHINE.md has no row for %s", key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if said[key] == "" {
			t.Errorf("no run gave %s, which docs/MACHINE.md has", key)
		}
		for level := range strings.FieldsSeq(said[key]) {
			if want[key] != "–" && !slices.Contains(strings.Split(want[key], ", "), level) {
				t.Errorf("%s came at %s; docs/MACHINE.md has %s", key, level, want[key])
			}
		}
	}
}

// readByJq types the document's line that reads the log: it tells each failed refresh, with its time and error.
func readByJq(t *testing.T, log string) {
	need.Tools(t, "sh", "jq")
	for _, line := range commandsOfOthers(read(t, filepath.Join("..", "docs", "MACHINE.md"))) {
		if strings.HasPrefix(line, "jq ") {
			out, err := exec.Command("sh", "-c", strings.ReplaceAll(line, "etl.jsonl", log)).CombinedOutput()
			if n := bytes.Count(out, []byte("Z\t")); err != nil || n == 0 || n != bytes.Count(out, []byte("\n")) {
				t.Errorf("%s: %v: %s", line, err, out)
			}
		}
	}
}

var common = []string{"time", "level", "msg", "event", "wrapper"}

// collect adds a record's fields; those of each are of the event "each".
func collect(said map[string]string, r record) {
	level := strings.ToLower(fmt.Sprint(r["level"]))
	if r.event() == "" {
		return
	}
	for field := range r {
		key := r.event() + " " + field
		if slices.Contains(common, field) {
			key = "each " + field
		}
		if !slices.Contains(strings.Fields(said[key]), level) {
			said[key] += level + " "
		}
	}
	for _, field := range common {
		if r[field] == nil {
			said[r.event()+" without "+field] = level
		}
	}
}

// eventTable reads the document's two tables: "event field" to the event's levels. A row of fields may have several of each;
// where it has no event, it is of the events of the row above.
func eventTable(t *testing.T) map[string]string {
	t.Helper()
	levels, rows, events := map[string]string{"each": "–"}, make(map[string]string), []string(nil)
	for line := range strings.Lines(read(t, filepath.Join("..", "docs", "MACHINE.md"))) {
		cells := strings.Split(strings.ReplaceAll(line, "`", ""), "|")
		for i, cell := range cells {
			cells[i] = strings.TrimSpace(cell)
		}
		switch {
		case len(cells) < 5 || strings.HasPrefix(cells[1], "-") || cells[1] == "event":
		case len(cells) == 5:
			levels[cells[1]] = cells[2]
		case len(cells) == 6:
			if cells[1] != "" {
				events = strings.Split(cells[1], ", ")
			}
			addRow(t, rows, levels, events, cells)
		}
	}
	if len(rows) < 50 {
		t.Fatalf("only %d fields in docs/MACHINE.md", len(rows))
	}
	return rows
}

// addRow adds the fields of one row to rows.
func addRow(t *testing.T, rows, levels map[string]string, events, cells []string) {
	t.Helper()
	if strings.Contains(cells[4], "(Linux") && runtime.GOOS != "linux" {
		return
	}
	for _, event := range events {
		for field := range strings.SplitSeq(cells[2], ", ") {
			key := event + " " + field
			if rows[key] != "" {
				t.Errorf("docs/MACHINE.md has %s twice", key)
			}
			if levels[event] == "" || cells[3] == "" || cells[4] == "" {
				t.Errorf("docs/MACHINE.md says nothing of %s", key)
			}
			rows[key] = levels[event]
		}
	}
}

// Units: a duration is a number, a time RFC 3339.
func TestEventUnits(t *testing.T) {
	w := newWorld(t, sandbox.Options{TTL: 90 * time.Second}).base()
	log := filepath.Join(t.TempDir(), "log")
	if _, _, status := w.run(t, jsonLog(log, "--", "sleep", "0.3")...); status != 0 {
		t.Fatalf("status %d", status)
	}
	for _, r := range records(t, log) {
		switch r.event() {
		case "rotated":
			if life, ok := r["life"].(float64); !ok || life < 80 || life > 90 {
				t.Errorf("life %v", r["life"])
			}
			expires, err := time.Parse(time.RFC3339, fmt.Sprint(r["expires"]))
			if left := time.Until(expires); err != nil || left < 60*time.Second || left > 90*time.Second {
				t.Errorf("expires %v (%v)", r["expires"], err)
			}
		case "child_exited":
			if ran, ok := r["ran"].(float64); !ok || ran < 0.3 || ran > 30 {
				t.Errorf("ran %v", r["ran"])
			}
		}
	}
}

// In text nobody needs the names of events. The command's arguments are in neither form.
func TestEventsInText(t *testing.T) {
	w := newWorld(t, sandbox.Options{}).base()
	_, stderr, _ := w.run(t, "--role-arn", role, "--log-level", "debug", "--", "/bin/sh", "-c", ": hush")
	if !strings.Contains(stderr, "brs-exec: command started (command=sh, ") || strings.Contains(stderr, "hush") || strings.Contains(stderr, "event=") || strings.Contains(stderr, "child_exited") {
		t.Errorf("stderr %q", stderr)
	}
}

// The file is its owner's, keeps what is in it, and whole lines of all who write; one that was renamed goes on.
func TestLogFile(t *testing.T) {
	const wrappers = 6
	w := newWorld(t, sandbox.Options{TTL: 6 * time.Second}).base()
	log := filepath.Join(t.TempDir(), "log")
	begin, renamed := filepath.Join(w.home, "begin"), log+".1"
	var running sync.WaitGroup
	for range wrappers {
		cmd := exec.Command(tools.brsExec, jsonLog(log, "--", "sh", "-c", `while [ ! -e "$1" ]; do `+tools.whois+` >/dev/null; done`, "sh", begin)...)
		cmd.Env = w.env
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		running.Go(func() {
			if err := cmd.Wait(); err != nil {
				t.Error(err)
			}
		})
	}
	defer running.Wait()
	defer os.WriteFile(begin, nil, 0o600)
	waitForEvent(t, log, "served", "peer")
	if s, err := os.Stat(log); err != nil || s.Mode().Perm() != 0o600 {
		t.Errorf("mode %v (%v)", s.Mode(), err)
	}
	time.Sleep(2 * time.Second) // of busy writing
	if err := os.Rename(log, renamed); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(begin, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	running.Wait()
	if _, err := os.Stat(log); !os.IsNotExist(err) {
		t.Errorf("a new file after the rename (%v)", err)
	}
	ended, before := 0, len(records(t, renamed))
	of := make(map[any]bool)
	for _, r := range records(t, renamed) {
		of[r["wrapper"]] = true
		if r.event() == "child_exited" {
			ended++
		}
	}
	if ended != wrappers || len(of) != wrappers {
		t.Errorf("%d ends of %d wrappers; want %d", ended, len(of), wrappers)
	}
	if _, _, status := w.run(t, jsonLog(renamed, "--", "true")...); status != 0 || len(records(t, renamed)) <= before {
		t.Errorf("status %d; %d records, then %d", status, before, len(records(t, renamed)))
	}
}
