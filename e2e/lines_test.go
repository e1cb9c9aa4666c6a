//go:build unix

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"brs-exec/internal/sandbox"
)

// linesOf are the pages whose lines TestDocumentLines runs. Those of the others are held by tests of their own: REACH and
// SCALE by the tests that their tables name, COMPARE and TESTING by cmd/brs-exec, INSTALL by .ci/ship.
var linesOf = []string{"README.md", "docs/RECIPES.md", "docs/DELIVER.md", "docs/PROFILES.md", "docs/REHEARSE.md",
	"docs/SOURCES.md", "docs/MACHINE.md", "docs/TROUBLESHOOTING.md", "docs/PLATFORMS.md", "SECURITY.md"}

// runElsewhere are lines that need what this test doesn't have, and who runs them.
var runElsewhere = map[string]string{
	"brs-exec --sandbox":                          "demo.txtar",              // 15 seconds
	"brs-exec --profile admin -- terraform apply": "source_mfa_prompt.txtar", // a terminal
}

// Every brs-exec line of a document, as it stands there, runs: its command is somebody by the word of STS, and the status is 0.
// What the line runs is a stand-in that asks STS who it is; what it names (ROLE, DIR, profiles) is put in its place.
func TestDocumentLines(t *testing.T) {
	ran := 0
	for _, page := range linesOf {
		for _, line := range commandLines(read(t, filepath.Join("..", page))) {
			if test, ok := runElsewhere[line]; ok {
				if !testExists(t, test) {
					t.Errorf("%s: %q is run by %s, which isn't there", page, line, test)
				}
				continue
			}
			ran++
			t.Run(fmt.Sprintf("%s/%d", filepath.Base(page), ran), func(t *testing.T) { runLine(t, line) })
		}
	}
	if ran < 35 {
		t.Errorf("only %d lines: is this test looking?", ran)
	}
}

func runLine(t *testing.T, line string) {
	w := newWorld(t, sandbox.Options{})
	w.write(t, ".aws/config", documentProfiles)
	c := w.sts.BaseCredentials()
	w.write(t, ".aws/credentials", "[default]\naws_access_key_id = "+c.AccessKeyID+"\naws_secret_access_key = "+c.SecretAccessKey+"\n")
	work, bin := t.TempDir(), t.TempDir()
	for _, name := range []string{"nightly.sh", "deploy.sh", "etl.sh", "smoke-test.sh"} {
		standIn(t, filepath.Join(work, name), tools.whois)
	}
	for _, name := range []string{"cmd", "terraform", "python3", "go", "pytest", "cdk", "parallel", "spark-submit", "etl", "shell"} {
		standIn(t, filepath.Join(bin, name), tools.whois)
	}
	standIn(t, filepath.Join(bin, "aws"), `case "$*" in *list-profiles*) echo acct-1;; *) `+tools.whois+`;; esac`)
	standIn(t, filepath.Join(bin, "ykman"), "echo 123456")
	standIn(t, filepath.Join(bin, "docker"), dockerRun)
	token := sandbox.WebIdentityToken("job", "sts.amazonaws.com", time.Now().Add(time.Hour))
	standIn(t, filepath.Join(bin, "circleci"), "echo "+token)
	standIn(t, filepath.Join(bin, "buildkite-agent"), "echo "+token)
	if err := os.Symlink(tools.brsExec, filepath.Join(bin, "brs-exec")); err != nil {
		t.Fatal(err)
	}
	github := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		json.NewEncoder(rw).Encode(map[string]string{"value": token})
	}))
	t.Cleanup(github.Close)
	w.set("PATH="+bin+":"+os.Getenv("PATH"), "SHELL="+filepath.Join(bin, "shell"), "GITLAB_OIDC_TOKEN="+token, "GITHUB_ACTIONS=true",
		"ACTIONS_ID_TOKEN_REQUEST_URL="+github.URL+"/?", "ACTIONS_ID_TOKEN_REQUEST_TOKEN=t")
	if strings.Contains(line, "--sandbox") { // which has an STS of its own
		w.env = slices.DeleteFunc(w.env, func(e string) bool { return strings.HasPrefix(e, "AWS_ENDPOINT_URL_STS=") })
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-c", filledIn(line, work))
	cmd.Dir, cmd.Env = work, w.env
	out, err := cmd.CombinedOutput()
	if err != nil || len(out) == 0 {
		t.Fatalf("%s\n%v: %s", line, err, out)
	}
	if strings.Contains(line, " -- ") && !strings.Contains(string(out), "arn:aws:") {
		t.Errorf("%s\nnobody was asked who it is: %s", line, out)
	}
}

// dockerRun stands in for docker run: what the image would run is run here, with the folder that is mounted in place of /aws.
const dockerRun = `test "$1" = run || exit 1
while shift; do case "$1" in
-v) folder=${2%%:*};;
IMAGE) shift; break;;
esac; done
for arg; do shift; case "$arg" in /aws) arg=$folder;; esac; set -- "$@" "$arg"; done
exec env -i PATH="$PATH" HOME=/nonexistent AWS_REGION="$AWS_REGION" AWS_ENDPOINT_URL_STS="$AWS_ENDPOINT_URL_STS" "$@"`

func standIn(t *testing.T, path, script string) {
	t.Helper()
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

// documentProfiles are those that the documents name.
var documentProfiles = func() string {
	var b strings.Builder
	b.WriteString("[default]\nregion = us-east-1\n")
	for _, name := range []string{"dev", "etl", "main", "hub", "admin", "prod", "prod-a", "stage-a", "network", "audit", "state", "acct-1"} {
		fmt.Fprintf(&b, "[profile %s]\nrole_arn = arn:aws:iam::000000000000:role/%s\nsource_profile = default\n", name, name)
		if name == "admin" || name == "hub" {
			b.WriteString("mfa_serial = arn:aws:iam::000000000000:mfa/alice\n")
		}
	}
	return b.String()
}()

// filledIn has the names of this machine in place of those that stand in a document.
func filledIn(line, dir string) string {
	return strings.NewReplacer(`"$ROLE"`, role, "ROLE", role, "HUB", "arn:aws:iam::000000000000:role/hub", "DIR", filepath.Join(dir, "share"),
		"/usr/local/bin/brs-exec", "brs-exec", "/var/log/", dir+"/", "/home/etl/", "./").Replace(line)
}

var (
	inBlock = regexp.MustCompile(`^(?:- run: |- |credential_process = |\$ |srun )?((?:[A-Z_]+=\S+ )*(?:/usr/local/bin/)?brs-exec .*)$`)
	cronJob = regexp.MustCompile(`^([0-9*/,-]+ ){5}`)
)

// commandLines are the lines of a page's code blocks, indented or fenced, that run brs-exec.
func commandLines(page string) (lines []string) {
	fenced := false
	page = strings.ReplaceAll(page, "\\\n", "")
	for line := range strings.Lines(page) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, "```") {
			fenced = !fenced
			continue
		}
		if !fenced && !strings.HasPrefix(line, "    ") {
			continue
		}
		line = cronJob.ReplaceAllString(strings.TrimSpace(line), "")
		if m := inBlock.FindStringSubmatch(line); m != nil {
			command, _, _ := strings.Cut(m[1], "  #")
			lines = append(lines, strings.Join(strings.Fields(command), " "))
		}
	}
	return lines
}
