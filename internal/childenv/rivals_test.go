package childenv

import (
	"slices"
	"strings"
	"testing"
)

func TestRivals(t *testing.T) {
	const defaults = "[default]\naws_access_key_id = hush\n"
	for _, c := range []struct {
		name, config, credentials string
		env                       []string
		want                      []string // names, and what is done
	}{
		{name: "nothing", env: []string{"PATH=/bin", "AWS_REGION=x", "AWS_CONTAINER_CREDENTIALS_FULL_URI=hush"}},
		{name: "keys are one", env: []string{"AWS_SECRET_ACCESS_KEY=hush", "AWS_ACCESS_KEY_ID=hush", "AWS_SESSION_TOKEN=hush"}, want: []string{"AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY: unset"}},
		{name: "empty keys are none", env: []string{"AWS_ACCESS_KEY_ID=", "AWS_WEB_IDENTITY_TOKEN_FILE="}},
		{name: "presence counts", env: []string{"AWS_PROFILE=", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI="}, want: []string{"AWS_PROFILE: unset", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: unset"}},
		{name: "a role alone is harmless", env: []string{"AWS_ROLE_ARN=hush", "AWS_ROLE_SESSION_NAME=hush", "BRS_EXEC_ROLE_ARN=hush"}},
		{name: "any bearer token", env: []string{"AWS_BEARER_TOKEN_BEDROCK=hush"}, want: []string{"AWS_BEARER_TOKEN_*: unset"}},
		{name: "boto's file", env: []string{"BOTO_CONFIG=hush"}, want: []string{"BOTO_CONFIG: set to a file without a [Credentials] section"}},
		{name: "harmless files", config: "[default]\nregion = x\n[profile p]\naws_access_key_id = hush\n"},
		{name: "both files", config: "[default]\ncredential_process = hush\n", credentials: defaults,
			want: []string{"[default] in the config file, credential_process: left out of the file that the command is given", "[default] in the credentials file, aws_access_key_id: left out"}},
	} {
		got := Rivals(c.env, []byte(c.config), []byte(c.credentials))
		if len(got) != len(c.want) {
			t.Errorf("%s: got %v; want %q", c.name, got, c.want)
			continue
		}
		for i, r := range got {
			said := r.Name + ": " + r.Does
			if r.Key != "" {
				said = r.Name + ", " + r.Key + ": " + r.Does
			}
			if !strings.HasPrefix(said, c.want[i]) || r.In == "" || r.Why == "" || strings.Contains(said+r.Why, "hush") || (r.Key != "") != strings.HasPrefix(r.Name, "[") {
				t.Errorf("%s: got %+v; want %s", c.name, r, c.want[i])
			}
		}
	}
}

// Each row that takes an identity away is a rival, or known to be a part of one; and none is left in the child's
// environment.
func TestRivalsAreTheTable(t *testing.T) {
	var all []string
	for _, v := range variables {
		if v.kind == setting {
			continue
		}
		name := strings.Replace(v.name, "*", "X", 1)
		all = append(all, name+"=x")
		if got := Rivals([]string{name + "=x"}, nil, nil); (len(got) == 1) == (v.kind == describes) {
			t.Errorf("%s: %v", v.name, got)
		}
	}
	child := Build(all, Endpoint{URL: "http://127.0.0.1:1/x", Token: "t"}, Files{Config: "/c", Credentials: "/e", Token: "/t"})
	child = slices.DeleteFunc(child, func(s string) bool { return s == "BOTO_CONFIG=/e" }) // an empty file
	if got := Rivals(child, nil, nil); len(got) != 0 {
		t.Errorf("in the child's environment: %v", got)
	}
}
