package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// leaves are what several rooms would otherwise write twice (DESIGN §1).
var leaves = []string{"awsconfig", "hint", "nearest", "notify", "procfs", "roots", "winproc"}

const ours = "brs-exec/"

// golist asks about packages of ours, a line each.
func golist(t *testing.T, goos, format string, args ...string) []string {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-f", format}, args...)...)
	cmd.Env = append(os.Environ(), "GOOS="+goos, "GOFLAGS=") // -race is for this system alone
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) < 10 {
		t.Fatalf("only %d packages: %q", len(lines), lines)
	}
	return lines
}

// room splits a path below internal/ into the room, and the room inside it.
func room(pkg string) (name, inner string) {
	name, inner, _ = strings.Cut(strings.TrimPrefix(pkg, ours+"internal/"), "/")
	return name, inner
}

// TestRooms holds the picture at the top of DESIGN: only cmd/brs-exec knows the rooms; they meet in
// aws.CredentialsProvider and the standard library's types. Tests may have the sandbox as well.
func TestRooms(t *testing.T) {
	t.Parallel()
	const format = `{{.ImportPath}}|{{join .Imports " "}}|{{join .TestImports " "}} {{join .XTestImports " "}}`
	for _, goos := range []string{"linux", "darwin", "windows"} {
		for _, line := range golist(t, goos, format, ours+"...") {
			fields := strings.Split(line, "|")
			for i, imports := range fields[1:] {
				for imported := range strings.FieldsSeq(imports) {
					if why := forbidden(fields[0], imported, i == 1); why != "" {
						t.Errorf("%s, %s imports %s: %s", goos, fields[0], imported, why)
					}
				}
			}
		}
	}
}

// forbidden says why a package must not import another; "": it may.
func forbidden(pkg, imported string, test bool) (why string) {
	product := strings.HasPrefix(pkg, ours+"internal/") || strings.HasPrefix(pkg, ours+"cmd/")
	switch {
	case strings.HasPrefix(imported, ours+"internal/"):
	case strings.HasPrefix(imported, ours) && product && !test:
		return "it is for tests and tools"
	default:
		return ""
	}
	to, inner := room(imported)
	from := "" // a command or a tool, which may know all rooms
	if strings.HasPrefix(pkg, ours+"internal/") {
		from, _ = room(pkg)
	}
	switch {
	case inner != "" && from == to: // siblings, and the room itself
		return ""
	case inner != "":
		return "a room inside " + to + " is for " + to + " alone, which can then change it"
	case test && (to == "sandbox" || to == from):
		return ""
	case from == "":
		return ""
	case slices.Contains(leaves, from):
		return "a leaf stands on nothing of ours, or rooms would meet through it"
	case slices.Contains(leaves, to):
		return ""
	}
	return "a room that knows another can't be changed alone: cmd/brs-exec brings them together"
}

func TestForbidden(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		from, to string
		test, ok bool
	}{
		{"cmd/brs-exec", "internal/source", false, true},
		{"cmd/brs-exec", "internal/source/problem", false, false},
		{"internal/source", "internal/source/problem", false, true},
		{"internal/source/prompt", "internal/source/problem", false, true},
		{"internal/source/problem", "internal/source", false, false},
		{"internal/source/stsapi", "internal/roots", false, true},
		{"internal/refresh", "internal/source/problem", false, false},
		{"internal/refresh", "internal/source", false, false},
		{"internal/refresh", "internal/sandbox", false, false},
		{"internal/refresh", "internal/sandbox", true, true},
		{"internal/refresh", "internal/source", true, false},
		{"internal/nearest", "internal/awsconfig", false, false},
		{"internal/nearest", "internal/source", false, false},
		{"internal/nearest", "need", false, false},
		{"internal/nearest", "need", true, true},
		{"bench/startup", "internal/sandbox", false, true},
	} {
		if why := forbidden(ours+tt.from, ours+tt.to, tt.test); (why == "") != tt.ok {
			t.Errorf("%s of %s: %q; want it allowed: %t", tt.to, tt.from, why, tt.ok)
		}
	}
}

// A package's doc is its contract: without one, nobody knows what belongs into it.
func TestPackagesHaveDocs(t *testing.T) {
	t.Parallel()
	for _, line := range golist(t, runtime.GOOS, `{{.ImportPath}}|{{len .GoFiles}}|{{.Doc}}`, ours+"...") {
		fields := strings.SplitN(line, "|", 3)
		if fields[1] != "0" && fields[2] == "" {
			t.Errorf("%s has no package doc", fields[0])
		}
	}
}

// literals calls do for each string literal of the product outside of tests.
func literals(t *testing.T, root string, do func(at token.Position, text string)) {
	t.Helper()
	files := token.NewFileSet()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == "testdata":
			return fs.SkipDir
		case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		f, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				do(files.Position(lit.Pos()), lit.Value)
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Flags are named in cmd/brs-exec alone: other packages are told how what they were given is
// written, since the same comes from a variable or a profile. The aws cli's own flags, some of
// which have the same names, are for people to type.
func TestFlagsAreNamedHereOnly(t *testing.T) {
	t.Parallel()
	known := make(map[string]bool)
	for name := range newCLI().options() {
		known[name] = true
	}
	flag := regexp.MustCompile(`--([a-z][a-z-]*[a-z])`)
	literals(t, filepath.Join("..", "..", "internal"), func(at token.Position, text string) {
		for _, m := range flag.FindAllStringSubmatch(text, -1) {
			if known[m[1]] && !strings.Contains(text, "aws ") {
				t.Errorf("%s: %s is named in %s", at, m[0], text)
			}
		}
	})
}

// A connection whose certificate nobody has checked must not carry credentials, not even once.
func TestNobodySkipsVerification(t *testing.T) {
	t.Parallel()
	err := filepath.WalkDir(filepath.Join("..", ".."), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		if strings.Contains(string(text), "InsecureSkipVerify") {
			t.Errorf("%s says InsecureSkipVerify", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
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
