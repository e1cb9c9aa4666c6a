package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"brs-exec/soak/svgtest"
)

const said = `An embedded STS gives credentials that live 4s. The program below is a plain AWS
SDK client; every 250ms it asks STS who it is, and STS refuses what has expired.

   0.0 s  arn:aws:sts::000000000000:assumed-role/sandbox/brs-exec-me-laptop
          key …5KWU  ........
   2.1 s  rotated: key …R6SG  <&>

57 calls, 1 rotations, 0 failures: no call met an expired credential
`

func TestPicture(t *testing.T) {
	svg, err := picture(said)
	if err != nil {
		t.Fatal(err)
	}
	svgtest.Check(t, svg)
	for _, want := range []string{`class="typed" xml:space="preserve">$ brs-exec --sandbox<`, "key …R6SG  &lt;&amp;&gt;<",
		`class="good" xml:space="preserve">57 calls,`, "<title>57 calls, 1 rotations, 0 failures: "} {
		if !bytes.Contains(svg, []byte(want)) {
			t.Errorf("no %s in\n%s", want, svg)
		}
	}
	if _, err := picture(strings.Replace(said, " 0 failures", " 2 failures", 1)); err == nil {
		t.Error("a run that failed was drawn")
	}
}

// The picture in the README is one that this program draws, of a run that went well, and says what its page says of it.
func TestDocument(t *testing.T) {
	svg, err := os.ReadFile(filepath.Join("..", "..", "docs", "evidence", "demo.svg"))
	if err != nil {
		t.Fatal(err)
	}
	svgtest.Check(t, svg)
	var text []string
	for _, m := range regexp.MustCompile(`<text x="\d+" y="(\d+)"[^>]*>([^<]*)</text>`).FindAllSubmatch(svg, -1) {
		text = append(text, string(m[2]))
	}
	if len(text) < 8 || text[0] != "$ brs-exec --sandbox" {
		t.Fatalf("the picture says %q", text)
	}
	// What the demonstration says before it begins is in the picture as it is in the code.
	code, err := os.ReadFile(filepath.Join("..", "..", "cmd", "brs-exec", "demo.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range text[1:3] {
		if !bytes.Contains(code, []byte(regexp.MustCompile(`[0-9]+m?s\b`).ReplaceAllString(l, "%v"))) {
			t.Errorf("the demonstration doesn't say %q any more: go run ./soak/demo -o docs/evidence/demo.svg", l)
		}
	}
	page, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	if want := "![" + text[len(text)-1] + "](docs/evidence/demo.svg)"; !bytes.Contains(page, []byte(want)) {
		t.Errorf("README.md has not %s", want)
	}
}
