package conformance

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

var document = filepath.Join("..", "docs", "evidence", "CONFORMANCE.md")

// results is what TestMatrix found, for the document.
var results table

type table struct {
	mu   sync.Mutex
	rows map[*client]*row
}

type row struct {
	mu               sync.Mutex
	version, missing string
	rotations, short int // short: GETs a minute in the rotation run
	gets             []string
	outage           string
	traps            map[string]cell
}

// cell is one trap of one client.
type cell struct {
	held          bool
	naive, except string
}

func (t *table) row(c *client) *row {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.rows == nil {
		t.rows = make(map[*client]*row)
	}
	r := &row{traps: make(map[string]cell)}
	t.rows[c] = r
	return r
}

func (r *row) set(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
}

func (c cell) String() string {
	switch {
	case !c.held:
		return "✗"
	case c.naive == "other":
		return "●"
	case c.naive == "error":
		return "◐"
	case c.naive == "":
		return "✓"
	}
	return "○"
}

const preamble = `# Which clients, and how we know

Written by ` + "`CONFORMANCE=full go test ./conformance -timeout 40m -update`" + `: every client is a program of a few lines in
[conformance/clients](../../conformance/clients) with pinned versions, the SDK's default chain and nothing configured, under the
real brs-exec. Who called is the word of a strict STS (or S3), never the client's.

`

// where says what the run could reach.
func where() string {
	if !onlyLo {
		return "It ran without a network namespace, so other addresses than loopback could be reached.\n"
	}
	return `All of it ran in a network namespace whose only interface is ` + "`lo`" + ` (TestOnlyLoopback): no client needs, or reaches, another
address. As root that command makes the namespace itself; only the builds are outside.
`
}

const rotationPreamble = `
## Rotation and cost

*Rotations* happened in one process, with one client object that called every 0.2 s, without one failed call. *GETs a minute*
are those that the client sent to the endpoint at that pace, by the life of the credentials; they are answered from memory.
*Gives up*: STS is down and the credential has expired; the client failed, after that long, and did not ask the instance
metadata service that was there.

| client | version | rotations | GETs a minute, life of seconds | 15 min | 1 h | gives up after | what to know |
|---|---|---|---|---|---|---|---|
`

const trapsTitle = "## Traps\n\n"

const trapsPreamble = `Each is something on the machine that offers another identity, or hides the endpoint. The other identity is valid at the same
STS. ● the client was the role, and under a wrapper that only adds the endpoint to the environment it would have been the
other; ◐ it was the role, and there it would have failed; ○ it was the role in both; ✓ it was the role, the other was not
tried; ✗ it was not the role: see below. – does not concern it.

`

func (t *table) markdown() string {
	var b strings.Builder
	b.WriteString(preamble + where() + rotationPreamble)
	var there []*client
	for _, c := range clients {
		r := t.rows[c]
		if r == nil || r.missing != "" {
			continue
		}
		there = append(there, c)
		fmt.Fprintf(&b, "| %s | %s | %d | %d | %s | %s | %s | %s |\n", c.name, r.version, r.rotations, r.short,
			strings.Join(r.gets[:1], ""), strings.Join(r.gets[1:], ""), r.outage, c.note)
	}
	b.WriteString("\n" + trapsTitle + trapsPreamble)
	t.trapTable(&b, there)
	b.WriteString(profilesText)
	t.absent(&b)
	return b.String()
}

const profilesText = `
## Several profiles

Under one ` + "`brs-exec --profile hub`" + `, each of these was the role of the profile that it names itself, by the word of STS and S3
(TestOtherProfiles): terraform with three aliases of the AWS provider (` + "`profile = \"network\"`" + `, ` + "`\"dns\"`" + `, and ` + "`\"data\"`" + `, whose
` + "`source_profile`" + ` is ` + "`network`" + `) and its S3 backend by a fourth, ` + "`aws --profile dns`" + `, ` + "`boto3.Session(profile_name=\"data\")`" + `. Without a name
they were ` + "`hub`" + `. A profile that doesn't stand on ` + "`hub`" + ` isn't there: each program names it and ends, and nobody is called.
`

// longTitle begins the section that TestLong writes; the rest is TestMatrix's.
const longTitle = "## Half an hour\n\n"

