package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"brs-exec/internal/sandbox"
)

// The symptoms of docs/TROUBLESHOOTING.md that need a real client.

// Keys that a program has copied end; what it leaves to the SDK doesn't.
func TestCopiedCredentialsExpire(t *testing.T) {
	needPython(t)
	w := newWorld(t, sandbox.Options{TTL: 12 * time.Second}).base()
	out, errs, status := w.run(t, asRole(tools.python, script("copied_keys.py"), "14")...)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if status != 0 || errs != "" || len(lines) != 4 {
		t.Fatalf("status %d, stderr %q, stdout %q", status, errs, out)
	}
	const arn = "arn:aws:sts::000000000000:assumed-role/etl/me"
	if lines[0] != "copied: "+arn || lines[1] != "left to the SDK: "+arn || lines[3] != "left to the SDK: "+arn {
		t.Errorf("stdout %q", out)
	}
	if !strings.HasPrefix(lines[2], "copied: An error occurred (ExpiredToken) when calling the GetCallerIdentity operation") {
		t.Errorf("at the end %q", lines[2])
	}
}

// asRole is brs-exec's command line, and what follows.
func asRole(command ...string) []string {
	return append([]string{"--role-arn", role, "--role-session-name", "me", "--"}, command...)
}

// A profile that a program names, and that isn't derived from the chosen one, is not there: not the role, not somebody else.
func TestProfileThatIsNotThere(t *testing.T) {
	needPython(t)
	w := newWorld(t, sandbox.Options{}).base()
	c := w.sts.BaseCredentials()
	w.write(t, ".aws/credentials", "[other]\naws_access_key_id = "+c.AccessKeyID+"\naws_secret_access_key = "+c.SecretAccessKey+"\n")
	argv := []string{tools.python, "-m", "awscli", "sts", "get-caller-identity", "--query", "Arn", "--output", "text", "--profile", "other"}
	out, errs, status := w.run(t, asRole(argv...)...)
	if status == 0 || out != "" || !strings.Contains(errs, "The config profile (other) could not be found") {
		t.Errorf("status %d, %q, stderr %q", status, out, errs)
	}
	out, errs, status = w.run(t, append([]string{"--no-isolation"}, asRole(argv...)...)...)
	if status != 0 || !strings.Contains(out, ":user/sandbox") {
		t.Errorf("with --no-isolation: status %d, %q, stderr %q", status, out, errs)
	}
}

// Where the environment was left behind, there is nobody to ask.
func TestEnvironmentLeftBehind(t *testing.T) {
	needPython(t)
	w := newWorld(t, sandbox.Options{}).base()
	_, errs, status := w.run(t, asRole("env", "-i", "HOME="+w.home, "AWS_EC2_METADATA_DISABLED=true", "AWS_ENDPOINT_URL_STS="+w.url, "AWS_DEFAULT_REGION=us-east-1",
		tools.python, "-m", "awscli", "sts", "get-caller-identity")...)
	if status == 0 || !strings.Contains(errs, "Unable to locate credentials") || !strings.Contains(errs, "\nbrs-exec: hint: nobody asked for credentials, perhaps because of env") {
		t.Errorf("status %d, stderr %q", status, errs)
	}
}

// A trust policy may ask for a session name (sts:RoleSessionName): STS says no more than that it is denied.
func TestSessionNameIsAsked(t *testing.T) {
	w := newWorld(t, sandbox.Options{Fault: func(c sandbox.Call) error {
		if c.Action != "AssumeRole" || c.Params.Get("RoleSessionName") == "alice" {
			return nil
		}
		return sandbox.AccessDenied(c)
	}}).base()
	_, errs, status := w.run(t, "--role-arn", role, "--", tools.whois)
	if status != 125 || !strings.Contains(errs, "is not authorized to perform: sts:AssumeRole") || strings.Count(errs, "\n") != 2 {
		t.Errorf("status %d, stderr %q", status, errs)
	}
	for _, named := range [][]string{{"--role-session-name", "alice"}, nil} {
		if out, errs, status := w.run(t, append(named, "--role-arn", role, "--", tools.whois)...); status != 0 || !strings.HasSuffix(out, "/alice\n") {
			t.Errorf("%q: status %d, %q, stderr %q", named, status, out, errs)
		}
		w.set("AWS_ROLE_SESSION_NAME=alice")
	}
}

