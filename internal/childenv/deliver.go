package childenv

import (
	"errors"
	"fmt"
	"runtime"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec/internal/awsconfig"
)

// What follows is for programs that don't ask an endpoint (docs/DELIVER.md): a credential_process
// that does it for them, a credentials file to read again, variables.

// ProcessCommand is the value of credential_process that runs the program at path with one plain
// argument. It goes through two readers: the SDK's of the file, which may take " #" for a comment,
// and then a shell, or what a program without one takes for it (Python's shlex).
func ProcessCommand(path, arg string) (string, error) {
	return processCommand(path, arg, runtime.GOOS == "windows")
}

func processCommand(path, arg string, windows bool) (string, error) {
	bare := "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+@:,="
	if windows {
		bare += `\`
	}
	switch {
	case strings.Trim(path, bare) == "":
		return path + " " + arg, nil
	case !awsconfig.Printable(path), strings.ContainsAny(path, "\t"), strings.Contains(path, " #"),
		strings.Contains(path, " ;"), windows && strings.ContainsAny(path, `"%`):
		return "", fmt.Errorf("%q: no AWS config file can name that program", path)
	case windows:
		return `"` + path + `" ` + arg, nil
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "' " + arg, nil
}

// SharedCredentials is a credentials file with the keys as [default] and under the profile's own
// name. When they end stands there as other tools say it (saml2aws); SDKs don't read it.
func SharedCredentials(c aws.Credentials, profile string) ([]byte, error) {
	if err := sayable(c); err != nil {
		return nil, err
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

// sayable refuses what would be another line of a file, or no text at all. AWS's own keys are
// letters, digits and /+=; a credential_process may say anything.
func sayable(c aws.Credentials) error {
	for _, value := range []string{c.AccessKeyID, c.SecretAccessKey, c.SessionToken} {
		if strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return errors.New("the credentials hold a character that AWS's never do")
		}
	}
	return nil
}
