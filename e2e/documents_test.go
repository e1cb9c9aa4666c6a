package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"brs-exec/need"
)

// A link in a document: its page, and the section there.
var pageLink = regexp.MustCompile(`\]\(([^)#: ]*)(?:#([^)]*))?\)`)

// Links between the documents lead somewhere, and so do their anchors.
func TestDocumentLinks(t *testing.T) {
	pages := documents(t)
	if len(pages) < 10 {
		t.Fatalf("only %d pages", len(pages))
	}
	for _, page := range pages {
		for _, m := range pageLink.FindAllStringSubmatch(prose(read(t, page)), -1) {
			target := page
			if m[1] != "" {
				target = filepath.Join(filepath.Dir(page), m[1])
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: %v", page, err)
			} else if m[2] != "" && !slices.Contains(anchors(read(t, target)), m[2]) {
				t.Errorf("%s: %s has no #%s", page, target, m[2])
			}
		}
	}
}

// Every page is reached from README.md, by links.
func TestEveryPageIsLinked(t *testing.T) {
	reached, next := map[string]bool{}, []string{filepath.Join("..", "README.md")}
	for len(next) > 0 {
		page := next[0]
		next = next[1:]
		if reached[page] || !strings.HasSuffix(page, ".md") {
			continue
		}
		reached[page] = true
		for _, m := range pageLink.FindAllStringSubmatch(prose(read(t, page)), -1) {
			if m[1] != "" {
				next = append(next, filepath.Join(filepath.Dir(page), m[1]))
			}
		}
	}
	for _, page := range documents(t) {
		if !reached[page] {
			t.Errorf("no link leads to %s", page)
		}
	}
}

// anchors are the ids that GitHub gives to a page's headings.
func anchors(page string) (ids []string) {
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(prose(page), -1) {
		id := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
				return unicode.ToLower(r)
			}
			return -1
		}, m[1])
		for n, first := 1, id; slices.Contains(ids, id); n++ {
			id = fmt.Sprintf("%s-%d", first, n)
		}
		ids = append(ids, id)
	}
	return ids
}

// prose is a page without its code blocks.
func prose(page string) string {
	var b strings.Builder
	fenced := false
	for line := range strings.Lines(page) {
		switch {
		case strings.HasPrefix(line, "```"):
			fenced = !fenced
		case !fenced && !strings.HasPrefix(line, "    "):
			b.WriteString(line)
		}
	}
	return b.String()
}

// words counts what is to be read of a page: without code blocks, and without the bars of tables.
func words(page string) (n int) {
	for _, word := range strings.Fields(prose(page)) {
		if strings.ContainsFunc(word, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }) {
			n++
		}
	}
	return n
}

// A user reads little before the line to type: README to its reference part, and all pages for users together.
func TestWordCounts(t *testing.T) {
	readme, _, ok := strings.Cut(read(t, filepath.Join("..", "README.md")), "\n# Reference\n")
	if n := len(strings.Fields(readme)); n > 900 || !ok {
		t.Errorf("README.md has %d words before its reference part (which is there: %v); want 900 at most", n, ok)
	}
	if n := words(read(t, filepath.Join("..", "docs", "SOURCES.md"))); n > 900 {
		t.Errorf("SOURCES.md has %d words; want 900 at most", n)
	}
	all := 0
	for _, page := range documents(t) {
		name := filepath.Base(page)
		if filepath.Dir(page) != filepath.Join("..", "docs") || slices.Contains(notForUsers, name) {
			continue
		}
		n := words(read(t, page))
		t.Logf("%5d %s", n, name)
		all += n
	}
	if t.Logf("%5d in all", all); all > 9000 {
		t.Errorf("the pages for users have %d words; want 9000 at most", all)
	}
}

// From README's first line to each recipe are at most 300 words, and one link.
func TestRecipesAreNear(t *testing.T) {
	readme := prose(read(t, filepath.Join("..", "README.md")))
	recipes := "\n" + read(t, filepath.Join("..", "docs", "RECIPES.md"))
	near, links := "](docs/RECIPES.md#", 0
	for _, section := range strings.Split(recipes, "\n## ")[1:] {
		heading, text, _ := strings.Cut(section, "\n")
		before, _, ok := strings.Cut(readme, near+anchors("# " + heading)[0]+")")
		if !ok {
			continue
		}
		links++
		if n := words(before) + words(text); n > 300 {
			t.Errorf("%s: %d words from README's first line to its end; want 300 at most", heading, n)
		}
	}
	if links != strings.Count(readme, near) || links < 12 {
		t.Errorf("README.md leads to %d recipes; %d are there", strings.Count(readme, near), links)
	}
}