// A proxy is no way to loopback. brs-exec tells the command so; whoever sets NO_PROXY anew inside takes that away.
func TestProxyInsideTheCommand(t *testing.T) {
	needPython(t)
	w := newWorld(t, sandbox.Options{}).base()
	w.set("HTTP_PROXY=http://127.0.0.1:1", "http_proxy=http://127.0.0.1:1", "AWS_ENDPOINT_URL_STS="+w.url, "NO_PROXY=corp.example")
	const ask = `
import os, urllib.request
r = urllib.request.Request(os.environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"], headers={"Authorization": os.environ["AWS_CONTAINER_AUTHORIZATION_TOKEN"]})
try:
    print(urllib.request.urlopen(r).status)
except Exception as e:
    print(e)
`
	if out, errs, status := w.run(t, asRole(tools.python, "-c", ask)...); out != "200\n" || errs != "" || status != 0 {
		t.Errorf("status %d, %q, stderr %q", status, out, errs)
	}
	out, errs, _ := w.run(t, asRole("env", "NO_PROXY=corp.example", "no_proxy=corp.example", tools.python, "-c", ask)...)
	if !strings.Contains(out, "Connection refused") {
		t.Errorf("with a NO_PROXY of its own: %q, stderr %q", out, errs)
	}
}

// Every symptom of docs/TROUBLESHOOTING.md is a row of evidence/TROUBLESHOOTING.md, in the same order: each test that stands
// there exists, and one of them has the text that the symptom's heading shows.
func TestSymptomsNameTheirTests(t *testing.T) {
	var symptoms, rows []string
	for _, m := range regexp.MustCompile(`(?m)^### (.*)$`).FindAllStringSubmatch(read(t, filepath.Join("..", "docs", "TROUBLESHOOTING.md")), -1) {
		symptoms = append(symptoms, m[1])
	}
	code := regexp.MustCompile("`[^`]+`")
	evidence := read(t, filepath.Join("..", "docs", "evidence", "TROUBLESHOOTING.md"))
	for _, m := range regexp.MustCompile("(?m)^\\| (.*) \\| (`.*`) \\|$").FindAllStringSubmatch(evidence, -1) {
		rows = append(rows, m[1])
		var sources strings.Builder
		for _, name := range code.FindAllString(m[2], -1) {
			if name = strings.Trim(name, "`"); !testExists(t, name) {
				t.Errorf("%s: there is no test %s", m[1], name)
				continue
			}
			sources.WriteString(testSource(t, name))
		}
		for _, text := range code.FindAllString(m[1], -1) {
			for part := range strings.SplitSeq(strings.Trim(text, "`"), "…") {
				if part = strings.TrimSpace(part); !strings.Contains(sources.String(), part) {
					t.Errorf("%s: %q is in none of its tests", m[1], part)
				}
			}
		}
	}
	if !slices.Equal(symptoms, rows) {
		t.Errorf("the symptoms\n%s\nthe tests are of\n%s", strings.Join(symptoms, "\n"), strings.Join(rows, "\n"))
	}
	if len(symptoms) < 15 {
		t.Errorf("only %d symptoms", len(symptoms))
	}
}

// testSource is the text of a script, or of the file that has the Go test, without what quotes it there.
func testSource(t *testing.T, name string) string {
	t.Helper()
	plain := strings.NewReplacer(`\`, "", "''", "'").Replace
	if strings.HasSuffix(name, ".txtar") {
		text, err := os.ReadFile(filepath.Join("..", "testdata", "scripts", name))
		if err != nil {
			t.Fatal(err)
		}
		return plain(string(text))
	}
	folder, test, _ := strings.Cut(name, ".Test")
	files, err := filepath.Glob(filepath.Join("..", folder, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte("\nfunc Test"+test+"(")) {
			return plain(string(text))
		}
	}
	return ""
}
