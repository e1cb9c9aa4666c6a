//go:build unix

package e2e

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"brs-exec/internal/sandbox"
	"brs-exec/need"
)

// sandboxed is an environment of a user who has nothing of AWS, but brs-exec in PATH, and python3 with its modules.
func sandboxed(t *testing.T) (env []string) {
	t.Helper()
	bin, home := t.TempDir(), t.TempDir()
	for name, target := range map[string]string{"brs-exec": tools.brsExec, "python3": tools.python, "aws": ""} {
		if target == "" {
			standIn(t, filepath.Join(bin, name), "exec "+tools.python+` -m awscli "$@"`)
		} else if err := os.Symlink(target, filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	return []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "HOME=" + home, "AWS_EC2_METADATA_DISABLED=true"}
}

// examples/etl outlives its credentials.
func TestExampleETL(t *testing.T) {
	needPython(t)
	w := newWorld(t, sandbox.Options{TTL: 4 * time.Second}).base()
	s3 := moto(t)
	w.set("AWS_ENDPOINT_URL_S3="+s3, "PAUSE=3")
	put := func(path, text string) {
		t.Helper()
		if resp, err := http.DefaultClient.Do(must(http.NewRequest("PUT", s3+path, strings.NewReader(text)))); err != nil || resp.StatusCode != 200 {
			t.Fatalf("put %s: %v %v", path, resp, err)
		}
	}
	put("/example-etl", "")
	for _, name := range []string{"a", "b", "c"} {
		put("/example-etl/in/"+name, "one\ntwo\n")
	}
	out, errs, status := w.run(t, "--role-arn", role, "--must-last", "8h", "--", tools.python, filepath.Join("..", "examples", "etl", "etl.py"), "example-etl")
	if status != 0 || out != "" || !onlySlow.MatchString(errs) {
		t.Fatalf("status %d, stdout %q, stderr %q", status, out, errs)
	}
	cmd := exec.CommandContext(t.Context(), tools.python, "-m", "awscli", "s3", "cp", "s3://example-etl/out/c", "-")
	cmd.Env = w.env
	if text, err := cmd.Output(); err != nil || !strings.Contains(string(text), `"lines": 2`) || !strings.Contains(string(text), "assumed-role/etl/") {
		t.Errorf("the last result: %v %q", err, text)
	}
	if n := w.count("AssumeRole"); n < 3 {
		t.Errorf("%d AssumeRole calls: the credentials hardly rotated", n)
	}
}

// examples/testscript is a module of its own, which knows brs-exec by PATH alone.
func TestExampleTestscript(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", "./...")
	cmd.Dir = filepath.Join("..", "examples", "testscript")
	goEnv, err := exec.Command("go", "env", "GOMODCACHE", "GOCACHE", "GOPROXY").Output()
	if err != nil {
		t.Fatal(err)
	}
	places := strings.Split(strings.TrimSpace(string(goEnv)), "\n")
	cmd.Env = append(sandboxed(t), "GOFLAGS=-mod=readonly", "GOMODCACHE="+places[0], "GOCACHE="+places[1], "GOPROXY="+places[2], "GOTOOLCHAIN=local")
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "ok") {
		t.Errorf("%v\n%s", err, out)
	}
}

// The blocks of docs/TESTING.md do what it says.
func TestTestingPage(t *testing.T) {
	need.Long(t, "a minute")
	t.Parallel()
	needPython(t)
	need.That(t, exec.Command(tools.python, "-c", "import pytest").Run() == nil, "pytest", "python3 -m pip install pytest")
	page := read(t, filepath.Join("..", "docs", "TESTING.md"))
	block := func(language string) string {
		t.Helper()
		m := regexp.MustCompile("(?s)```" + language + "\n(.*?)```").FindStringSubmatch(page)
		if m == nil {
			t.Fatalf("no block of %q", language)
		}
		return m[1]
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"test.sh": block("sh"), "test_tool.py": block("python"), "your-tool": "#!/bin/sh\naws sts get-caller-identity\n",
		"copies":  "#!/bin/sh\nexec python3 loop.py\n",
		"loop.py": strings.ReplaceAll(regexp.MustCompile(`(?s)LOOP = """\n(.*?)"""`).FindStringSubmatch(block("python"))[1], "COPY", "True"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	env := sandboxed(t)
	run := func(line string) (out string, status int) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "sh", "-c", line)
		cmd.Dir, cmd.Env = dir, env
		text, _ := cmd.CombinedOutput()
		return string(text), cmd.ProcessState.ExitCode()
	}
	for _, tt := range []struct {
		line, want string
		status     int
	}{
		{strings.TrimSpace(block("")), ":assumed-role/sandbox/", 0},
		{"./test.sh", ":assumed-role/sandbox/", 0},
		{"python3 -m pytest -q -p no:cacheprovider", "2 passed", 0},
		{"brs-exec --sandbox --role-arn arn:aws:iam::123456789012:role/denied-x -- ./your-tool", "AccessDenied", 125},
		{"brs-exec --sandbox --role-arn arn:aws:iam::123456789012:role/mfa-x -- ./your-tool", "AccessDenied", 125},
		{"brs-exec --sandbox --role-arn arn:aws:iam::123456789012:role/mfa-x --serial-number arn:aws:iam::000000000000:mfa/me --token-code 123456 -- ./your-tool", ":assumed-role/mfa-x/", 0},
	} {
		if out, status := run(tt.line); status != tt.status || !strings.Contains(out, tt.want) {
			t.Errorf("%s\nstatus %d, want %d and %q: %s", tt.line, status, tt.status, tt.want, out)
		}
	}
	rehearsal := regexp.MustCompile("`(brs-exec --sandbox --rehearse .*) \\./your-tool`").FindStringSubmatch(page)
	if runtime.GOOS != "linux" {
		return
	}
	if rehearsal == nil {
		t.Fatal("no line of a rehearsal")
	}
	if out, status := run(rehearsal[1] + " ./your-tool"); status != 0 {
		t.Errorf("a rehearsal of what asks each time: %d %s", status, out)
	}
	if out, status := run(rehearsal[1] + " ./copies"); status != 124 {
		t.Errorf("a rehearsal of what copies: %d %s", status, out)
	}
}
