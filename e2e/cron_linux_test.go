package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"brs-exec/internal/sandbox"
	"brs-exec/need"
)

// spool is a mount namespace in which cron and at have nothing to do but what stdin gives them before they start: cron
// doesn't see a change in the second of its start.
const spool = `mount --make-rprivate /; mount -t tmpfs tmpfs /run; mount -t tmpfs tmpfs /etc/cron.d; mount --bind /dev/null /etc/crontab
mount -t tmpfs tmpfs /var/spool/cron; cd /var/spool/cron
mkdir -m 1730 crontabs; chgrp crontab crontabs
mkdir -m 1770 atjobs atspool; touch atjobs/.SEQ; chmod 600 atjobs/.SEQ; chown -R daemon:daemon atjobs atspool
`

// later has cron or atd do what stdin says, until the test ends.
func later(t *testing.T, stdin, script string) {
	t.Helper()
	need.That(t, os.Getuid() == 0, "root", "run the tests as root")
	need.Tools(t, "unshare", "cron", "atd")
	cmd := exec.Command("unshare", "-m", "sh", "-ec", spool+script)
	cmd.Stdin = strings.NewReader(stdin)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
}

// ownLine is a job that has brs-exec in its own line. Its environment is what env(1) is given.
func (w *world) ownLine(t *testing.T) (line string, ran func()) {
	k := w.sts.BaseCredentials()
	w.write(t, ".aws/credentials", "[base]\naws_access_key_id = "+k.AccessKeyID+"\naws_secret_access_key = "+k.SecretAccessKey+"\n")
	out := filepath.Join(w.home, "out")
	line = "env HOME=" + w.home + " AWS_ENDPOINT_URL_STS=" + w.url + " AWS_REGION=us-east-1 " +
		tools.brsExec + " --profile base --role-arn " + role + " -- " + tools.whois + " >" + out + " 2>&1; echo ended >>" + out
	return line, func() {
		t.Helper()
		for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
			if text, _ := os.ReadFile(out); strings.Contains(string(text), "ended") {
				break
			}
		}
		if text, err := os.ReadFile(out); !strings.Contains(string(text), ":assumed-role/etl/") || strings.Count(string(text), "\n") != 2 {
			t.Errorf("it wrote %q, %v", text, err)
		}
	}
}

// A job of cron has neither an environment nor a terminal.
func TestCron(t *testing.T) {
	need.Long(t, "a minute: cron looks once in one")
	line, ran := newWorld(t, sandbox.Options{}).ownLine(t)
	later(t, "* * * * * "+line+"\n", "crontab -; exec cron -f")
	ran()
}

func TestAt(t *testing.T) {
	line, ran := newWorld(t, sandbox.Options{}).ownLine(t)
	later(t, line+"\n", "at now 2>/dev/null; exec atd -f")
	ran()
}
