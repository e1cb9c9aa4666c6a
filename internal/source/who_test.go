package source

import (
	"cmp"
	"os"
	"path/filepath"
	"testing"
)

// Profile and RoleARN name what Retrieve yields, for the command's settings and its prompt.
func TestProfileAndRole(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("t"), 0o600); err != nil {
		t.Fatal(err)
	}
	const own, two = "arn:aws:iam::111111111111:role/own", "arn:aws:iam::222222222222:role/two"
	config := "[profile keys]\naws_access_key_id=A\naws_secret_access_key=S\n" +
		"[profile own]\nrole_arn=" + own + "\nsource_profile=keys\n" +
		"[profile two]\nrole_arn=" + two + "\nsource_profile=own\n" +
		"[profile web]\nrole_arn=" + own + "\nweb_identity_token_file=" + token + "\n" +
		"[profile process]\ncredential_process=true\n" +
		"[profile env]\nrole_arn=" + own + "\ncredential_source=Environment\n" +
		"[profile settings]\nregion=eu-west-1\n"
	keys := map[string]string{"AWS_ACCESS_KEY_ID": "E", "AWS_SECRET_ACCESS_KEY": "S"}
	for _, c := range []struct {
		name, config  string
		o             Options
		env           map[string]string
		profile, role string
	}{
		{name: "keys", o: Options{Profile: "keys"}, profile: "keys"},
		{name: "its role", o: Options{Profile: "own"}, profile: "own", role: own},
		{name: "its source's role, too", o: Options{Profile: "two"}, profile: "two", role: two},
		{name: "AWS_PROFILE", env: map[string]string{"AWS_PROFILE": "own"}, profile: "own", role: own},
		{name: "AWS_DEFAULT_PROFILE", env: map[string]string{"AWS_DEFAULT_PROFILE": "keys"}, profile: "keys"},
		{name: "default", config: "[default]\naws_access_key_id=A\naws_secret_access_key=S\n", profile: "default"},
		{name: "a role on top", o: Options{Profile: "own", RoleARNs: []string{testRole}}, role: testRole},
		{name: "two on top", o: Options{Profile: "keys", RoleARNs: []string{own, testRole}}, role: testRole},
		{name: "process", o: Options{Profile: "process"}, profile: "process"},
		{name: "web identity", o: Options{Profile: "web"}, profile: "web", role: own},
		{name: "Environment", o: Options{Profile: "env"}, env: keys, profile: "env", role: own},
		{name: "keys outrank it", env: map[string]string{"AWS_PROFILE": "own", "AWS_ACCESS_KEY_ID": "E", "AWS_SECRET_ACCESS_KEY": "S"}},
		{name: "only settings", env: map[string]string{"AWS_PROFILE": "settings", "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1/x"}},
		{name: "no profile", env: map[string]string{"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1/x"}},
		{name: "IRSA", env: map[string]string{"AWS_WEB_IDENTITY_TOKEN_FILE": token, "AWS_ROLE_ARN": own}, role: own},
		{name: "IRSA and a role", env: map[string]string{"AWS_WEB_IDENTITY_TOKEN_FILE": token, "AWS_ROLE_ARN": own}, o: Options{RoleARNs: []string{testRole}}, role: testRole},
		{name: "a token for a role", o: Options{WebIdentityTokenFile: token, RoleARNs: []string{testRole}}, role: testRole},
		{name: "command", o: Options{CredentialCommand: "true"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			writeConfig(t, cmp.Or(c.config, config), "")
			for k, v := range c.env {
				t.Setenv(k, v)
			}
			s := mustNew(t, c.o)
			if s.Profile() != c.profile || s.RoleARN() != c.role {
				t.Errorf("profile %q, role %q; want %q, %q", s.Profile(), s.RoleARN(), c.profile, c.role)
			}
		})
	}
}
