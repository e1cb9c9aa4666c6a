package conformance

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// namesProfiles are the clients that take a profile by AWS_PROFILE, and run its credential_process. terraform names its
// profiles in its files: TestFurtherProfiles.
var namesProfiles = []string{"boto3", "aws-cli-v1", "aws-cli-v2", "go-v2", "js-v3", "java-v2", "aws-sdk-rust"}

const (
	namedName = "named"
	namedRole = "arn:aws:iam::555555555555:role/named"
	namedARN  = "arn:aws:sts::555555555555:assumed-role/named/named"
)

// nameProfile puts a profile into the config file that brs-exec reads, and has it given to the command.
func (w *world) nameProfile() {
	c := w.assume(namedRole, namedName)
	answer, err := json.Marshal(map[string]any{"Version": 1, "AccessKeyId": c.AccessKeyID,
		"SecretAccessKey": c.SecretAccessKey, "SessionToken": c.SessionToken, "Expiration": c.Expires.UTC().Format(time.RFC3339)})
	if err != nil {
		w.t.Fatal(err)
	}
	file := w.get("AWS_CONFIG_FILE")
	switch {
	case file != "":
	case w.get("HOME") == w.home:
		file = filepath.Join(w.home, ".aws", "config")
	default:
		file = filepath.Join(w.dir, "config-elsewhere")
		w.set("AWS_CONFIG_FILE=" + file)
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		w.t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString("\n[profile named]\ncredential_process = cat " + w.write("named.json", string(answer)) + "\n"); err != nil {
		w.t.Fatal(err)
	}
	w.flags = []string{"--with-profile", namedName}
}

// allTrapsNamed runs the client once in each trap as a profile of --with-profile: it is that, and nothing else.
func allTrapsNamed(t *testing.T, c *client) {
	for _, trap := range traps {
		if trap.java && c.language != "Java" || c.except[trap.name] != "" {
			continue
		}
		t.Run(trap.name, func(t *testing.T) {
			defer take(works)()
			w := newWorld(t, 15*time.Minute, nil)
			trap.set(w)
			w.nameProfile()
			w.seen()
			argv := append([]string{"env", "AWS_PROFILE=" + namedName}, c.command(w, "who")...)
			o := w.brsExec(c, within(limit), argv...)
			calls, asked := w.seen()
			ok := o.status == 0 && strings.TrimSpace(o.stdout) == namedARN && len(calls) > 0 && len(asked) == 0
			for _, call := range calls {
				ok = ok && call.arn == namedARN && call.code == ""
			}
			if !ok {
				t.Errorf("status %d, %q, calls %v, also asked %q, stderr %s", o.status, o.stdout, calls, asked, o.stderr)
			}
		})
	}
}
