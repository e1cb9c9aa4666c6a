//go:build unix

package main

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// What a shell makes of a line is the value, or there is no line.
func FuzzExportEnv(f *testing.F) {
	for _, seed := range []string{"a/b+c=", "it's", `"$HOME"`, "`id`", `back\slash\`, "a\nb", "-n", "~", "*", "!x", "ä", "\x00", "'", "a b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		p := processCredentials{Version: 1, AccessKeyId: value, SecretAccessKey: "s"}
		lines, err := p.lines("env")
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

func TestExportFormats(t *testing.T) {
	t.Parallel()
	p := processCredentials{1, "ASIA1", `it's\"$%`, "", "2026-11-24T00:00:00Z", ""}
	for format, want := range map[string]string{
		"env":           "export AWS_ACCESS_KEY_ID=ASIA1\nexport AWS_SECRET_ACCESS_KEY='it'\\''s\\\"$%'\nunset AWS_SESSION_TOKEN\nexport AWS_CREDENTIAL_EXPIRATION=2026-11-24T00:00:00Z\nunset AWS_SECURITY_TOKEN\nunset AWS_ACCOUNT_ID\n",
		"fish":          "set -gx AWS_ACCESS_KEY_ID ASIA1;\nset -gx AWS_SECRET_ACCESS_KEY 'it\\'s\\\\\"$%';\nset -e AWS_SESSION_TOKEN;\nset -gx AWS_CREDENTIAL_EXPIRATION 2026-11-24T00:00:00Z;\nset -e AWS_SECURITY_TOKEN;\nset -e AWS_ACCOUNT_ID;\n",
		"powershell":    "$Env:AWS_ACCESS_KEY_ID='ASIA1'\n$Env:AWS_SECRET_ACCESS_KEY='it''s\\\"$%'\n$Env:AWS_SESSION_TOKEN=$null\n$Env:AWS_CREDENTIAL_EXPIRATION='2026-11-24T00:00:00Z'\n$Env:AWS_SECURITY_TOKEN=$null\n$Env:AWS_ACCOUNT_ID=$null\n",
		"windows-cmd":   "",
		"env-no-export": "",
	} {
		got, err := p.lines(format)
		if got != want || (err != nil) != (want == "") || err != nil && strings.Contains(err.Error(), "it's") {
			t.Errorf("%s: got %q, %v; want %q", format, got, err, want)
		}
	}
	p.SecretAccessKey = "a/b+c="
	if got, err := p.lines("windows-cmd"); err != nil || !strings.Contains(got, "set AWS_SECRET_ACCESS_KEY=a/b+c=\nset AWS_SESSION_TOKEN=\n") {
		t.Errorf("got %q, %v", got, err)
	}
	if got, err := p.lines("env-no-export"); err != nil || got != "AWS_ACCESS_KEY_ID=ASIA1\nAWS_SECRET_ACCESS_KEY=a/b+c=\nAWS_CREDENTIAL_EXPIRATION=2026-11-24T00:00:00Z\n" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestExportedEnd(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 0, 0, 0, 5e8, time.UTC)
	for _, tt := range []struct {
		max, life time.Duration // life 0: no end
		want      string
	}{
		{0, 0, ""},
		{0, time.Hour, "2026-11-24T01:00:00Z"},
		{time.Minute, time.Hour, "2026-11-24T00:01:00Z"},
		{2 * time.Hour, time.Hour, "2026-11-24T01:00:00Z"},
		{time.Minute, 0, "2026-11-24T00:01:00Z"},
	} {
		s := &session{cli: &cli{MaxTTL: tt.max}}
		if got := s.until(aws.Credentials{CanExpire: tt.life > 0, Expires: now.Add(tt.life)}, now); got != tt.want {
			t.Errorf("%v of %v: got %q; want %q", tt.max, tt.life, got, tt.want)
		}
	}
}

func TestFetchTellsAnEarlierEnd(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	for end, want := range map[string]string{
		"2026-11-24T01:00:00Z": "2026-11-24T00:54:00Z",
		"2026-11-24T00:00:08Z": "2026-11-24T00:00:07Z",
		"2026-11-24T00:00:02Z": "2026-11-24T00:00:01Z",
		"2026-11-24T00:00:01Z": "2026-11-24T00:00:01Z",
		"2026-11-23T00:00:00Z": "2026-11-23T00:00:00Z",
		"soon":                 "soon",
	} {
		if got := earlier(end, now); got != want {
			t.Errorf("%s: got %s; want %s", end, got, want)
		}
	}
}
