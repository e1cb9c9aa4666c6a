//go:build linux && (amd64 || arm64)

package runner

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDocument: the tests that docs/evidence/TRANSPARENT.md names are there.
func TestDocument(t *testing.T) {
	page, err := os.ReadFile("../../docs/evidence/TRANSPARENT.md")
	if err != nil {
		t.Fatal(err)
	}
	var code strings.Builder
	for _, packages := range []string{".", "*", "../*", "../*/*", "../../*", "../../cmd/*"} {
		files, _ := filepath.Glob(packages + "/*_test.go")
		for _, f := range files {
			text, _ := os.ReadFile(f)
			code.Write(text)
		}
	}
	for _, name := range regexp.MustCompile("`(Test\\w+|\\w+\\.txtar)`").FindAllStringSubmatch(string(page), -1) {
		if strings.HasSuffix(name[1], ".txtar") {
			if _, err := os.Stat("../../testdata/scripts/" + name[1]); err != nil {
				t.Error(err)
			}
		} else if !strings.Contains(code.String(), "\nfunc "+name[1]+"(") {
			t.Errorf("%s: no such test", name[1])
		}
	}
}
