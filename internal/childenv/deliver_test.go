//go:build unix

package childenv

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

var testKeys = aws.Credentials{AccessKeyID: "ASIAX", SecretAccessKey: "a/b+c=", SessionToken: "tok/en==",
	CanExpire: true, Expires: time.Date(2026, 11, 24, 1, 2, 3, 4e8, time.FixedZone("", 3600))}

func TestBuildDeliversKeys(t *testing.T) {
	got := lookup(Build(everything(), Endpoint{Keys: testKeys}, testFiles))
	for name, want := range map[string]string{
		"AWS_ACCESS_KEY_ID": "ASIAX", "AWS_SECRET_ACCESS_KEY": "a/b+c=", "AWS_SESSION_TOKEN": "tok/en==",
		"AWS_CREDENTIAL_EXPIRATION": "2026-11-24T00:02:03Z",
	} {
		if got[name] != want {
			t.Errorf("%s: got %q; want %q", name, got[name], want)
		}
	}
	for name := range got {
		if strings.HasPrefix(name, "AWS_CONTAINER_") {
			t.Errorf("%s is there without an endpoint", name)
		}
	}
	long := lookup(Build(everything(), Endpoint{Keys: aws.Credentials{AccessKeyID: "AKIA", SecretAccessKey: "s"}}, testFiles))
	for _, name := range []string{"AWS_SESSION_TOKEN", "AWS_CREDENTIAL_EXPIRATION"} {
		if _, ok := long[name]; ok || long["AWS_ACCESS_KEY_ID"] != "AKIA" {
			t.Errorf("%s: got another identity's beside long-term keys", name)
		}
	}
}

func TestChildConfigWithProcess(t *testing.T) {
	const file = "[default]\nregion = r\naws_access_key_id = a\n[profile p]\ncredential_process = leak\noutput = json\n[profile q]\nrole_arn = arn\nsource_profile = p\n"
	for _, tt := range []struct {
		chosen Chosen
		want   string
	}{
		{Chosen{Process: "b --fetch"}, "[default]\nregion = r\ncredential_process = b --fetch\n"},
		{Chosen{Name: "p", CarryOver: true, Process: "b --fetch"},
			"[default]\noutput = json\ncredential_process = b --fetch\n[profile p]\noutput = json\ncredential_process = b --fetch\n[profile q]\nrole_arn = arn\nsource_profile = p\n"},
		{Chosen{Name: "p", CarryOver: true, InFile: true},
			"[default]\noutput = json\n[profile p]\noutput = json\n[profile q]\nrole_arn = arn\nsource_profile = p\n"},
		{Chosen{Name: "p", CarryOver: true, InEnv: true},
			"[default]\noutput = json\n[profile p]\noutput = json\n[profile q]\nrole_arn = arn\ncredential_source = Environment\n"},
		{Chosen{Name: "p", CarryOver: true}, "[default]\noutput = json\n[profile p]\noutput = json\n[profile q]\nrole_arn = arn\ncredential_source = EcsContainer\n"},
	} {
		if got := string(ChildConfig(identity(file, ""), tt.chosen)); got != tt.want {
			t.Errorf("%+v: got\n%s\nwant\n%s", tt.chosen, got, tt.want)
		}
	}
}

// A look makes again what was set last, never what was there before.
func TestSetCredentials(t *testing.T) {
	d := newDir(t, newPlace(t))
	f := d.Files()
	set := func(text string) {
		t.Helper()
		if err := d.SetCredentials([]byte(text)); err != nil {
			t.Error(err)
		}
		if got := content(t, f.Credentials); got != text {
			t.Errorf("got %q; want %q", got, text)
		}
	}
	set("old")
	set("new")
	if got := entries(t, d.path); len(got) != 3 {
		t.Errorf("got %v; want three files, and no draft", got)
	}
	for name, take := range map[string]string{"the file": f.Credentials, "all of it": d.path} {
		removeAll(t, take)
		if err := d.look(); err != nil || content(t, f.Credentials) != "new" {
			t.Errorf("%s: got %v, %q; want the new one again", name, err, content(t, f.Credentials))
		}
		removeAll(t, take)
		set("newer")
		if content(t, f.Token) != "token" {
			t.Errorf("%s: the other files are not there again", name)
		}
		set("new")
	}
	// What could not be written is written by the next look.
	removeAll(t, f.Credentials)
	mkdir(t, f.Credentials)
	if err := d.SetCredentials([]byte("newest")); err == nil || strings.Contains(err.Error(), filepath.Base(f.Credentials)) {
		t.Errorf("got %v; want an error without the file's name", err)
	}
	removeAll(t, f.Credentials)
	write(t, f.Credentials, []byte("theirs"))
	if err := d.look(); err != nil || content(t, f.Credentials) != "newest" {
		t.Errorf("got %v, %q; want the newest", err, content(t, f.Credentials))
	}
	if err := d.Remove(); err != nil {
		t.Error(err)
	}
	if err := d.SetCredentials([]byte("late")); err != nil {
		t.Error(err)
	}
	if got := entries(t, d.place); len(got) != 0 {
		t.Errorf("got %v; want nothing after Remove", got)
	}
}

// A reader at any moment sees one whole version, and never an older one than before.
func TestSetCredentialsIsAtomic(t *testing.T) {
	d := newDir(t, newPlace(t))
	f := d.Files()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 300 {
			if err := d.SetCredentials([]byte(strings.Repeat(string(rune('a'+i%26)), 1+i))); err != nil {
				t.Error(err)
			}
		}
	}()
	last := 0
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		got := content(t, f.Credentials)
		if len(got) < last || len(got) > 0 && strings.Trim(got, got[:1]) != "" {
			t.Fatalf("got %q after one of %d", got, last)
		}
		last = len(got)
	}
	if last != 300 {
		t.Errorf("got the last of %d; want 300", last)
	}
}

// What a killed run left goes, keys and all.
func TestSweepTakesKeys(t *testing.T) {
	place := newPlace(t)
	path := leftover(t, place)
	for _, name := range entries(t, path) {
		if strings.HasPrefix(name, "credentials-") {
			removeAll(t, filepath.Join(path, name))
			write(t, filepath.Join(path, name), []byte("secret"))
			write(t, filepath.Join(path, name+draftSuffix), []byte("secret"))
		}
	}
	age(t, path)
	sweep(t.Context(), place)
	if got := entries(t, place); len(got) != 0 {
		t.Errorf("got %v; want nothing left", got)
	}
}

func write(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func removeAll(t *testing.T, path string) {
	t.Helper()
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
}

func mkdir(t *testing.T, path string) {
	t.Helper()
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
}
