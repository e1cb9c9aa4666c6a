package main

import (
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"brs-exec/internal/ecsserver"
	"brs-exec/internal/runner"
)

// docs/REACH.md's table of hints has the rows of outOfReach, in their order.
func TestReachDocument(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", "REACH.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(strings.ReplaceAll(string(doc), "\r\n", "\n"), "| command | why | right order | test |\n|---|---|---|---|\n")
	if !ok {
		t.Fatal("no table")
	}
	table, _, _ = strings.Cut(table, "\n\n")
	var got, want []string
	for line := range strings.Lines(table) {
		cells := strings.Split(line, " | ")
		got = append(got, strings.Join(cells[:3], " | "))
	}
	for _, row := range outOfReach {
		cell := code(row.commands)
		if row.words != "" {
			cell += " with " + code(row.words)
		}
		want = append(want, "| "+cell+" | "+row.why+" | "+row.order)
	}
	for i, line := range want {
		if i >= len(got) || got[i] != line {
			t.Errorf("row %d of docs/REACH.md should begin\n%s", i+1, line)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d rows; want %d", len(got), len(want))
	}
}

func code(words string) string { return "`" + strings.Join(strings.Fields(words), "`, `") + "`" }

func TestReachHint(t *testing.T) {
	for _, tt := range []struct {
		command string
		want    string // its beginning; "": none
	}{
		{"sudo make", "nobody asked for credentials, perhaps because of sudo: it drops the environment; try sudo brs-exec"},
		{"/usr/bin/ssh host", "nobody asked for credentials, perhaps because of ssh: "},
		{"ssh.exe host", "nobody asked for credentials, perhaps because of ssh: "},
		{"env -i make", "nobody asked for credentials, perhaps because of env: "},
		{"env A=1 make", ""},
		{"env -vi make", "nobody asked for credentials, perhaps because of env: "},
		{"env --ignore-signal make", ""},
		{"unshare -rn make", "nobody asked for credentials, perhaps because of unshare: "},
		{"unshare -r make -n", ""},
		{"su user -c make", ""},
		{"su - user", "nobody asked for credentials, perhaps because of su: "},
		{"parallel echo", ""},
		{"parallel --sshlogin=host echo", "nobody asked for credentials, perhaps because of parallel: "},
		{"kubectl get pods", ""},
		{"kubectl exec pod -- make", "nobody asked for credentials, perhaps because of kubectl: "},
		{"./gradlew build", "nobody asked for credentials, perhaps because of gradlew: "},
		{"make sudo", ""},
		{"sudoku", ""},
	} {
		if got := reachHint(strings.Fields(tt.command)); !strings.HasPrefix(got, tt.want) || (got == "") != (tt.want == "") {
			t.Errorf("%s: got %q; want %q…", tt.command, got, tt.want)
		}
	}
}

// The hint is for a command that failed without having come to us, and for nothing else.
func TestAdviseReach(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status runner.Status
		asked  ecsserver.Stats
		level  slog.Level
		silent bool
	}{
		{name: "failed", status: 1},
		{name: "ssh failed", status: 255},
		{name: "ran nothing", status: 127, silent: true},
		{name: "went well", silent: true},
		{name: "killed", status: -15, silent: true},
		{name: "killed, says its shell", status: 130, silent: true},
		{name: "was served", status: 1, asked: ecsserver.Stats{Served: 1}, silent: true},
		{name: "came in vain", status: 1, asked: ecsserver.Stats{Unavailable: 1}, silent: true},
		{name: "was refused", status: 1, asked: ecsserver.Stats{Refused: map[string]uint64{"WrongToken": 1}}, silent: true},
		{name: "errors only", status: 1, level: slog.LevelError, silent: true},
	} {
		log := slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: max(tt.level, slog.LevelWarn)}))
		var b strings.Builder
		adviseReach(&b, log, []string{"sudo", "sh"}, tt.status, tt.asked)
		if silent := b.String() == ""; silent != tt.silent || !silent && strings.Count(b.String(), "\n") != 1 {
			t.Errorf("%s: %q", tt.name, b.String())
		}
	}
}

// No command is in two rows.
func TestReachOnce(t *testing.T) {
	var seen []string
	for _, row := range outOfReach {
		for name := range strings.FieldsSeq(row.commands) {
			if slices.Contains(seen, name) {
				t.Errorf("%s twice", name)
			}
			seen = append(seen, name)
		}
	}
}
