package need

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestSummary(t *testing.T) {
	got := summary([]reason{
		{what: "-all"}, {"zsh", "apt-get install zsh"}, {what: "-all"}, {"cc", "apt-get install gcc"}, {"zsh", "apt-get install zsh"},
		{"boto3", "python3 -m pip install boto3"},
	})
	want := "6: 2 want -all; 3 want zsh, cc (apt-get install zsh gcc); 1 want boto3 (python3 -m pip install boto3)"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// A test that skips past this package skips in silence; so does a package that doesn't end with Run.
func TestNobodySkipsInSilence(t *testing.T) {
	skip, needs := regexp.MustCompile(`\bt\.Skip(Now|f)?\(`), regexp.MustCompile(`\bneed\.(Tools|That|Long|Asked|Calm|Place)\(`)
	asks, runs := make(map[string]bool), make(map[string]bool) // by folder
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		dir := filepath.Dir(path)
		if skip.Match(text) {
			t.Errorf("%s calls t.Skip: the functions of need tell of it", path)
		}
		asks[dir] = asks[dir] || needs.Match(text)
		runs[dir] = runs[dir] || strings.Contains(string(text), "need.Run(m")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	delete(asks, ".")
	delete(asks, "../need")
	for dir, ask := range asks {
		if ask && !runs[dir] {
			t.Errorf("%s has no TestMain that calls need.Run", dir)
		}
	}
}
