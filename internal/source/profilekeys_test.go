package source

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec/internal/awsconfig"
)

func TestStatedEnd(t *testing.T) {
	const end = "2090-01-02T03:04:05Z"
	for _, tt := range []struct {
		name, file string
		config     bool
		want       string // "": none
	}{
		{"saml2aws", "[corp]\naws_access_key_id = A\nx_security_token_expires = " + end, false, end},
		{"aws-azure-login", "[other]\na=b\n[corp] ; mine\nAWS_EXPIRATION=2090-01-02T03:04:05.000Z", false, end},
		{"with an offset", "[corp]\nx_security_token_expires = 2090-01-02T05:04:05+02:00", false, end},
		{"in quotes", "[corp]\nx_security_token_expires = \"" + end + "\"", false, end},
		{"before a comment", "[corp]\naws_expiration = " + end + " # by login", false, end},
		{"in the config file", "[profile corp]\nx_security_token_expires=" + end, true, end},
		{"of the credentials file's form there", "[corp]\nx_security_token_expires=" + end, true, ""},
		{"another's", "[corp]\n[other]\nx_security_token_expires=" + end, false, ""},
		{"before any section", "x_security_token_expires=" + end + "\n[corp]", false, ""},
		{"a comment", "[corp]\n# x_security_token_expires=" + end, false, ""},
		{"no time", "[corp]\nx_security_token_expires=soon", false, ""},
	} {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, []byte(tt.file), 0o600); err != nil {
			t.Fatal(err)
		}
		got := statedIn(path, tt.config)
		if text := got.UTC().Format(time.RFC3339); text != tt.want && (tt.want != "" || !got.IsZero()) {
			t.Errorf("%s: got %s; want %q", tt.name, text, tt.want)
		}
	}
}

// An end is stated by the profile's own section, or by none.
func FuzzStatedEnd(f *testing.F) {
	f.Add("[corp]\nx_security_token_expires = 2090-01-02T03:04:05Z\n", false)
	f.Add("[profile corp]\naws_expiration=2090-01-02T03:04:05.000Z\n[profile b]\n", true)
	path := filepath.Join(f.TempDir(), "file")
	f.Fuzz(func(t *testing.T, file string, config bool) {
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		header := regexp.MustCompile(`\[[ \t]*((profile[ \t]+)?corp|profile[ \t]+["']corp["'])[ \t]*\]`)
		if end := statedIn(path, config); !end.IsZero() && !header.MatchString(file) {
			t.Errorf("%q: got %v; there is no such section", file, end)
		}
	})
}

// statedIn is the end that profile corp states in one of the two files, which path is.
// Between two settings of another program's the file holds keys that belong to nobody.
func TestHalfWrittenKeys(t *testing.T) {
	key := func(id, secret, token string) aws.Credentials {
		return aws.Credentials{AccessKeyID: id, SecretAccessKey: secret, SessionToken: token}
	}
	for _, tt := range []struct {
		old, now aws.Credentials
		half     bool
	}{
		{key("A", "s", ""), key("B", "t", ""), false},
		{key("A", "s", ""), key("B", "s", ""), true},
		{key("A", "s", ""), key("A", "t", ""), false}, // it was mistyped
		{key("A", "s", "x"), key("B", "t", "y"), false},
		{key("A", "s", "x"), key("B", "s", "x"), true},
		{key("A", "s", "x"), key("B", "t", "x"), true},
		{key("A", "s", "x"), key("A", "t", "y"), true},
		{key("A", "s", "x"), key("B", "t", ""), false}, // a session gives way to long-term keys
		{key("A", "s", ""), key("B", "t", "y"), false},
	} {
		if got := halfWritten(tt.old, tt.now); got != tt.half {
			t.Errorf("%s after %s: %t", tt.now.AccessKeyID, tt.old.AccessKeyID, got)
		}
	}
}

// Keys that stood in the credentials file are not replaced by those of the config file, which may be another's.
func TestKeysOfTheOtherFile(t *testing.T) {
	dir := t.TempDir()
	paths := awsconfig.Paths{Config: filepath.Join(dir, "config"), Credentials: filepath.Join(dir, "credentials")}
	write := func(path, id string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(id), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	keys := func(id string) string {
		return "aws_access_key_id = " + id + "\naws_secret_access_key = of-" + id + "\n"
	}
	write(paths.Config, "[profile corp]\n"+keys("AKIAOTHER")+"[profile own]\n"+keys("AKIAOWN"))
	write(paths.Credentials, "[corp]\n"+keys("AKIAFIRST"))
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_CONFIG_FILE", paths.Config)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", paths.Credentials)
	begin := func(profile string) *profileKeys {
		b := newBuilder(&Options{Profile: profile, Env: os.Environ(), Names: flags})
		if _, err := b.build(t.Context()); err != nil {
			t.Fatal(err)
		}
		return b.newProfileKeys(&b.shared)
	}
	corp, own := begin("corp"), begin("own")
	want := func(k *profileKeys, id string) {
		t.Helper()
		if got := mustRetrieve(t, k).AccessKeyID; got != id {
			t.Errorf("profile %s: got %s; want %s", k.profile, got, id)
		}
	}
	want(corp, "AKIAFIRST")
	want(own, "AKIAOWN")
	write(paths.Credentials, "[own]\n"+keys("AKIAOTHER"))
	want(corp, "AKIAFIRST")
	want(own, "AKIAOWN")
	write(paths.Credentials, "[corp]\n"+keys("AKIANEXT"))
	want(corp, "AKIANEXT")
}

func statedIn(path string, config bool) time.Time {
	paths := awsconfig.Paths{Config: os.DevNull, Credentials: path}
	if config {
		paths = awsconfig.Paths{Config: path, Credentials: os.DevNull}
	}
	identity, err := paths.ReadIdentity()
	if err != nil { // then there are no keys
		return time.Time{}
	}
	return statedEnd(identity.Profiles["corp"])
}
