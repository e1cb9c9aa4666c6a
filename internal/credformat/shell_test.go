//go:build unix

package credformat

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// What a shell makes of a line is the value, or there is no line.
func FuzzShell(f *testing.F) {
	for _, seed := range []string{"a/b+c=", "it's", `"$HOME"`, "`id`", `back\slash\`, "a\nb", "-n", "~", "*", "!x", "ä", "\x00", "'", "a b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		lines, err := Shell(aws.Credentials{AccessKeyID: value, SecretAccessKey: "s"}, "env")
		odd := strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r > '~' })
		if (err != nil) != odd {
			t.Fatalf("%q: got %v; want an error: %t", value, err, odd)
		}
		if err != nil {
			return
		}
		cmd := exec.Command("/bin/sh", "-c", "AWS_ACCESS_KEY_ID=old; AWS_SESSION_TOKEN=old; "+lines+`printf '%s|%s' "$AWS_ACCESS_KEY_ID" "${AWS_SESSION_TOKEN-gone}"`)
		cmd.Env = []string{}
		if out, err := cmd.CombinedOutput(); err != nil || value != "" && string(out) != value+"|gone" {
			t.Errorf("%q: sh reads %q, %v", lines, out, err)
		}
	})
}

func TestShell(t *testing.T) {
	t.Parallel()
	c := aws.Credentials{AccessKeyID: "ASIA1", SecretAccessKey: `it's\"$%`, CanExpire: true, Expires: time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)}
	for format, want := range map[string]string{
		"env":           "export AWS_ACCESS_KEY_ID=ASIA1\nexport AWS_SECRET_ACCESS_KEY='it'\\''s\\\"$%'\nunset AWS_SESSION_TOKEN\nexport AWS_CREDENTIAL_EXPIRATION=2026-11-24T00:00:00Z\nunset AWS_SECURITY_TOKEN\nunset AWS_ACCOUNT_ID\n",
		"fish":          "set -gx AWS_ACCESS_KEY_ID ASIA1;\nset -gx AWS_SECRET_ACCESS_KEY 'it\\'s\\\\\"$%';\nset -e AWS_SESSION_TOKEN;\nset -gx AWS_CREDENTIAL_EXPIRATION 2026-11-24T00:00:00Z;\nset -e AWS_SECURITY_TOKEN;\nset -e AWS_ACCOUNT_ID;\n",
		"powershell":    "$Env:AWS_ACCESS_KEY_ID='ASIA1'\n$Env:AWS_SECRET_ACCESS_KEY='it''s\\\"$%'\n$Env:AWS_SESSION_TOKEN=$null\n$Env:AWS_CREDENTIAL_EXPIRATION='2026-11-24T00:00:00Z'\n$Env:AWS_SECURITY_TOKEN=$null\n$Env:AWS_ACCOUNT_ID=$null\n",
		"windows-cmd":   "",
		"env-no-export": "",
	} {
		got, err := Shell(c, format)
		if got != want || (err != nil) != (want == "") || err != nil && strings.Contains(err.Error(), "it's") {
			t.Errorf("%s: got %q, %v; want %q", format, got, err, want)
		}
	}
	c.SecretAccessKey = "a/b+c="
	if got, err := Shell(c, "windows-cmd"); err != nil || !strings.Contains(got, "set AWS_SECRET_ACCESS_KEY=a/b+c=\nset AWS_SESSION_TOKEN=\n") {
		t.Errorf("got %q, %v", got, err)
	}
	if got, err := Shell(c, "env-no-export"); err != nil || got != "AWS_ACCESS_KEY_ID=ASIA1\nAWS_SECRET_ACCESS_KEY=a/b+c=\nAWS_CREDENTIAL_EXPIRATION=2026-11-24T00:00:00Z\n" {
		t.Errorf("got %q, %v", got, err)
	}
}
