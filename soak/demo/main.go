// Command demo runs the demonstration, `brs-exec --sandbox`, and draws what it says on a terminal.
//
//	go run ./soak/demo -o docs/evidence/demo.svg
//
// The SVG has no fonts, scripts or pictures of others, and follows the reader's light or dark.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

func main() {
	out := flag.String("o", "demo.svg", "`FILE` to write")
	flag.Parse()
	if err := run(*out); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(out string) error {
	dir, err := os.MkdirTemp("", "brs-exec-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "brs-exec")
	if said, err := exec.Command("go", "build", "-o", binary, "brs-exec/cmd/brs-exec").CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, said)
	}
	cmd := exec.Command(binary, "--sandbox")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir, "AWS_EC2_METADATA_DISABLED=true"}
	cmd.Stderr = os.Stderr
	said, err := cmd.Output()
	if err != nil {
		return err
	}
	svg, err := picture(string(said))
	if err != nil {
		return err
	}
	return os.WriteFile(out, svg, 0o644)
}

// In the units of the viewBox. A letter of a monospaced font of 13 is less than 8 wide.
const (
	margin = 20
	letter = 8
	line   = 19
)

// Colours for light and dark; a viewer without media queries has the light ones.
const style = `<style>
rect{fill:#f6f8fa;stroke:#d1d9e0}text{fill:#1f2328}.dim{fill:#59636e}.good{fill:#1a7f37}.typed{font-weight:bold}
@media (prefers-color-scheme:dark){rect{fill:#151b23;stroke:#3d444d}text{fill:#f0f6fc}.dim{fill:#9198a1}.good{fill:#3fb950}}
</style>
`

// picture draws a terminal on which the demonstration has run.
func picture(said string) ([]byte, error) {
	lines := strings.Split(strings.TrimRight(said, "\n"), "\n")
	verdict := lines[len(lines)-1]
	if !strings.Contains(verdict, " 0 failures") {
		return nil, errors.New("the run did not go well: " + verdict)
	}
	lines = append([]string{"$ brs-exec --sandbox"}, lines...)
	columns := 0
	for _, l := range lines {
		columns = max(columns, utf8.RuneCountInString(l))
	}
	width, height := 2*margin+columns*letter, 2*margin+len(lines)*line
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,monospace" font-size="13" role="img">`+"\n", width, height)
	fmt.Fprintf(&b, "<title>%s</title>\n%s", html.EscapeString(verdict), style)
	fmt.Fprintf(&b, `<rect x="0.5" y="0.5" width="%d" height="%d" rx="8"/>`+"\n", width-1, height-1)
	for i, l := range lines {
		if l == "" {
			continue
		}
		fmt.Fprintf(&b, `<text x="%d" y="%d"%s xml:space="preserve">%s</text>`+"\n", margin, margin+(i+1)*line-5, class(l, verdict), html.EscapeString(l))
	}
	b.WriteString("</svg>\n")
	return b.Bytes(), nil
}

func class(text, verdict string) string {
	switch {
	case strings.HasPrefix(text, "$ "):
		return ` class="typed"`
	case text == verdict:
		return ` class="good"`
	case strings.Contains(text, "rotated") || strings.Contains(text, "key …"):
		return ""
	}
	return ` class="dim"`
}
