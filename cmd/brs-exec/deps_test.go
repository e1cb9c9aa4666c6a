package main

import (
	"os/exec"
	"strings"
	"testing"
)

// TestRooms holds the picture at the top of DESIGN: only cmd/brs-exec knows the
// rooms; they meet in aws.CredentialsProvider and the standard library's types.
func TestRooms(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-f", "{{.ImportPath}}: {{join .Imports \" \"}}", "brs-exec/internal/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	rooms := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(rooms) < 6 {
		t.Fatalf("only %d packages below internal: %q", len(rooms), rooms)
	}
	for _, room := range rooms {
		pkg, imports, _ := strings.Cut(room, ": ")
		if rest := strings.TrimPrefix(pkg, "brs-exec/internal/"); strings.Contains(rest, "/") {
			continue // a tool of the room above it
		}
		for _, i := range strings.Fields(imports) {
			if strings.HasPrefix(i, "brs-exec/") {
				t.Errorf("%s imports %s: a room that knows another can't be changed alone", pkg, i)
			}
		}
	}
}

// TestNoStrangers keeps out what must not be linked into the product, each with its reason.
func TestNoStrangers(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-deps", "brs-exec/cmd/brs-exec").Output()
	if err != nil {
		t.Fatal(err)
	}
	strangers := map[string]string{
		"testing":           "test code in the product",
		"net/http/httptest": "test code in the product",
		"net/http/pprof":    "it would serve the memory that holds the credentials",
		"html/template":     "a megabyte, and a package initialisation, for nothing",
		"plugin":            "turns the binary into a dynamic one",
	}
	for _, pkg := range strings.Fields(string(out)) {
		if why, ok := strangers[pkg]; ok {
			t.Errorf("%s is linked: %s", pkg, why)
		}
	}
}
