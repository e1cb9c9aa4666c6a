//go:build unix

package main

import (
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"brs-exec/internal/sandbox"
)

const comparePage = "../../docs/COMPARE.md"

var mfaCode = regexp.MustCompile(`\b[0-9]{6}\b`) // a secret: no hint repeats it

// compareWorld is a machine with the profiles and programs of docs/COMPARE.md.
type compareWorld struct {
	dir   string
	env   []string
	calls *atomic.Int32 // of STS
}

func newCompareWorld(t *testing.T) *compareWorld {
	t.Helper()
	w := &compareWorld{dir: t.TempDir(), calls: new(atomic.Int32)}
	s := sandbox.New(sandbox.Options{OnCall: func(sandbox.Call) { w.calls.Add(1) }})
	sts := httptest.NewServer(s)
	t.Cleanup(sts.Close)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	keys := s.BaseCredentials()
	static := fmt.Sprintf("aws_access_key_id = %s\naws_secret_access_key = %s\n", keys.AccessKeyID, keys.SecretAccessKey)
	process := fmt.Sprintf("#!/bin/sh\necho '{\"Version\":1,\"AccessKeyId\":%q,\"SecretAccessKey\":%q}'\n", keys.AccessKeyID, keys.SecretAccessKey)
	role := "role_arn = arn:aws:iam::123456789012:role/%s\nsource_profile = keys\n"
	for name, text := range map[string]string{
		".aws/config": "[profile keys]\n" + static + "[profile saml]\n" + static + fmt.Sprintf("[profile etl]\n"+role, "etl") +
			fmt.Sprintf("[profile admin]\n"+role+"mfa_serial = arn:aws:iam::000000000000:mfa/me\n", "mfa-admin"),
		"bin/terraform": "#!/bin/sh\n", "bin/nightly.sh": "#!/bin/sh\n", "nightly.sh": "#!/bin/sh\n",
		"bin/aws-vault": process, "bin/saml2aws": process,
	} {
		file := filepath.Join(w.dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(self, filepath.Join(w.dir, "bin", "brs-exec")); err != nil {
		t.Fatal(err)
	}
	w.env = []string{
		"PATH=" + filepath.Join(w.dir, "bin") + ":" + os.Getenv("PATH"), "HOME=" + w.dir, "TMPDIR=" + w.dir, "SHELL=/bin/true",
		"AWS_EC2_METADATA_DISABLED=true", "AWS_REGION=us-east-1", "AWS_ENDPOINT_URL_STS=" + sts.URL,
		"AWS_ACCESS_KEY_ID=" + keys.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + keys.SecretAccessKey,
		"ROLE=arn:aws:iam::123456789012:role/etl",
	}
	return w
}

func (w *compareWorld) sh(line string) (said string, err error) {
	cmd := exec.Command("sh", "-c", line)
	cmd.Dir, cmd.Env = w.dir, w.env
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestCompare runs every line of ours in docs/COMPARE.md, and compares the hint that the other
// tool's line gets with ours.
func TestCompare(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(comparePage)
	if err != nil {
		t.Fatal(err)
	}
	w := newCompareWorld(t)
	row := regexp.MustCompile("^\\| `(.*)` \\| `(brs-exec .*)` \\|$")
	rows, lines := 0, 0
	for line := range strings.Lines(string(page)) {
		line = strings.TrimSpace(line)
		if m := row.FindStringSubmatch(line); m != nil {
			rows++
			w.hints(t, m[1], m[2])
			line = m[2]
		} else if strings.HasPrefix(line, "| `") {
			t.Errorf("no test reads this row: %s", line)
		}
		if strings.HasPrefix(line, "brs-exec ") || strings.HasPrefix(line, "eval ") {
			lines++
			before := w.calls.Load()
			out, err := w.sh(line)
			unasked := w.calls.Load() == before && !strings.Contains(line, "--no-session")
			if err != nil || unasked || strings.Contains(out, "hint:") {
				t.Errorf("%s: %v, STS was not asked: %t\n%s", line, err, unasked, out)
			}
		}
	}
	if rows < 18 || lines < rows+4 {
		t.Errorf("only %d rows and %d lines: is this test looking?", rows, lines)
	}
}

// hints types the other tool's line at brs-exec; the hint has to be ours.
func (w *compareWorld) hints(t *testing.T, theirs, ours string) {
	t.Helper()
	typed := "brs-exec " + theirs // granted's own word is a verb
	if tool, rest, _ := strings.Cut(theirs, " "); tool != "assume" {
		typed = "brs-exec " + rest
	}
	before := w.calls.Load()
	out, err := w.sh(typed)
	_, hint, _ := strings.Cut(strings.TrimSpace(out), "hint: ")
	want, _, hasArguments := strings.Cut(mfaCode.ReplaceAllString(ours, "CODE"), " plan")
	if want = strings.ReplaceAll(want, ` -c "terraform`, ""); hasArguments {
		want += " …"
	}
	if err == nil || hint != want || w.calls.Load() != before || strings.Count(out, "\n") != 2 {
		t.Errorf("%s: %v\n%swant the hint %s", typed, err, out, want)
	}
}

// A line that no tool takes gets no such hint, and a program of the name is run.
func TestNoHabit(t *testing.T) {
	t.Parallel()
	w := newCompareWorld(t)
	for line, want := range map[string]string{
		"brs-exec --profile etl -- nothing":         "nothing: no such file or directory",
		"brs-exec -d soon --profile etl -- true":    "unknown flag -d",
		"brs-exec -x etl":                           "unknown flag -x",
		"brs-exec --frobnicate exec etl -- true":    "unknown flag --frobnicate",
		"brs-exec exec --duration-seconds":          "exec: no such file",
		"HOME=/ brs-exec exec -- true":              "--profile saml -- true", // saml2aws has not logged in yet
		"brs-exec exec --help":                      "exec: no such file",
		"brs-exec --profile etl -t":                 "unknown flag -t",
		"brs-exec --profile etl exec etl -- true":   "no subcommands such as exec",
		"brs-exec --mfa-command 'echo a b' -d 1h x": "--mfa-command … --duration-seconds 1h -- x",
	} {
		if out, err := w.sh(line); err == nil || !strings.Contains(out, want) {
			t.Errorf("%s: %v\n%swant %s", line, err, out, want)
		}
	}
	if err := os.WriteFile(filepath.Join(w.dir, "bin", "assume"), []byte("#!/bin/sh\necho \"$@\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := w.sh("brs-exec --profile etl assume etl"); err != nil || out != "etl\n" {
		t.Errorf("a program called assume: %v %s", err, out)
	}
}
