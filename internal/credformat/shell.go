package credformat

import (
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// syntax is how a shell sets a variable, and how it forgets one: with %s for the name, and for the
// value.
type syntax struct {
	set, unset string
	quote      func(string) (text string, ok bool)
}

// shells are the formats of Shell. Nothing unsets in an env-no-export, which docker and systemd
// read.
var shells = map[string]syntax{
	"env":           {"export %s=%s\n", "unset %s\n", quoted(`'`, `'\''`)},
	"env-no-export": {"%s=%s\n", "", plain},
	"fish":          {"set -gx %s %s;\n", "set -e %s;\n", quoted(`'`, `\'`, `\`, `\\`)},
	"powershell":    {"$Env:%s=%s\n", "$Env:%s=$null\n", alwaysQuoted},
	"windows-cmd":   {"set %s=%s\n", "set %s=\n", plain},
}

// Shell returns the credentials as lines for a shell. A variable that they don't have is unset:
// another identity's session token beside these keys is an error at best.
func Shell(c aws.Credentials, format string) (string, error) {
	shell := shells[format]
	var b strings.Builder
	for _, v := range [][2]string{
		{"AWS_ACCESS_KEY_ID", c.AccessKeyID}, {"AWS_SECRET_ACCESS_KEY", c.SecretAccessKey},
		{"AWS_SESSION_TOKEN", c.SessionToken}, {"AWS_CREDENTIAL_EXPIRATION", expiration(c)},
		{"AWS_SECURITY_TOKEN", ""}, {"AWS_ACCOUNT_ID", ""}, // botocore prefers another's
	} {
		name, value := v[0], v[1]
		text, ok := shell.quote(value)
		switch {
		case !ok || !oneWord(value):
			return "", fmt.Errorf("the value of %s holds a character that %s lines can't say", name, format)
		case value != "":
			fmt.Fprintf(&b, shell.set, name, text)
		case shell.unset != "":
			fmt.Fprintf(&b, shell.unset, name)
		}
	}
	return b.String(), nil
}

// plain takes what no shell takes for anything but itself; AWS's own keys are that.
func plain(s string) (text string, ok bool) {
	const safe = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/+=_.:-"
	return s, strings.Trim(s, safe) == ""
}

// quoted puts what is not plain between quotes, in which some characters are replaced.
func quoted(replace ...string) func(string) (text string, ok bool) {
	return func(s string) (string, bool) {
		if _, ok := plain(s); ok && !strings.HasPrefix(s, "=") { // zsh: =ls is /bin/ls
			return s, true
		}
		return "'" + strings.NewReplacer(replace...).Replace(s) + "'", true
	}
}

// alwaysQuoted is for PowerShell, which takes a word without quotes for a command.
func alwaysQuoted(s string) (string, bool) { return "'" + strings.ReplaceAll(s, "'", "''") + "'", true }
