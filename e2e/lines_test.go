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

// linesOf are the pages whose lines TestDocumentLines runs. Those of the others are held by tests of their own: SCALE by
// scale.TestEveryLineIsTyped, COMPARE by cmd/brs-exec.TestCompare, TESTING by TestTestingPage. What stands in REACH's
// tables has its tests in docs/evidence/REACH.md.
var linesOf = []string{"README.md", "docs/RECIPES.md", "docs/DELIVER.md", "docs/PROFILES.md", "docs/REHEARSE.md",
	"docs/SOURCES.md", "docs/MACHINE.md", "docs/TROUBLESHOOTING.md", "docs/PLATFORMS.md", "docs/REACH.md", "docs/INSTALL.md",
	"docs/README.md", "docs/THREATS.md", "SECURITY.md"}

// runElsewhere are lines that need what this test doesn't have, and who runs them. A key that ends with … is how they begin.
var runElsewhere = map[string]string{
	"brs-exec --sandbox":                          "demo.txtar",              // 15 seconds
	"brs-exec --profile admin -- terraform apply": "source_mfa_prompt.txtar", // a terminal
	"brs-exec --role-arn arn:aws:iam::123456789012:role/etl --share ~/.etl …": "e2e.TestContainers", // containers
	"brs-exec … -- sh -c 'tmux -L job new -d COMMAND; tmux -L job attach'":    "e2e.TestReachTmux",  // a terminal
	"brs-exec … --port 9911 --token-in env -- …":                              "e2e.TestSSH",
	"brs-exec … -- bwrap --dev-bind / / --tmpfs ~/.aws COMMAND":               "e2e.TestTheLineHidesTheFile",
	`brs-exec … -- bwrap --dev-bind / / --dev-bind /dev/null "$PWD/.env" …`:   "conformance.TestLookPastTheEnvironment",
}

// otherCommands are the other commands of linesOf, in code blocks and in INSTALL's table: who runs them, or what they need
// that can't be had here.
var otherCommands = map[string]string{
	`CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -E brs_exec_entry" …`:                "ship.TestReproducible",
	`CGO_ENABLED=0 go build -trimpath -buildvcs=true -ldflags "-s -w -E brs_exec_entry" …`: "ship.TestReproducible",
	`CGO_ENABLED=0 go build -trimpath -buildvcs=true -ldflags "-s -w" -o …`:                "ship.TestWindowsArchive",

	"go install …":        "ship.TestGoInstall",
	"sudo dpkg …":         "ship.TestDeb",
	"sudo rpm …":          "ship.TestRpm",
	"sudo apk …":          "needs Alpine; ship.TestApk looks at the package's parts",
	"brew install …":      "needs Homebrew and a public home; ship.TestManifests holds the sums",
	"scoop install …":     "needs Windows and a public home; ship.TestManifests holds the sums",
	"COPY --from=IMAGE …": "ship.TestImage",
	"sha256sum …":         "ship.TestChecksums",
	"cosign …":            "needs a release that GitHub has signed",
	"gh …":                "needs a release that GitHub has signed",

	"aws configure sso …": "needs Identity Center, a browser and a person",
	"aws sso login …":     "needs Identity Center, a browser and a person; source_sso.txtar has what it writes",

	"docker network create …":                    "e2e.TestContainers",
	"podman network create …":                    "e2e.TestContainers",
	"podman unshare --rootless-netns brs-exec …": "e2e.TestContainers",
	"mkdir -p -m 700 ~/.etl …":                   "e2e.TestContainers",
	"jq …":                                       "e2e.TestEventsTable",
}