// A figure names the command that gives it: in each promise of README, and in each section of evidence/FRESH.md.
func TestFiguresNameTheirCommands(t *testing.T) {
	_, promises, ok := strings.Cut(read(t, filepath.Join("..", "README.md")), "\n## What it promises\n")
	promises, _, _ = strings.Cut(promises, "\n## ")
	paragraphs := strings.Split(strings.TrimSpace(promises), "\n\n")
	fresh, _, _ := strings.Cut(read(t, filepath.Join("..", "docs", "evidence", "FRESH.md")), "\n## Not established\n")
	sections := strings.Split(fresh, "\n## ")[1:]
	if !ok || len(paragraphs) != 3 || len(sections) < 5 {
		t.Fatalf("%d promises, %d sections", len(paragraphs), len(sections))
	}
	figure := regexp.MustCompile(`[0-9]+ (ms|s|seconds|minutes|clients|GET)|\| [0-9]`)
	command := regexp.MustCompile("(?m)(?:`|^)(?:[A-Z]+=[a-z]+ )?go (run|test) ")
	for _, text := range slices.Concat(paragraphs, sections) {
		if figure.MatchString(text) && !command.MatchString(text) {
			t.Errorf("no command gives these figures: %.100s", text)
		}
	}
}

// notForUsers are the developers' pages, FLAGS, which is made from the flags, and SCALE, whose sections are of one engine
// each.
var notForUsers = []string{"CLIENTS.md", "DESIGN.md", "PROCESS.md", "FLAGS.md", "SCALE.md"}

// Nothing cites a document that isn't in the repository: not a page of the documentation, not a comment, not a message.
// A name in capitals without .md (DESIGN §4, PROCESS (b), CLIENTS §1) is a page of docs; the section that is named has to
// be there.
func TestCitedDocuments(t *testing.T) {
	page := regexp.MustCompile(`[A-Za-z0-9_./-]+\.md\b`)
	elsewhere := regexp.MustCompile(`https?://[^\s)]+`)
	section := regexp.MustCompile(`\b([A-Z]{5,})(?:\.md)?,? (?:§|section )([0-9]+)`)
	cited := 0
	for _, file := range sources(t) {
		text := elsewhere.ReplaceAllString(read(t, file), "")
		for _, name := range page.FindAllString(text, -1) {
			cited++
			if !found(name, filepath.Dir(file)) {
				t.Errorf("%s cites %s", file, name)
			}
		}
		for _, m := range section.FindAllStringSubmatch(text, -1) {
			cited++
			doc, err := os.ReadFile(filepath.Join("..", "docs", m[1]+".md"))
			if err != nil || !strings.Contains(string(doc), "\n## "+m[2]+". ") {
				t.Errorf("%s cites %s §%s (%v)", file, m[1], m[2], err)
			}
		}
	}
	if cited < 60 {
		t.Errorf("only %d citations: is this test looking?", cited)
	}
}

// The rules that childenv's table names are rules of docs/CLIENTS.md, section 1.
func TestCitedRules(t *testing.T) {
	_, rules, ok := strings.Cut(read(t, filepath.Join("..", "docs", "CLIENTS.md")), "\n## 1. ")
	rules, _, _ = strings.Cut(rules, "\n## ")
	if !ok {
		t.Fatal("docs/CLIENTS.md has no section 1")
	}
	cited := regexp.MustCompile(`"([0-9]+(?:, [0-9]+)*)"`).FindAllStringSubmatch(read(t, filepath.Join("..", "internal", "childenv", "table.go")), -1)
	if len(cited) < 20 {
		t.Errorf("the table names only %d rules", len(cited))
	}
	for _, m := range cited {
		for number := range strings.SplitSeq(m[1], ", ") {
			if !strings.Contains(rules, "\n"+number+". ") {
				t.Errorf("childenv's table names rule %s of docs/CLIENTS.md", number)
			}
		}
	}
}

