package source

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestEndIn(t *testing.T) {
	const end = "2090-01-02T03:04:05Z"
	for _, tt := range []struct {
		name, file string
		config     bool
		want       string // "": none
	}{
		{"saml2aws", "[corp]\naws_access_key_id = A\nx_security_token_expires = " + end, false, end},
		{"aws-azure-login", "[other]\na=b\n [corp] ; mine\nAWS_EXPIRATION=2090-01-02T03:04:05.000Z", false, end},
		{"with an offset", "[corp]\nx_security_token_expires = 2090-01-02T05:04:05+02:00", false, end},
		{"in the config file", "[profile corp]\nx_security_token_expires=" + end, true, end},
		{"of the credentials file's form there", "[corp]\nx_security_token_expires=" + end, true, ""},
		{"another's", "[corp]\n[other]\nx_security_token_expires=" + end, false, ""},
		{"before any section", "x_security_token_expires=" + end + "\n[corp]", false, ""},
		{"a comment", "[corp]\n# x_security_token_expires=" + end, false, ""},
		{"no time", "[corp]\nx_security_token_expires=soon", false, ""},
	} {
		got := endIn(strings.NewReader(tt.file), tt.config, "corp")
		if text := got.UTC().Format(time.RFC3339); text != tt.want && (tt.want != "" || !got.IsZero()) {
			t.Errorf("%s: got %s; want %q", tt.name, text, tt.want)
		}
	}
}

// An end is stated by the profile's own section, or by none.
func FuzzEndIn(f *testing.F) {
	f.Add("[corp]\nx_security_token_expires = 2090-01-02T03:04:05Z\n", false)
	f.Add("[profile corp]\naws_expiration=2090-01-02T03:04:05.000Z\n[profile b]\n", true)
	f.Fuzz(func(t *testing.T, file string, config bool) {
		named := slices.ContainsFunc(strings.Split(file, "\n"), func(line string) bool { return sectionName(line, config) == "corp" })
		if end := endIn(strings.NewReader(file), config, "corp"); !end.IsZero() && !named {
			t.Errorf("%q: got %v; there is no such section", file, end)
		}
	})
}
