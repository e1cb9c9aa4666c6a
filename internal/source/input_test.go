package source

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Everything a user can write wrong is found by New, before any network, and says what to write
// instead.
func TestWrongInput(t *testing.T) {
	useTestKeys(t)
	dir := t.TempDir()
	policy := filepath.Join(dir, "policy.json")
	if err := os.WriteFile(policy, []byte("not json"), 0o600); err != nil {
		t.Fatal(err)
	}
	var tags []string
	for i := range 51 {
		tags = append(tags, "k"+strconv.Itoa(i)+"=v")
	}
	for _, c := range []struct {
		name       string
		o          Options
		text, hint string
	}{
		{"no ARN", Options{RoleARNs: []string{"nonsense"}}, `--role-arn "nonsense" is no ARN of a role`, "arn:aws:iam::ACCOUNT:role/nonsense"},
		{"a session", Options{RoleARNs: []string{"arn:aws:sts::123456789012:assumed-role/etl/x"}}, "a session of a role", "arn:aws:iam::123456789012:role/etl"},
		{"a user", Options{RoleARNs: []string{"arn:aws:iam::123456789012:user/x"}}, "is no ARN of a role", "role/NAME"},
		{"an account", Options{RoleARNs: []string{"arn:aws:iam::12345:role/x"}}, `"12345" is no account`, "12 digits"},
		{"no name", Options{RoleARNs: []string{"arn:aws:iam::123456789012:role/"}}, "is no ARN of a role", "role/NAME"},
		{"empty ARN", Options{RoleARNs: []string{""}}, `--role-arn is empty`, "where its value comes from"},
		{"second ARN", Options{RoleARNs: []string{testRole, "x"}}, `--role-arn "x"`, "role/x"},
		{"short", Options{Duration: time.Minute, RoleARNs: []string{testRole}}, "--duration-seconds 60: AWS gives 900 to 43200 seconds", "3600"},
		{"long", Options{Duration: 13 * time.Hour, RoleARNs: []string{testRole}}, "--duration-seconds 46800: AWS gives 900 to 43200", "3600"},
		{"fraction", Options{Duration: time.Hour + time.Millisecond, RoleARNs: []string{testRole}}, "whole seconds", "3600"},
		{"chain", Options{Duration: 2 * time.Hour, RoleARNs: []string{testRole, testRole}}, "one hour", "--duration-seconds 3600"},
		{"session name", Options{RoleSessionName: "a b"}, `does not allow ' '`, "_+=,.@-"},
		{"long name", Options{RoleSessionName: strings.Repeat("x", 65)}, "AWS takes 64", "shorten"},
		{"identity", Options{SourceIdentity: "ö"}, `does not allow 'ö'`, "_+=,.@-"},
		{"external id", Options{ExternalID: "a{b"}, `--external-id: AWS does not allow`, ":/"},
		{"policy", Options{Policy: "allow all"}, "--policy is no JSON object", "file://PATH"},
		{"policy list", Options{Policy: "[]"}, "--policy is no JSON object", "file://PATH"},
		{"policy null", Options{Policy: "null"}, "--policy is no JSON object", "file://PATH"},
		{"policy file", Options{Policy: "file://" + policy}, "--policy file://" + policy + " is no JSON object", ""},
		{"no policy file", Options{Policy: "file:///no/such"}, "--policy: open /no/such: ", "file://"},
		{"big policy", Options{Policy: `{"a":"` + strings.Repeat("x", 2048) + `"}`}, "2056 characters; AWS takes 2048", "--policy-arns"},
		{"policy ARN", Options{PolicyARNs: []string{"ReadOnlyAccess"}}, `"ReadOnlyAccess" is no ARN of a managed policy`, "arn:aws:iam::aws:policy/"},
		{"tag", Options{Tags: []string{"Team"}}, `--tags "Team" has no =`, "Team=VALUE"},
		{"tag key", Options{Tags: []string{"=x"}}, "has no key", "KEY=x"},
		{"long key", Options{Tags: []string{strings.Repeat("k", 129) + "=v"}}, "more than 128", ""},
		{"long value", Options{Tags: []string{"k=" + strings.Repeat("v", 257)}}, "more than 256", ""},
		{"aws tag", Options{Tags: []string{"aws:x=v"}}, "AWS's own", ""},
		{"twice", Options{Tags: []string{"Team=a", "team=b"}}, `the key "team" is there twice`, "upper and lower"},
		{"51 tags", Options{Tags: tags}, "51 tags; AWS takes 50", ""},
		{"transitive", Options{TransitiveTagKeys: []string{"Team"}}, `"Team": there is no such tag`, "--tags Team=VALUE"},
		{"context", Options{ProvidedContexts: []string{"arn:aws:x"}}, "has a ProviderArn and a ContextAssertion", "ProviderArn="},
		{"policy without role", Options{Policy: "{}"}, "--policy is for a role, and there is none", "--role-arn"},
		{"external id without role", Options{ExternalID: "xx"}, "--external-id is for a role, and there is none", "--role-arn"},
		{"endpoint", Options{STSEndpointURL: "sts.amazonaws.com"}, `--sts-endpoint-url "sts.amazonaws.com" is no URL`, "https://"},
		{"clear", Options{STSEndpointURL: "http://sts.example.com"}, "in the clear", "https://sts.example.com"},
		{"password", Options{STSEndpointURL: "https://u:hush@h"}, "more than scheme, host and path", "https://h"},
		{"FIPS of one's own", Options{STSEndpointURL: "https://sts.example.com", UseFIPSEndpoint: true}, "exclude each other", "drop one"},
		{"region", Options{Region: "eu west"}, `--region "eu west" is no region`, "eu-west-1"},
		{"bundle", Options{CABundle: "/no/such.pem"}, "--ca-bundle: open /no/such.pem", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := newSource(t, c.o)
			if err == nil || !strings.Contains(err.Error(), c.text) || strings.ContainsAny(err.Error(), "\n") {
				t.Fatalf("got %v; want %q in it", err, c.text)
			}
			if hint := hintOf(err); !strings.Contains(hint, c.hint) || hint == "" {
				t.Errorf("%v\nhint %q; want %q in it", err, hint, c.hint)
			}
			if !Permanent(err) || strings.Contains(err.Error(), "hush") {
				t.Errorf("permanent %v: %v", Permanent(err), err)
			}
		})
	}
}

