//go:build unix

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"brs-exec/need"
)

// generated are the files that are made from the table of flags. They are committed, so that a
// package needs nothing but the files.
var generated = map[string]func() string{
	"docs/FLAGS.md":   flagsPage,
	"docs/brs-exec.1": manPage,
}

// TestGenerated: they are current. `go test ./cmd/brs-exec -run TestGenerated -update` writes them.
func TestGenerated(t *testing.T) {
	for name, page := range generated {
		path := filepath.Join("..", "..", filepath.FromSlash(name))
		if *update {
			if err := os.WriteFile(path, []byte(page()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
		}
		if got := strings.ReplaceAll(string(text), "\r\n", "\n"); got != page() {
			t.Errorf("%s is not current: go test ./cmd/brs-exec -run TestGenerated -update", name)
		}
	}
}

// examples are those of --help, each with its "$ ".
func examples() (lines []string) {
	for line := range strings.Lines(usage) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "$ ") {
			lines = append(lines, line)
		}
	}
	return lines
}

// flagsPage is docs/FLAGS.md.
func flagsPage() string {
	var b strings.Builder
	b.WriteString("# All flags\n\nMade from the flags by `go test ./cmd/brs-exec -run TestGenerated -update`; " +
		"`brs-exec --help` and `man brs-exec` say the same.\n\n" + wrap(variables, 100, "") + "\n\n" +
		"Shells complete flags, their values, and the command's own words. Packages install that; else " +
		"`source <(brs-exec --completion bash)`,\n`brs-exec --completion fish | source`, or the output of " +
		"`brs-exec --completion zsh` as `_brs-exec` in a folder of `$fpath`.\n")
	markdown := strings.NewReplacer("*", `\*`, "|", `\|`, "<", `\<`, "_", `\_`)
	for _, g := range newCLI().groups() {
		fmt.Fprintf(&b, "\n## %s\n\n| flag | what it does | variable |\n|---|---|---|\n", g.title)
		for _, o := range g.flags {
			of := "–"
			if o.hasVariable() {
				of = "`" + variable(o.name) + "`"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", o.usage(), markdown.Replace(o.help), of)
		}
	}
	return b.String()
}

// manPage is brs-exec(1), in the macros of man(7).
func manPage() string {
	roff := strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "~", `\(ti`)
	var b strings.Builder
	b.WriteString(`.\" Made from the flags: go test ./cmd/brs-exec -run TestGenerated -update
.TH BRS\-EXEC 1 2026-11-28 brs\-exec
.SH NAME
brs\-exec \- run a command with AWS credentials that don't expire while it runs
.SH SYNOPSIS
.B brs\-exec
.RI [ flags ]
.RB [ \-\- ]
.I COMMAND
.RI [ ARG ...]
.SH DESCRIPTION
brs\-exec assumes an AWS role, serves its credentials on a loopback endpoint of
the form that ECS containers have, and points the command's environment at it.
It refreshes the credentials in the background and returns the command's exit
status.
.PP
Flags end at
.B \-\-
or at the first word that is no flag.
.SH EXAMPLES
.EX
`)
	for _, line := range examples() {
		b.WriteString(roff.Replace(line) + "\n")
	}
	b.WriteString(".EE\n.SH OPTIONS\n")
	for _, g := range newCLI().groups() {
		b.WriteString(".SS " + g.title + "\n")
		for _, o := range g.flags {
			flag, value, _ := strings.Cut(strings.TrimPrefix(o.usage(), "-h, "), " ")
			fmt.Fprintf(&b, ".TP\n.BR %s", roff.Replace(flag))
			if value != "" {
				fmt.Fprintf(&b, ` " " \fI%s\fP`, roff.Replace(value))
			}
			b.WriteString("\n" + wrap(roff.Replace(o.help)+".", 78, "") + "\n")
		}
	}
	b.WriteString(".SH ENVIRONMENT\n" + wrap(roff.Replace(variables), 78, "") + "\n")
	b.WriteString(".SH EXIT STATUS\n")
	status, rest, _ := strings.Cut(strings.TrimPrefix(statuses, "Exit status: "), "; ")
	fmt.Fprintf(&b, "%s.\n", wrap(strings.ToUpper(status[:1])+roff.Replace(status[1:]), 78, ""))
	for row := range strings.SplitSeq(strings.TrimSuffix(rest, "."), "; ") {
		number, text, _ := strings.Cut(row, " ")
		fmt.Fprintf(&b, ".TP\n.B %s\n%s.\n", number, roff.Replace(text))
	}
	b.WriteString(`.SH SEE ALSO
.BR aws (1),
.BR env (1)
.PP
The documents beside the program's source: README.md says where to begin,
docs/SOURCES.md whose credentials are used, docs/TROUBLESHOOTING.md what to do
about a message.
`)
	return b.String()
}

// TestManPage: the readers of man pages find no fault with ours.
func TestManPage(t *testing.T) {
	t.Parallel()
	need.Tools(t, "mandoc", "lexgrog")
	const page = "../../docs/brs-exec.1"
	if out, err := exec.Command("mandoc", "-T", "lint", page).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("mandoc -T lint: %v\n%s", err, out)
	}
	out, err := exec.Command("lexgrog", page).CombinedOutput()
	if err != nil {
		t.Errorf("lexgrog: %v: %s", err, out)
	}
}