// writeDocument writes what this run knows and leaves the rest as it is.
func writeDocument() error {
	text, err := os.ReadFile(document)
	if err != nil {
		return err
	}
	before, halfHour, after := cutSection(string(text), longTitle)
	if long {
		halfHour = longTitle + longMarkdown() + "\n"
	} else {
		before, after, _ = strings.Cut(results.markdown(), trapsTitle)
		after = trapsTitle + after
	}
	text = []byte(before + halfHour + after)
	if err := os.WriteFile(document, text, 0o644); err != nil {
		return err
	}
	return errors.Join(complaints(string(text))...)
}

// cutSection cuts out what is below a title; where there is none yet, nothing above the traps.
func cutSection(text, title string) (before, section, after string) {
	before, section, ok := strings.Cut(text, title)
	if !ok {
		before, after, _ = strings.Cut(text, trapsTitle)
		return before, "", trapsTitle + after
	}
	end := strings.Index(section, "\n## ") + 1
	return before, title + section[:end], section[end:]
}

func (t *table) trapTable(b *strings.Builder, there []*client) {
	b.WriteString("| trap |")
	for _, c := range there {
		b.WriteString(" " + c.name + " |")
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(there)) + "\n")
	var why []string
	for _, trap := range traps {
		b.WriteString("| " + trap.name + " |")
		for _, c := range there {
			cell, ok := t.rows[c].traps[trap.name]
			if !ok {
				b.WriteString(" – |")
				continue
			}
			b.WriteString(" " + cell.String() + " |")
			if cell.except != "" {
				why = append(why, "- "+c.name+", "+trap.name+": "+cell.except)
			}
		}
		b.WriteString("\n")
	}
	if why != nil {
		b.WriteString("\n" + strings.Join(why, "\n") + "\n")
	}
}

func (t *table) absent(b *strings.Builder) {
	b.WriteString("\n## Not here\n\n")
	for _, c := range clients {
		if r := t.rows[c]; r != nil && r.missing != "" {
			fmt.Fprintf(b, "- %s: `%s`\n", c.name, strings.Join(strings.Fields(r.missing), " "))
		}
	}
	for _, s := range absent {
		b.WriteString("- " + s + "\n")
	}
}

// absent is what no registry that is reached here has.
var absent = []string{
	"aws-sdk-php, aws-sdk-net: their registries (Packagist, NuGet) are not reached from where this is tested.",
	"aws-sdk-cpp by itself: no package has it; it is PyArrow's and awscrt's relative.",
}

// complaints are what the document lacks: each client in both tables, or why it could not be had; the main ones
// in the half hour; a line with a link for each cell that is ✗.
func complaints(text string) (errs []error) {
	wrong := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf(document+": "+format+": run it with -update", args...))
	}
	_, halfHour, _ := cutSection(text, longTitle)
	_, matrix, _ := strings.Cut(text, trapsTitle)
	for _, c := range clients {
		row := "\n| " + c.name + " | "
		if strings.Contains(text, "\n- "+c.name+": ") {
			continue // refused, or a cell that is explained
		}
		if !strings.Contains(text, row) || !strings.Contains(matrix, " "+c.name+" |") {
			wrong("%s is missing", c.name)
		}
		if c.main && !strings.Contains(halfHour, row) {
			wrong("%s is not in the half hour", c.name)
		}
	}
	table, below, _ := strings.Cut(matrix, "\n\n- ")
	explained := strings.Count(table, " ✗ |")
	if n := strings.Count("\n- "+below, "](https://"); explained > n {
		wrong("%d cells are ✗, %d explained", explained, n)
	}
	return errs
}

// The document is complete. With -update that is asked of the new one, when it is written.
func TestDocument(t *testing.T) {
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		return
	}
	for _, err := range complaints(string(text)) {
		t.Error(err)
	}
}

// Where the process says that there is only loopback, there is.
func TestOnlyLoopback(t *testing.T) {
	all, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	if onlyLo && (len(all) != 1 || all[0].Flags&net.FlagLoopback == 0) {
		t.Errorf("%v", all)
	}
	if (full || long) && !onlyLo && os.Getenv("CI") == "true" {
		t.Error("no network namespace")
	}
}
