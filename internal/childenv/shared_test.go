package childenv

import (
	"os"
	"path/filepath"
	"testing"
)

func TestReadShared(t *testing.T) {
	home := t.TempDir()
	if err := os.Mkdir(filepath.Join(home, ".aws"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{".aws/config": "c", ".aws/credentials": "s", "other": "o", "$odd": "odd"} {
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
		{"empty is unset", []string{"AWS_CONFIG_FILE=", "AWS_SHARED_CREDENTIALS_FILE="}, "c", "s"},
		{"named", []string{"AWS_CONFIG_FILE=" + home + "/other", "AWS_SHARED_CREDENTIALS_FILE=/nowhere"}, "o", ""},
		{"as botocore reads them", []string{"AWS_CONFIG_FILE=~/other", "AWS_SHARED_CREDENTIALS_FILE=${HOME}/other"}, "o", "o"},
		{"a dollar in the name", []string{"AWS_CONFIG_FILE=" + home + "/$odd"}, "odd", "s"},
	}
	for _, tt := range tests {
		config, credentials := ReadShared(append(tt.env, homes...))
		if string(config) != tt.config || string(credentials) != tt.credentials {
			t.Errorf("%s: got %q, %q; want %q, %q", tt.name, config, credentials, tt.config, tt.credentials)
		}
	}
}
