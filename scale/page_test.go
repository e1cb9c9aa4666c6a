//go:build linux

package scale

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// typedIn are the sections of docs/SCALE.md that have something to type, and the file of the tests that type it.
var typedIn = map[string]string{
	"Slurm":                 "slurm_test.go",
	"parallel, xargs, make": "parallel_test.go",
	"Spark":                 "spark_test.go",
	"Dask":                  "dask_test.go",
	"Ray":                   "ray_test.go",
	"A DAG runner":          "dag_test.go",
	"AWS Batch, ECS":        filepath.Join("..", "e2e", "pods_linux_test.go"),
}

// notTyped are the blocks that no test takes from the page, and why.
var notTyped = map[string]string{
	"Prolog=/etc/slurm/prolog\nEpilog=/etc/slurm/epilog": "the tests' cluster has these files in a folder of its own",
}

// fileBlock is the top of a block that is a file.
var fileBlock = regexp.MustCompile(`(?m)^# ([a-z.-]+)(?:$|: )`)

// Nothing stands in docs/SCALE.md to be typed that no test types: each line and each file of its blocks is in the section's
// tests, and there are no others. That the tests type what the page has, each of them looks at itself.
func TestEveryLineIsTyped(t *testing.T) {
	seen := 0
	for _, section := range strings.Split(read(t, filepath.Join("..", "docs", "SCALE.md")), "\n## ")[1:] {
		name, text, _ := strings.Cut(section, "\n")
		for _, block := range blocksOf(text) {
			seen++
			file := typedIn[name]
			if file == "" {
				t.Errorf("%s: no test types what stands there: %s", name, block)
				continue
			}
			if !types(read(t, file), block) && notTyped[block] == "" {
				t.Errorf("%s: %s doesn't type\n%s", name, file, block)
			}
		}
	}
	if seen < 30 {
		t.Errorf("only %d blocks: is this test looking?", seen)
	}
}

// types reports whether tests have a block: its name, if it is a file, else each of its lines.
func types(tests, block string) bool {
	if m := fileBlock.FindStringSubmatch(block); m != nil {
		return strings.Contains(tests, `"`+m[1]+`"`)
	}
	if image, _, ok := strings.Cut(block, "\n"); ok && strings.HasPrefix(image, "FROM ") {
		return strings.Contains(tests, `    `+image+`\n"`) // which takes the rest of the block from the page
	}
	for line := range strings.SplitSeq(block, "\n") {
		if !strings.Contains(tests, "`"+line+"`") {
			return false
		}
	}
	return true
}

// sectionOf is a section of docs/SCALE.md.
func sectionOf(t *testing.T, name string) string {
	t.Helper()
	_, text, _ := strings.Cut(read(t, filepath.Join("..", "docs", "SCALE.md")), "\n## "+name+"\n")
	text, _, _ = strings.Cut(text, "\n## ")
	return text
}

// blocksOf are the indented blocks of a section, without their indentation.
func blocksOf(text string) (blocks []string) {
	for block := range strings.SplitSeq(text, "\n\n") {
		if block = strings.Trim(block, "\n"); strings.HasPrefix(block, "    ") {
			blocks = append(blocks, strings.ReplaceAll(strings.TrimPrefix(block, "    "), "\n    ", "\n"))
		}
	}
	return blocks
}