func TestWrongConfiguration(t *testing.T) {
	for _, c := range []struct {
		name, config string
		env          map[string]string
		o            Options
		text, hint   string
	}{
		{name: "misspelt profile", config: "[profile etl]\nregion=x\n[profile other]\n", o: Options{Profile: "elt"}, text: "no profile elt in", hint: "there are: etl, other"},
		{name: "AWS_PROFILE", config: "[profile etl]\n[profile prod]\n", env: map[string]string{"AWS_PROFILE": "missing"}, text: "no profile missing in", hint: "there are: etl, prod"},
		{name: "AWS_DEFAULT_PROFILE", config: "[default]\n", env: map[string]string{"AWS_DEFAULT_PROFILE": "missing"}, text: "no profile missing in", hint: "there are: default"},
		{name: "none at all", o: Options{Profile: "etl"}, text: "hold none at all", hint: "aws configure"},
		{name: "source missing", config: "[profile a]\nrole_arn=" + testRole + "\nsource_profile=bse\n[profile base]\n", o: Options{Profile: "a"}, text: "no source_profile bse in", hint: "there are: a, base"},
		{name: "source empty", config: "[profile a]\nrole_arn=" + testRole + "\nsource_profile=b\n[profile b]\n", o: Options{Profile: "a"}, text: "profile a: source_profile b leads to no credentials", hint: "credentials of its own"},
		{name: "cycle", config: "[profile a]\nrole_arn=" + testRole + "\nsource_profile=b\n[profile b]\nrole_arn=" + testRole + "\nsource_profile=a\n", o: Options{Profile: "a"}, text: "leads to no credentials", hint: "circle"},
		{name: "no role_arn", config: "[profile a]\nsource_profile=b\n", o: Options{Profile: "a"}, text: "profile a has source_profile, but no role_arn", hint: "role_arn ="},
		{name: "two kinds", config: "[profile a]\nrole_arn=" + testRole + "\nsource_profile=b\ncredential_source=Environment\n", o: Options{Profile: "a"}, text: "has both source_profile and credential_source", hint: "drop one"},
		{name: "half a key", config: "[default]\naws_access_key_id=x\n", text: "belong together", hint: "aws configure --profile default"},
		{name: "bad role_arn", config: "[profile a]\nrole_arn=etl\ncredential_source=Environment\n", env: map[string]string{"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}, o: Options{Profile: "a"}, text: `role_arn of profile a "etl" is no ARN`, hint: "role/etl"},
		{name: "bad duration", config: "[profile a]\nrole_arn=" + testRole + "\ncredential_source=Environment\nduration_seconds=1h\n", env: map[string]string{"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}, o: Options{Profile: "a"}, text: "duration_seconds of profile a is no number", hint: "3600"},
		{name: "short duration", config: "[profile a]\nrole_arn=" + testRole + "\ncredential_source=Environment\nduration_seconds=60\n", env: map[string]string{"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}, o: Options{Profile: "a"}, text: "duration_seconds of profile a 60: AWS gives 900", hint: "duration_seconds = 3600"},
		{name: "no source", config: "[profile a]\nrole_arn=" + testRole + "\ncredential_source=Magic\n", o: Options{Profile: "a"}, text: `there is no credential_source "Magic"`, hint: "EcsContainer"},
		{name: "no env keys", config: "[profile a]\nrole_arn=" + testRole + "\ncredential_source=Environment\n", o: Options{Profile: "a"}, text: "no keys are there", hint: "export"},
		{name: "no container", config: "[profile a]\nrole_arn=" + testRole + "\ncredential_source=EcsContainer\n", o: Options{Profile: "a"}, text: "AWS_CONTAINER_CREDENTIALS_FULL_URI is not set", hint: ""},
		{name: "half SSO", config: "[profile a]\nsso_account_id=1\nsso_region=x\n", o: Options{Profile: "a"}, text: "has no sso_start_url, sso_role_name", hint: "aws configure sso --profile a"},
		{name: "no sso-session", config: "[profile a]\nsso_session=s\n", o: Options{Profile: "a"}, text: "there is no [sso-session s]", hint: "aws configure sso-session"},
		{name: "nothing", text: "no AWS credentials: none in the environment", hint: "aws configure"},
		{name: "nothing chosen", config: "[profile a]\nregion=x\n", text: "no AWS credentials", hint: "--profile NAME; there are: a"},
		{name: "role without token", env: map[string]string{"AWS_ROLE_ARN": testRole}, text: "AWS_ROLE_ARN is set, but", hint: `--role-arn "$AWS_ROLE_ARN"`},
		{name: "token without role", env: map[string]string{"AWS_WEB_IDENTITY_TOKEN_FILE": "/etc/hostname"}, text: "but not AWS_ROLE_ARN", hint: "export AWS_ROLE_ARN"},
		{name: "no token file", env: map[string]string{"AWS_WEB_IDENTITY_TOKEN_FILE": "/no/such", "AWS_ROLE_ARN": testRole}, text: "web identity token: open /no/such", hint: ""},
		{name: "session name", env: map[string]string{"AWS_ROLE_SESSION_NAME": "a b"}, text: `AWS_ROLE_SESSION_NAME "a b"`, hint: "letters"},
		{name: "container host", env: map[string]string{"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://192.0.2.1/x"}, text: "neither this machine nor ECS nor EKS", hint: "https"},
		{name: "container URL", env: map[string]string{"AWS_CONTAINER_CREDENTIALS_FULL_URI": "/x"}, text: "is no URL", hint: ""},
		{name: "bad bool", env: map[string]string{"AWS_USE_FIPS_ENDPOINT": "maybe"}, text: "AWS_USE_FIPS_ENDPOINT", hint: ""},
		{name: "bundle", env: map[string]string{"AWS_CA_BUNDLE": "/no/such.pem"}, text: "AWS_CA_BUNDLE: open /no/such.pem", hint: ""},
		{name: "region variable", env: map[string]string{"AWS_REGION": "eu_west"}, text: `AWS_REGION "eu_west" is no region`, hint: "eu-west-1"},
		{name: "region of a profile", config: "[profile a]\nregion=-\u00e4\n", o: Options{Profile: "a"}, text: "region of profile a", hint: "eu-west-1"},
		{name: "expired", env: map[string]string{"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_SESSION_TOKEN": "c", "AWS_CREDENTIAL_EXPIRATION": "2020-01-01T00:00:00Z"}, text: "have expired, at 2020-01-01", hint: "--profile"},
		{name: "MFA without terminal", config: "[profile a]\nrole_arn=" + testRole + "\nsource_profile=a\nmfa_serial=arn:aws:iam::123456789012:mfa/me\naws_access_key_id=x\naws_secret_access_key=y\n", o: Options{Profile: "a"}, text: "mfa_serial of profile a asks for an MFA code", hint: "--mfa-command"},
		{name: "clear", env: map[string]string{"AWS_ENDPOINT_URL": "http://192.0.2.1:9000", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}, text: "in the clear", hint: "https://192.0.2.1:9000"},
	} {
		t.Run(c.name, func(t *testing.T) {
			writeConfig(t, c.config, "")
			for k, v := range c.env {
				t.Setenv(k, v)
			}
			_, err := newSource(t, c.o, withoutTerminal)
			if err == nil || !strings.Contains(err.Error(), c.text) || strings.ContainsAny(err.Error(), "\n") {
				t.Fatalf("got %v; want %q in it", err, c.text)
			}
			if hint := hintOf(err); !strings.Contains(hint, c.hint) || hint == "" {
				t.Errorf("%v\nhint %q; want %q in it", err, hint, c.hint)
			}
			if !Permanent(err) {
				t.Errorf("%v may pass?", err)
			}
		})
	}
}

func withoutTerminal(b *builder) { b.terminal = "/no/such/tty" }
