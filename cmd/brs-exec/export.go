package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec/internal/runner"
)

// --export prints the credentials once, in the formats of
// `aws configure export-credentials --format`: as a credential_process does, or as
// lines for a shell.

// processCredentials is the JSON of
// https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html.
type processCredentials struct {
	Version                      int
	AccessKeyId, SecretAccessKey string //nolint:revive // AWS's spelling
	SessionToken                 string `json:",omitempty"`
	Expiration                   string `json:",omitempty"`
	AccountId                    string `json:",omitempty"` //nolint:revive // AWS's spelling
}

// text is what --format names.
func (p *processCredentials) text(format string) (string, error) {
	if format != "process" {
		return p.lines(format)
	}
	b, err := json.MarshalIndent(p, "", "    ")
	return string(b) + "\n", err
}

// export gets the credentials as a command would, and prints them.
func (s *session) export(ctx context.Context, w io.Writer) error {
	if runner.StdoutClosed() {
		return hinted(errors.New("--export: stdout is closed"), "whoever runs it must read what it prints")
	}
	s.StartEarly = false
	if err := s.begin(ctx); err != nil {
		return err
	}
	creds, err := s.creds.Retrieve(ctx)
	if err != nil {
		return err
	}
	p := processCredentials{1, creds.AccessKeyID, creds.SecretAccessKey, creds.SessionToken, s.until(creds, time.Now()), creds.AccountID}
	text, err := p.text(s.Format)
	if err != nil {
		return hinted(fmt.Errorf("--export: %w", err), "--format process can say everything")
	}
	if _, err := io.WriteString(w, text); err != nil { // at once: half of it would say something odd
		return hinted(fmt.Errorf("--export: %w", err), "whoever runs it must read what it prints")
	}
	return nil
}

// until is when the credentials are told to end, --max-ttl ahead at most; "" is never.
func (s *session) until(c aws.Credentials, now time.Time) string {
	end := now.Add(s.MaxTTL)
	switch {
	case c.CanExpire && (s.MaxTTL == 0 || c.Expires.Before(end)):
		end = c.Expires
	case s.MaxTTL == 0:
		return ""
	}
	return end.UTC().Truncate(time.Second).Format(time.RFC3339)
}

// syntax is how a shell sets a variable, and how it forgets one: with %s for the
// name, and for the value.
func syntax(format string) (set, unset string, quote func(string) (text string, ok bool)) {
	switch format {
	case "env":
		return "export %s=%s\n", "unset %s\n", quoted(`'`, `'`, `'\''`)
	case "fish":
		return "set -gx %s %s;\n", "set -e %s;\n", quoted(`'`, `'`, `\'`, `\`, `\\`)
	case "powershell":
		return "$Env:%s=%s\n", "$Env:%s=$null\n", func(s string) (string, bool) { return "'" + strings.ReplaceAll(s, "'", "''") + "'", true }
	case "windows-cmd":
		return "set %s=%s\n", "set %s=\n", bare
	}
	return "%s=%s\n", "", bare // env-no-export: files of docker and systemd, where nothing unsets
}

// lines are the credentials for a shell. A variable that they don't have is unset:
// another identity's session token beside these keys is an error at best.
func (p *processCredentials) lines(format string) (string, error) {
	set, unset, quote := syntax(format)
	var b strings.Builder
	for _, v := range [][2]string{
		{"AWS_ACCESS_KEY_ID", p.AccessKeyId}, {"AWS_SECRET_ACCESS_KEY", p.SecretAccessKey},
		{"AWS_SESSION_TOKEN", p.SessionToken}, {"AWS_CREDENTIAL_EXPIRATION", p.Expiration},
		{"AWS_SECURITY_TOKEN", ""}, {"AWS_ACCOUNT_ID", ""}, // botocore prefers another's
	} {
		name, value := v[0], v[1]
		text, ok := quote(value)
		switch {
		case !ok || strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r > '~' }):
			return "", fmt.Errorf("the value of %s holds a character that %s lines can't say", name, format)
		case value != "":
			fmt.Fprintf(&b, set, name, text)
		case unset != "":
			fmt.Fprintf(&b, unset, name)
		}
	}
	return b.String(), nil
}

// bare is what no shell takes for anything but itself; AWS's own keys are that.
func bare(s string) (text string, ok bool) {
	return s, strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/+=_.:-") == ""
}

// quoted puts what is not bare between quotes.
func quoted(quote string, replace ...string) func(string) (text string, ok bool) {
	return func(s string) (string, bool) {
		if _, ok := bare(s); ok && !strings.HasPrefix(s, "=") { // zsh: =ls is /bin/ls
			return s, true
		}
		return quote + strings.NewReplacer(replace...).Replace(s) + quote, true
	}
}
