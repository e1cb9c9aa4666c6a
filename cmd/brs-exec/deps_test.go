package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// leaves are what several rooms would otherwise write twice (DESIGN §1). Any room may import them;
// they import nothing of ours.
var leaves = []string{"awsconfig", "nearest", "notify", "procfs", "roots"}

// TestRooms holds the picture at the top of DESIGN: only cmd/brs-exec knows the rooms; they meet in
// aws.CredentialsProvider and the standard library's types.
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
		name, _, _ := strings.Cut(strings.TrimPrefix(pkg, "brs-exec/internal/"), "/")
		for _, i := range strings.Fields(imports) {
			imported, ours := strings.CutPrefix(i, "brs-exec/internal/")
			switch {
			case !ours || strings.HasPrefix(imported, name+"/"): // what is not ours, the room's own inner rooms
			case slices.Contains(leaves, imported) && !slices.Contains(leaves, name):
			default:
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