var (
	inCode     = regexp.MustCompile("`([^`]+)`")
	codePath   = regexp.MustCompile(`^(cmd|internal|docs|testdata|e2e|conformance|soak|bench|\.ci)(/[A-Za-z0-9_.-]+)*/?$`)
	codeName   = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	codeTest   = regexp.MustCompile(`^([a-zA-Z0-9/_-]+)\.((?:Test|Fuzz)[A-Za-z0-9]+)(/.*)?$`)
	scriptName = regexp.MustCompile(`^[a-z0-9_]+\.txtar$`)
)

// Every path, script and test that a document sets in code is there.
func TestCitedCode(t *testing.T) {
	cited := 0
	for _, page := range documents(t) {
		for _, m := range inCode.FindAllStringSubmatch(read(t, page), -1) {
			there := true
			switch {
			case codeTest.MatchString(m[1]):
				there = goTestExists(t, codeTest.FindStringSubmatch(m[1]))
			case codePath.MatchString(m[1]):
				_, err := os.Stat(filepath.Join("..", filepath.FromSlash(m[1])))
				there = err == nil
			case scriptName.MatchString(m[1]):
				there = testExists(t, m[1])
			default:
				continue
			}
			cited++
			if !there {
				t.Errorf("%s cites %s, which isn't there", page, m[1])
			}
		}
	}
	if cited < 150 {
		t.Errorf("only %d citations: is this test looking?", cited)
	}
}