// Every brs-exec line of a document, as it stands there, runs: its command is somebody by the word of STS, and the status is 0.
// What the line runs is a stand-in that asks STS who it is; what it names (ROLE, DIR, profiles) is put in its place.
func TestDocumentLines(t *testing.T) {
	ran := 0
	for _, page := range linesOf {
		for _, line := range commandLines(read(t, filepath.Join("..", page))) {
			if elsewhere(runElsewhere, line) {
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

// Every other command of the documents is run by a test that is there, or says what it needs; and nothing is told of
// commands that are in no document.
func TestOtherCommands(t *testing.T) {
	var lines []string
	for _, page := range linesOf {
		text := read(t, filepath.Join("..", page))
		lines = append(lines, commandLines(text)...)
		for _, line := range commandsOfOthers(text) {
			if !elsewhere(otherCommands, line) {
				t.Errorf("%s: no test is named for %q", page, line)
			}
			lines = append(lines, line)
		}
	}
	for _, table := range []map[string]string{runElsewhere, otherCommands} {
		for command, test := range table {
			if !slices.ContainsFunc(lines, func(line string) bool { return isLine(command, line) }) {
				t.Errorf("no document has %q", command)
			}
			if !strings.HasPrefix(test, "needs ") && !testExists(t, test) {
				t.Errorf("%q is run by %s, which isn't there", command, test)
			}
		}
	}
}

// The code blocks of docs/TESTING.md are four: TestTestingPage runs those before the section on Go, and TestExampleTestscript
// runs the script that this section has.
func TestTestingPageIsRun(t *testing.T) {
	page := read(t, filepath.Join("..", "docs", "TESTING.md"))
	before, golang, _ := strings.Cut(page, "\n## Go\n")
	block := regexp.MustCompile("(?sm)^```([a-z]*)\n(.*?)^```$")
	var languages []string
	for _, m := range block.FindAllStringSubmatch(before, -1) {
		languages = append(languages, m[1])
	}
	if want := []string{"", "sh", "python"}; !slices.Equal(languages, want) {
		t.Errorf("blocks of %q before the section on Go; want %q", languages, want)
	}
	survives := read(t, filepath.Join("..", "examples", "testscript", "testdata", "script", "survives.txtar"))
	if scripts := block.FindAllStringSubmatch(golang, -1); len(scripts) != 1 || !strings.HasSuffix(survives, "\n"+scripts[0][2]) {
		t.Errorf("the section on Go has %q; want the end of survives.txtar", scripts)
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
	w.write(t, "oidc", token)
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

// dockerRun stands in for docker run: what the image would run is run here, with the variables of -e, and the folder that is mounted
// in place of /aws.
const dockerRun = `test "$1" = run || exit 1
while shift; do case "$1" in
-v) folder=${2%%:*};;
-e) given="$given $2=$(printenv "$2")";;
IMAGE) shift; break;;
esac; done
for arg; do shift; case "$arg" in /aws) arg=$folder;; esac; set -- "$@" "$arg"; done
exec env -i PATH="$PATH" HOME=/nonexistent AWS_REGION="$AWS_REGION" AWS_ENDPOINT_URL_STS="$AWS_ENDPOINT_URL_STS" $given "$@"`

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
	return strings.NewReplacer(" … ", " --role-arn "+role+" ", "COMMAND", "cmd", `"$ROLE"`, role, "ROLE", role, "HUB", "arn:aws:iam::000000000000:role/hub", "DIR", filepath.Join(dir, "share"),
		"/usr/local/bin/brs-exec", "brs-exec", "/home/etl/", "./").Replace(line)
}

var inBlock = regexp.MustCompile(`^(?:- run: |- |credential_process = |\$ |srun )?((?:[A-Z_]+=\S+ )*(?:/usr/local/bin/)?brs-exec .*)$`)

// commandLines are the lines of a page's code blocks that run brs-exec.
func commandLines(page string) (lines []string) {
	for _, line := range blockLines(page) {
		if m := inBlock.FindStringSubmatch(line); m != nil {
			command, _, _ := strings.Cut(m[1], "  #")
			lines = append(lines, strings.Join(strings.Fields(command), " "))
		}
	}
	return lines
}

// elsewhere says whether a table has a line.
func elsewhere(table map[string]string, line string) bool {
	for key := range table {
		if isLine(key, line) {
			return true
		}
	}
	return false
}

// isLine says whether a key of such a table is the line, or with … at its end how the line begins.
func isLine(key, line string) bool {
	begins, isPrefix := strings.CutSuffix(key, "…")
	return line == key || isPrefix && strings.HasPrefix(line, begins)
}
