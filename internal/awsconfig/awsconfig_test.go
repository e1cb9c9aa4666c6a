package awsconfig

import (
	"errors"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"testing"

	"brs-exec/need"
)

func TestPathsRead(t *testing.T) {
	home := t.TempDir()
	if err := os.Mkdir(filepath.Join(home, ".aws"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{".aws/config": "c", ".aws/credentials": "s", "other": "o", "$odd": "odd", "a${U}": "braces", "a${b": "half"} {
		if err := os.WriteFile(filepath.Join(home, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	homes := []string{"HOME=" + home, "USERPROFILE=" + home}
	tests := []struct {
		name                string
		env                 []string
		config, credentials string
	}{
		{"from home", nil, "c", "s"},
		{"empty is none", []string{"AWS_CONFIG_FILE=", "AWS_SHARED_CREDENTIALS_FILE="}, "", ""},
		{"named", []string{"AWS_CONFIG_FILE=" + home + "/other", "AWS_SHARED_CREDENTIALS_FILE=/nowhere"}, "o", ""},
		{"as botocore reads them", []string{"AWS_CONFIG_FILE=~/other", "AWS_SHARED_CREDENTIALS_FILE=${HOME}/other"}, "o", "o"},
		{"an empty variable", []string{"EMPTY=", "AWS_CONFIG_FILE=~/${EMPTY}other"}, "o", "s"},
		{"no regular files", []string{"AWS_CONFIG_FILE=" + home, "AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull}, "", ""},
		{"a name in braces that isn't set", []string{"AWS_CONFIG_FILE=" + home + "/a${U}"}, "braces", "s"},
		{"a brace that doesn't close", []string{"AWS_CONFIG_FILE=" + home + "/a${b"}, "half", "s"},
		{"a dollar in the name", []string{"AWS_CONFIG_FILE=" + home + "/$odd"}, "odd", "s"},
	}
	for _, tt := range tests {
		config, credentials, err := Locate(append(tt.env, homes...)).Read()
		if err != nil || string(config) != tt.config || string(credentials) != tt.credentials {
			t.Errorf("%s: got %q, %q, %v; want %q, %q", tt.name, config, credentials, err, tt.config, tt.credentials)
		}
	}
}

// ~NAME is that user's home directory, if there is such a user.
func TestHomeOfAnother(t *testing.T) {
	u, err := user.Current()
	need.That(t, runtime.GOOS != "windows", "unix", "a name has a domain on Windows")
	if err != nil {
		t.Fatal(err)
	}
	p := Locate([]string{"HOME=/elsewhere", "AWS_CONFIG_FILE=~" + u.Username + "/x", "AWS_SHARED_CREDENTIALS_FILE=~no-such-user/x"})
	if want := u.HomeDir + "/x"; p.Config != want || p.Credentials != "~no-such-user/x" {
		t.Errorf("got %+v; want %s, and the other as it is", p, want)
	}
}

func TestReadIsBounded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, tt := range []struct {
		size int
		want error
	}{{0, nil}, {sizeLimit, nil}, {sizeLimit + 1, ErrTooLarge}} {
		path := filepath.Join(dir, "config")
		if err := os.WriteFile(path, make([]byte, tt.size), 0o600); err != nil {
			t.Fatal(err)
		}
		if content, err := Read(path); !errors.Is(err, tt.want) || err == nil && len(content) != tt.size {
			t.Errorf("%d bytes: got %d, %v; want %v", tt.size, len(content), err, tt.want)
		}
		_, _, err := Paths{filepath.Join(dir, "none"), path}.Read()
		if !errors.Is(err, tt.want) {
			t.Errorf("both files, one of %d bytes: got %v; want %v", tt.size, err, tt.want)
		}
	}
	for _, path := range []string{dir, os.DevNull, filepath.Join(dir, "none")} {
		if _, err := Read(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: got %v; want no file", path, err)
		}
	}
}

func TestChosenProfile(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		env            []string
		name, variable string
	}{
		{nil, "", ""},
		{[]string{"AWS_PROFILE=a", "AWS_DEFAULT_PROFILE=b", "AWS_PROFILE=c"}, "b", "AWS_DEFAULT_PROFILE"},
		{[]string{"AWS_PROFILE=a", "AWS_DEFAULT_PROFILE="}, "a", "AWS_PROFILE"},
	} {
		if name, variable := ChosenProfile(tt.env); name != tt.name || variable != tt.variable {
			t.Errorf("%q: got %q, %q; want %q, %q", tt.env, name, variable, tt.name, tt.variable)
		}
	}
}