// The fuzzing table of evidence/FRESH.md has every fuzz target, and no other.
func TestFuzzTable(t *testing.T) {
	var told, there []string
	_, table, _ := strings.Cut(read(t, filepath.Join("..", "docs", "evidence", "FRESH.md")), "\n## Fuzzing\n")
	table, _, _ = strings.Cut(table, "\n## ")
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` ").FindAllStringSubmatch(table, -1) {
		told = append(told, m[1])
	}
	target := regexp.MustCompile(`(?m)^func (Fuzz\w+)\(`)
	for _, file := range sources(t) {
		if !strings.HasSuffix(file, "_test.go") {
			continue
		}
		folder := strings.TrimPrefix(filepath.ToSlash(filepath.Dir(file)), "../")
		for _, m := range target.FindAllStringSubmatch(read(t, file), -1) {
			there = append(there, folder+"."+m[1])
		}
	}
	slices.Sort(told)
	slices.Sort(there)
	if !slices.Equal(told, there) {
		t.Errorf("the table has\n%s\nthe code has\n%s", strings.Join(told, "\n"), strings.Join(there, "\n"))
	}
}

// The maps of DESIGN.md, PROCESS.md and CONTRIBUTING.md are true: in a row of a table that names files, each further name
// is in one of these files.
func TestMaps(t *testing.T) {
	names := 0
	for _, page := range []string{"docs/DESIGN.md", "docs/PROCESS.md", "CONTRIBUTING.md"} {
		for line := range strings.SplitSeq(read(t, filepath.Join("..", page)), "\n") {
			if !strings.HasPrefix(line, "|") {
				continue
			}
			var text strings.Builder // of the row's files
			var wanted []string
			for _, m := range inCode.FindAllStringSubmatch(line, -1) {
				switch {
				case codePath.MatchString(m[1]):
					text.WriteString(contents(t, m[1]))
				case codeName.MatchString(m[1]):
					wanted = append(wanted, m[1])
				}
			}
			for _, w := range wanted {
				names++
				if text.Len() > 0 && !regexp.MustCompile(`\b`+w+`\b`).MatchString(text.String()) {
					t.Errorf("%s: `%s` is in no file of its row: %.120s", page, w, line)
				}
			}
		}
	}
	if names < 60 {
		t.Errorf("only %d names: is this test looking?", names)
	}
}

// Every package of the product is a row of DESIGN.md, section 1.
func TestDesignNamesEveryPackage(t *testing.T) {
	design := read(t, filepath.Join("..", "docs", "DESIGN.md"))
	out, err := exec.Command("go", "list", "brs-exec/cmd/...", "brs-exec/internal/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, pkg := range strings.Fields(string(out)) {
		if folder := strings.TrimPrefix(pkg, "brs-exec/"); !strings.Contains(design, "\n| `"+folder+"` |") {
			t.Errorf("docs/DESIGN.md has no row for %s", folder)
		}
	}
}

// goTestExists takes a room, an inner room or e2e, and a test's name.
func goTestExists(t *testing.T, m []string) bool {
	t.Helper()
	for _, folder := range []string{m[1], "internal/" + m[1], "internal/*/" + m[1]} {
		files, err := filepath.Glob(filepath.Join("..", filepath.FromSlash(folder), "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.Contains(read(t, file), "\nfunc "+m[2]+"(") {
				return true
			}
		}
	}
	return false
}

// contents is the text of a file, or of a folder's own files.
func contents(t *testing.T, path string) string {
	t.Helper()
	path = filepath.Join("..", filepath.FromSlash(path))
	if info, err := os.Stat(path); err != nil {
		return "" // TestCitedCode tells
	} else if !info.IsDir() {
		return read(t, path)
	}
	files, err := filepath.Glob(filepath.Join(path, "*.*"))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, file := range files {
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() {
			all.WriteString(read(t, file))
		}
	}
	return all.String()
}

// found reports whether a document is where a citation has it: beside the file that cites, in docs or its
// evidence, or at the top.
func found(name, dir string) bool {
	for _, base := range []string{dir, "..", filepath.Join("..", "docs"), filepath.Join("..", "docs", "evidence")} {
		if info, err := os.Stat(filepath.Join(base, filepath.FromSlash(name))); err == nil && info.Mode().IsRegular() {
			return true
		}
	}
	return false
}

// sources are the files of the repository that people wrote, as paths from here.
func sources(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("git", "-C", "..", "ls-files", "--cached", "--others", "--exclude-standard",
		"*.go", "*.s", "*.md", "*.txtar", "*.py", "*.sh", "*.c", ".ci/*").Output()
	need.That(t, err == nil, "git, and a clone of the repository", "apt-get install git")
	var files []string
	for line := range strings.Lines(string(out)) {
		file := filepath.Join("..", strings.TrimSpace(line))
		if _, err := os.Stat(file); err == nil {
			files = append(files, file)
		}
	}
	return files
}

// documents are the pages of docs and docs/evidence, and those at the top.
func documents(t *testing.T) []string {
	t.Helper()
	var pages []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/evidence/*.md"} {
		found, err := filepath.Glob(filepath.Join("..", filepath.FromSlash(pattern)))
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, found...)
	}
	return pages
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(text), "\r\n", "\n")
}

// documented is the one command line of a document that holds text.
func documented(t *testing.T, document, text string) (line string) {
	t.Helper()
	for l := range strings.Lines(read(t, filepath.Join("..", "docs", document))) {
		if command, ok := strings.CutPrefix(l, "    "); ok && strings.Contains(l, text) {
			if line != "" {
				t.Fatalf("%s has several lines with %q", document, text)
			}
			line = strings.TrimSpace(command)
		}
	}
	if line == "" {
		t.Fatalf("%s has no line with %q", document, text)
	}
	return line
}

// blockLines are the lines of a page's code blocks, indented or fenced; a cron job's without its times.
func blockLines(page string) (lines []string) {
	fenced := false
	for line := range strings.Lines(strings.ReplaceAll(page, "\\\n", "")) {
		if strings.HasPrefix(line, "```") {
			fenced = !fenced
		} else if fenced || strings.HasPrefix(line, "    ") {
			lines = append(lines, cronJob.ReplaceAllString(strings.TrimSpace(line), ""))
		}
	}
	return lines
}

var (
	cronJob      = regexp.MustCompile(`^([0-9*/,-]+ ){5}`)
	otherCommand = regexp.MustCompile(`^(?:[A-Z_]+=\S+ )*(?:COPY|aws|brew|cosign|curl|docker|gh|go|jq|kubectl|mkdir|podman|` +
		`scoop|sha256sum|ssh|sudo|systemctl|tmux) `)
)

// commandsOfOthers are a page's commands that begin with another program: of its code blocks, and of a table with a
// column "how".
func commandsOfOthers(page string) (lines []string) {
	_, table, _ := strings.Cut(page, " | how |\n")
	table, _, _ = strings.Cut(table, "\n\n")
	for _, m := range inCode.FindAllStringSubmatch(table, -1) {
		lines = append(lines, m[1])
	}
	lines = append(lines, blockLines(page)...)
	return slices.DeleteFunc(lines, func(line string) bool { return !otherCommand.MatchString(line) })
}
