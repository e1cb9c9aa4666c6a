// Package credformat writes credentials in the forms that AWS tools read, apart from the endpoint's
// own.
//
//   - [Process]: the JSON that a credential_process prints.
//   - [Shell]: lines that set variables, in the formats of `aws configure export-credentials`.
//   - [SharedCredentials]: a ~/.aws/credentials file.
//   - [ProcessCommand]: the value of credential_process in a config file.
//
// All are pure. A value that a form can't hold is an error. It doesn't tell the value, which may be
// a secret. AWS's own keys, of letters, digits and /+=, fit every form; those of a
// credential_process may not.
package credformat

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec/internal/awsconfig"
)

// Process returns the JSON of
// https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html.
func Process(c aws.Credentials) (string, error) {
	b, err := json.MarshalIndent(struct {
		Version                      int
		AccessKeyId, SecretAccessKey string //nolint:revive // AWS's spelling
		SessionToken                 string `json:",omitempty"`
		Expiration                   string `json:",omitempty"`
		AccountId                    string `json:",omitempty"` //nolint:revive // AWS's spelling
	}{1, c.AccessKeyID, c.SecretAccessKey, c.SessionToken, expiration(c), c.AccountID}, "", "    ")
	return string(b) + "\n", err
}

// SharedCredentials returns a credentials file with the keys as [default] and under the profile's
// own name. Their end stands there under the key that saml2aws uses; SDKs don't read it.
func SharedCredentials(c aws.Credentials, profile string) ([]byte, error) {
	for _, value := range []string{c.AccessKeyID, c.SecretAccessKey, c.SessionToken} {
		if !oneWord(value) {
			return nil, errors.New("the credentials hold a character that AWS's never do")
		}
	}
	lines := "aws_access_key_id = " + c.AccessKeyID + "\naws_secret_access_key = " + c.SecretAccessKey + "\n"
	if c.SessionToken != "" {
		lines += "aws_session_token = " + c.SessionToken + "\n"
	}
	if c.CanExpire {
		lines += "x_security_token_expires = " + expiration(c) + "\n"
	}
	file := "[" + awsconfig.Default + "]\n" + lines
	if profile != awsconfig.Default && awsconfig.SafeName(profile) {
		file += "[" + profile + "]\n" + lines
	}
	return []byte(file), nil
}

// ProcessCommand returns the credential_process that runs the program at path with one plain
// argument. It goes through two readers: the SDK's of the file, which may take " #" for a comment,
// and then a shell, or what a program without one takes for it (Python's shlex).
func ProcessCommand(path, arg string) (string, error) {
	return processCommand(path, arg, runtime.GOOS == "windows")
}

func processCommand(path, arg string, windows bool) (string, error) {
	plain := "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+@:,="
	if windows {
		plain += `\~` // the latter is in short names
	}
	switch {
	case strings.Trim(path, plain) == "":
		return path + " " + arg, nil
	case !awsconfig.Printable(path), strings.Contains(path, "\t"), strings.Contains(path, " #"),
		strings.Contains(path, " ;"), windows && strings.ContainsAny(path, `"%`):
		return "", fmt.Errorf("%q: no AWS config file can name that program", path)
	case windows:
		return `"` + path + `" ` + arg, nil
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "' " + arg, nil
}

// expiration is "" for credentials of which no end is known.
func expiration(c aws.Credentials) string {
	if !c.CanExpire {
		return ""
	}
	return c.Expires.UTC().Format(time.RFC3339)
}

// oneWord says that s is printable ASCII without a blank: neither another line of a file nor a
// terminal's command.
func oneWord(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}
