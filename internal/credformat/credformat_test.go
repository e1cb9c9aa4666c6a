//go:build unix

package credformat

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
)

var testKeys = aws.Credentials{AccessKeyID: "ASIAX", SecretAccessKey: "a/b+c=", SessionToken: "tok/en==",
	CanExpire: true, Expires: time.Date(2026, 11, 24, 1, 2, 3, 4e8, time.FixedZone("", 3600))}

// A credential_process leaves out what it doesn't know.
func TestProcess(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		keys aws.Credentials
		want string
	}{
		{testKeys, `{
    "Version": 1,
    "AccessKeyId": "ASIAX",
    "SecretAccessKey": "a/b+c=",
    "SessionToken": "tok/en==",
    "Expiration": "2026-11-24T00:02:03Z"
}
`},
		{aws.Credentials{AccessKeyID: "AKIA", SecretAccessKey: "s", AccountID: "000000000000"}, `{
    "Version": 1,
    "AccessKeyId": "AKIA",
    "SecretAccessKey": "s",
    "AccountId": "000000000000"
}
`},
	} {
		if got, err := Process(tt.keys); err != nil || got != tt.want {
			t.Errorf("got %s, %v; want %s", got, err, tt.want)
		}
	}
}

func TestSharedCredentials(t *testing.T) {
	const lines = "aws_access_key_id = ASIAX\naws_secret_access_key = a/b+c=\naws_session_token = tok/en==\nx_security_token_expires = 2026-11-24T00:02:03Z\n"
	for profile, want := range map[string]string{
		"default":   "[default]\n" + lines,
		"etl":       "[default]\n" + lines + "[etl]\n" + lines,
		"two words": "[default]\n" + lines + "[two words]\n" + lines,
		"odd]":      "[default]\n" + lines,
	} {
		got, err := SharedCredentials(testKeys, profile)
		if err != nil || string(got) != want {
			t.Errorf("%s: got %q, %v; want %q", profile, got, err, want)
		}
	}
	for _, bad := range []string{"a\nb", "a b", "a\x00", "ä", "\x7f"} {
		for _, c := range []aws.Credentials{{AccessKeyID: bad}, {SecretAccessKey: bad}, {SessionToken: bad}} {
			if got, err := SharedCredentials(c, ""); err == nil || strings.Contains(err.Error(), bad) {
				t.Errorf("%q: got %q, %v; want an error that does not tell it", bad, got, err)
			}
		}
	}
}

// Whatever the keys are, they are no further line.
func FuzzSharedCredentials(f *testing.F) {
	f.Add("ASIAX", "a/b+c=", "tok/en==")
	f.Add("'a'", `"b"`, ";#=[]")
	f.Fuzz(func(t *testing.T, id, secret, token string) {
		file, err := SharedCredentials(aws.Credentials{AccessKeyID: id, SecretAccessKey: secret, SessionToken: token}, "default")
		if err != nil {
			return
		}
		want := "[default]\naws_access_key_id = " + id + "\naws_secret_access_key = " + secret + "\n"
		if token != "" {
			want += "aws_session_token = " + token + "\n"
		}
		if string(file) != want || strings.Count(want, "\n") > 4 {
			t.Errorf("got %q; want %q, in four lines", file, want)
		}
	})
}

// A shell, Python's shlex and the SDK's reader of the file agree on the program.
func TestProcessCommand(t *testing.T) {
	for _, path := range []string{"/usr/bin/brs-exec", "/a b/brs-exec", "/it's/brs-exec", `/"q"/b`, `/back\slash/$HOME/*/b`, "/a;b/b#c", "/a&b|c/(d)", "/ä/b", "/100%/b", "/[x]/b"} {
		command, err := processCommand(path, "--fetch", false)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		out, err := exec.Command("/bin/sh", "-c", "printf '%s\\n' "+command).Output()
		if want := path + "\n--fetch\n"; err != nil || string(out) != want {
			t.Errorf("sh: got %q, %v; want %q", out, err, want)
		}
		dir := t.TempDir()
		file := []byte("[default]\ncredential_process = " + command + "\n")
		if err := os.WriteFile(filepath.Join(dir, "config"), file, 0o600); err != nil {
			t.Fatal(err)
		}
		p, err := config.LoadSharedConfigProfile(t.Context(), "default", func(o *config.LoadSharedConfigOptions) {
			o.ConfigFiles, o.CredentialsFiles = []string{filepath.Join(dir, "config")}, []string{}
		})
		if err != nil || p.CredentialProcess != command {
			t.Errorf("Go reads %q, %v; want %q", p.CredentialProcess, err, command)
		}
	}
	for _, path := range []string{"/a #b/c", "/a ;b/c", "/a\nb", "/a\tb", "/\xff"} {
		if got, err := processCommand(path, "--fetch", false); err == nil {
			t.Errorf("%q: got %q; want an error", path, got)
		}
	}
	for path, want := range map[string]string{
		`C:\bin\brs-exec.exe`:           `C:\bin\brs-exec.exe --fetch`,
		`C:\Program Files\brs-exec.exe`: `"C:\Program Files\brs-exec.exe" --fetch`,
		`C:\100%\a b.exe`:               "",
	} {
		if got, _ := processCommand(path, "--fetch", true); got != want {
			t.Errorf("Windows: got %q; want %q", got, want)
		}
	}
}
