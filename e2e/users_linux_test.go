package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"brs-exec/internal/sandbox"
	"brs-exec/need"
)

// serveAs has a user without a name serve a share, in a folder that the script makes before.
func serveAs(t *testing.T, w *world, user, makeFolder string) *server {
	t.Helper()
	need.That(t, os.Getuid() == 0, "root", "run the tests as root")
	need.Tools(t, "setpriv", "install")
	w.set("HOME="+openDir(t, 0o755), "TMPDIR="+openDir(t, 0o777))
	dir := filepath.Join(openDir(t, 0o777), "aws")
	if out, err := exec.Command("sh", "-ec", makeFolder, "sh", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), "setpriv", "--reuid="+user, "--regid="+user, "--groups=4899", "--",
		tools.brsExec, "--role-arn", role, "--serve", "--share", dir, "--log-level", "info")
	cmd.Env = w.env
	s := &server{Cmd: cmd, dir: dir, log: filepath.Join(t.TempDir(), "log")}
	s.run(t)
	return s
}

// A step of a job that is another user's, of the same group: it may open the share, and STS says whose account it is.
// Without --expect-account nobody is taken at his word, and who is not in the group doesn't come in.
func TestShareOfAGroup(t *testing.T) {
	w := newWorld(t, sandbox.Options{}).base()
	s := serveAs(t, w, "4801", `install -d -m 2750 -o 4801 -g 4899 "$1"`)
	for name, c := range map[string]struct{ group, flags, says string }{
		"of the group":       {"4899", " --expect-account 000000000000", ":assumed-role/etl/"},
		"another account":    {"4899", " --expect-account 999999999999", "account"},
		"without an account": {"4899", "", "is served by user 4801, who is neither you nor root"},
		"not of the group":   {"4802", " --expect-account 000000000000", "may not be opened by user 4802"},
	} {
		args := strings.Fields("--reuid=4802 --regid=4802 --groups=" + c.group + " -- " + tools.brsExec + " --from-share " + s.dir + c.flags + " -- " + tools.whois)
		cmd := exec.CommandContext(t.Context(), "setpriv", args...)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "AWS_ENDPOINT_URL_STS=" + w.url, "AWS_REGION=us-east-1"}
		out, err := cmd.CombinedOutput()
		if good := name == "of the group"; (err == nil) != good || !strings.Contains(string(out), c.says) || !good && strings.Contains(string(out), "assumed-role") {
			t.Errorf("%s: %v: %s", name, err, out)
		}
	}
}

// sudo drops the environment: root takes the share of the user who called it.
func TestShareBySudo(t *testing.T) {
	sudo := needTool(t, "sudo")
	w := newWorld(t, sandbox.Options{}).base()
	s := serveAs(t, w, "4801", ":")
	for flags, says := range map[string]string{
		" --expect-account 000000000000": ":assumed-role/etl/",
		"":                               "is served by user 4801, who is neither you nor root",
	} {
		args := strings.Fields("-n AWS_ENDPOINT_URL_STS=" + w.url + " AWS_REGION=us-east-1 " + tools.brsExec + " --from-share " + s.dir + flags + " -- " + tools.whois)
		cmd := exec.CommandContext(t.Context(), sudo, args...)
		cmd.Env = w.env
		if out, err := cmd.CombinedOutput(); (err == nil) != (flags != "") || !strings.Contains(string(out), says) {
			t.Errorf("%q: %v: %s", flags, err, out)
		}
	}
}

// A shell that was there before, as in an IDE: after the file it is the role, unless it has what no file can unset.
func TestShellBefore(t *testing.T) {
	w := newWorld(t, sandbox.Options{}).base()
	k := w.sts.BaseCredentials()
	w.write(t, ".aws/credentials", "[default]\naws_access_key_id = "+k.AccessKeyID+"\naws_secret_access_key = "+k.SecretAccessKey+"\n")
	s := w.start(t, filepath.Join(w.home, "aws"), nil)
	for name, c := range map[string]struct {
		before, after string
		role          bool
	}{
		"nothing set":         {"true", "true", true},
		"keys":                {"export AWS_ACCESS_KEY_ID=AKIAOTHER AWS_SECRET_ACCESS_KEY=other AWS_SESSION_TOKEN=other", "true", true},
		"a profile":           {"export AWS_PROFILE=other", "true", false},
		"a profile, unset":    {"export AWS_PROFILE=other", "unset AWS_PROFILE", true},
		"a web identity":      {"export AWS_ROLE_ARN=" + role + " AWS_WEB_IDENTITY_TOKEN_FILE=/nonexistent", "true", false},
		"a profile, by share": {`export AWS_PROFILE=default; exec "$BRS" --from-share "$DIR" -- "$1"`, "true", true},
	} {
		cmd := exec.CommandContext(t.Context(), "sh", "-c", c.before+"; set -a; . $DIR/env; set +a; "+c.after+`; "$@"`, "sh", tools.whois)
		cmd.Env = append(w.env, "DIR="+s.dir, "BRS="+tools.brsExec)
		out, err := cmd.CombinedOutput()
		if isRole := err == nil && strings.Contains(string(out), ":assumed-role/etl/"); isRole != c.role || strings.Contains(string(out), ":user/") {
			t.Errorf("%s: %v: %s", name, err, out)
		}
	}
}
