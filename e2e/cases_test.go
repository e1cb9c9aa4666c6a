package e2e

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// fieldCases are inputs of people's reports, in which brs-exec was another identity than aws, or none. KEY in a text is a
// user's own pair, LEAK that of another user, and SESSION, TOKEN a session's.
var fieldCases = []struct {
	name    string
	env     map[string]string
	profile string
	files   map[string]string
	want    string // who it is; "" is nobody
	why     string // in the error
}{
	{name: "quoted path with ~", env: map[string]string{"AWS_SHARED_CREDENTIALS_FILE": "~/conf/creds"}, profile: "etl",
		files: map[string]string{"conf/creds": "[etl]\naws_access_key_id=KEY\naws_secret_access_key=secret\n"}, want: "me"},
	{name: "quoted path with $HOME", env: map[string]string{"AWS_CONFIG_FILE": "$HOME/conf/config"}, profile: "etl",
		files: map[string]string{"conf/config": "[profile etl]\naws_access_key_id=KEY\naws_secret_access_key=secret\n"}, want: "me"},
	{name: "half a pair", env: map[string]string{"AWS_ACCESS_KEY_ID": "KEY", "AWS_SECRET_ACCESS_KEY": ""},
		files: map[string]string{".aws/credentials": "[default]\naws_access_key_id=LEAK\naws_secret_access_key=secret\n"}, why: "AWS_SECRET_ACCESS_KEY is empty"},
	{name: "half a pair, not set", env: map[string]string{"AWS_ACCESS_KEY_ID": "KEY"},
		files: map[string]string{".aws/credentials": "[default]\naws_access_key_id=LEAK\naws_secret_access_key=secret\n"}, why: "AWS_SECRET_ACCESS_KEY is not set"},
	{name: "SSO beside old keys", profile: "dev", files: map[string]string{
		".aws/config":      "[profile dev]\nsso_session=corp\nsso_account_id=111111111111\nsso_role_name=Dev\n[sso-session corp]\nsso_region=us-east-1\nsso_start_url=" + ssoStart + "\n",
		".aws/credentials": "[dev]\naws_access_key_id=LEAK\naws_secret_access_key=secret\n"}, want: "sso 111111111111/Dev by sso-login"},
	{name: "another tool's variables", env: map[string]string{"AWS_ACCESS_KEY": "LEAK", "AWS_SECRET_KEY": "secret"},
		files: map[string]string{".aws/credentials": "[default]\naws_access_key_id=KEY\naws_secret_access_key=secret\n"}, want: "me"},
	{name: "AWS_SECURITY_TOKEN", env: map[string]string{"AWS_ACCESS_KEY_ID": "SESSION", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SECURITY_TOKEN": "TOKEN"}, want: "my session"},
	{name: "aws_security_token", profile: "saml",
		files: map[string]string{".aws/credentials": "[saml]\naws_access_key_id=SESSION\naws_secret_access_key=secret\naws_security_token=TOKEN\n"}, want: "my session"},
	{name: "AWS_DEFAULT_PROFILE against AWS_PROFILE", env: map[string]string{"AWS_PROFILE": "a", "AWS_DEFAULT_PROFILE": "b"},
		files: map[string]string{".aws/credentials": "[a]\naws_access_key_id=LEAK\naws_secret_access_key=secret\n[b]\naws_access_key_id=KEY\naws_secret_access_key=secret\n"}, want: "me"},
	{name: "a quoted name", profile: "my etl", files: map[string]string{".aws/config": "[profile 'my etl']\naws_access_key_id=KEY\naws_secret_access_key=secret\n"}, want: "me"},
	{name: "a quoted command", profile: "p", files: map[string]string{
		".aws/config": "[profile p]\ncredential_process = \"{HOME}/my tools/creds\" \"{HOME}/process.json\"\n", "my tools/creds": "#!/bin/sh\ncat \"$1\"\n"}, want: "process"},
	{name: "the date of date", profile: "p", files: map[string]string{".aws/config": "[profile p]\ncredential_process = cat {HOME}/date.json\n",
		"date.json": `{"Version":1,"AccessKeyId":"SESSION","SecretAccessKey":"secret","SessionToken":"TOKEN","Expiration":"2099-01-01T00:00:00+0000"}`}, want: "my session"},
	{name: "the login of an older aws", profile: "dev", files: map[string]string{
		".aws/config": "[profile dev]\nsso_session=corp\nsso_account_id=111111111111\nsso_role_name=Dev\n[sso-session corp]\nsso_region=us-east-1\nsso_start_url=" + ssoStart + "\n",
		".aws/sso/cache/ee0bfd2552fbd840c02cc48b6e823320543c450f.json": `{"accessToken":"sso-login","startUrl":"` + ssoStart + `","region":"us-east-1","expiresAt":"2099-01-01T00:00:00UTC"}`}, // sha1 of corp
		want: "sso 111111111111/Dev by sso-login"},
	{name: "the config file is a directory", env: map[string]string{"AWS_ACCESS_KEY_ID": "KEY", "AWS_SECRET_ACCESS_KEY": "secret"},
		files: map[string]string{".aws/config/": ""}, want: "me"},
	{name: "a byte order mark", files: map[string]string{".aws/credentials": "\ufeff[default]\naws_access_key_id=KEY\naws_secret_access_key=secret\n"}, why: "byte order mark"},
	{name: "a line break in a key", env: map[string]string{"AWS_ACCESS_KEY_ID": "KEY\n", "AWS_SECRET_ACCESS_KEY": "secret"}, why: "AWS_ACCESS_KEY_ID holds a space or a line break"},
	{name: "a line break in a secret", env: map[string]string{"AWS_ACCESS_KEY_ID": "KEY", "AWS_SECRET_ACCESS_KEY": "secret\n"}, why: "AWS_SECRET_ACCESS_KEY holds a space or a line break"},
	{name: "a named profile without credentials", env: map[string]string{"AWS_CONTAINER_CREDENTIALS_FULL_URI": "{REGISTRY}/container"}, profile: "prod",
		files: map[string]string{".aws/config": "[profile prod]\nregion=eu-west-1\n"}, why: "no AWS credentials in profile prod"},
	{name: "a role without a source", profile: "r", files: map[string]string{".aws/config": "[profile r]\nrole_arn=arn:aws:iam::000000000000:role/r\n"},
		why: "neither source_profile nor credential_source"},
}

// TestFieldCases are people's reports, each with the right value.
func TestFieldCases(t *testing.T) {
	t.Parallel()
	r := newRegistry(t)
	session := r.session("my session")
	fill := strings.NewReplacer("KEY", r.longTerm("me"), "LEAK", r.longTerm("somebody else"), "SESSION", session, "TOKEN", token(session), "{REGISTRY}", r.URL,
		"AWS_ACCESS_KEY", "AWS_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION", "AWS_SESSION") // names stay
	for _, tt := range fieldCases {
		t.Run(tt.name, func(t *testing.T) {
			g := &generator{Rand: rand.New(rand.NewPCG(1, 1)), r: r, c: baseCase{env: map[string]string{}, files: map[string]string{}, profile: tt.profile}}
			g.fixtures()
			for name, value := range tt.env {
				g.c.env[name] = fill.Replace(value)
			}
			for name, text := range tt.files {
				g.c.files[name] = fill.Replace(text)
			}
			g.c.lay(t, r)
			who, why := brsWhose(t, g.c)
			if want := tt.want; want == "" && (who != nobody || !strings.Contains(why, tt.why)) || want != "" && who != want {
				t.Errorf("got %s (%s); want %q, %q\n%s", who, why, tt.want, tt.why, g.c)
			}
		})
	}
}
