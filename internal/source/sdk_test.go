package source

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// sdkCases has every kind of profile and environment that the SDK's chain tells apart.
var sdkCases = []struct {
	name    string
	env     map[string]string
	profile string // --profile
	config  string
	creds   string
}{
	{name: "environment", env: map[string]string{"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}},
	{name: "older spelling", env: map[string]string{"AWS_ACCESS_KEY": "a", "AWS_SECRET_KEY": "b"}},
	{name: "environment beats AWS_PROFILE", env: map[string]string{"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_PROFILE": "p"}, creds: "[p]\naws_access_key_id=x\naws_secret_access_key=y\n"},
	{name: "--profile beats environment", env: map[string]string{"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}, profile: "p", creds: "[p]\naws_access_key_id=x\naws_secret_access_key=y\n"},
	{name: "web identity", env: map[string]string{"AWS_WEB_IDENTITY_TOKEN_FILE": "TOKEN", "AWS_ROLE_ARN": testRole}},
	{name: "web identity beats AWS_PROFILE", env: map[string]string{"AWS_WEB_IDENTITY_TOKEN_FILE": "TOKEN", "AWS_ROLE_ARN": testRole, "AWS_PROFILE": "p"}, creds: "[p]\naws_access_key_id=x\naws_secret_access_key=y\n"},
	{name: "default keys", creds: "[default]\naws_access_key_id=x\naws_secret_access_key=y\n"},
	{name: "default keys in config", config: "[default]\naws_access_key_id=x\naws_secret_access_key=y\n"},
	{name: "AWS_DEFAULT_PROFILE", env: map[string]string{"AWS_DEFAULT_PROFILE": "p"}, creds: "[p]\naws_access_key_id=x\naws_secret_access_key=y\n"},
	{name: "source_profile", profile: "r", config: "[profile r]\nrole_arn=" + testRole + "\nsource_profile=p\n", creds: "[p]\naws_access_key_id=x\naws_secret_access_key=y\n"},
	{name: "two source_profiles", profile: "r", config: "[profile r]\nrole_arn=" + testRole + "\nsource_profile=q\n[profile q]\nrole_arn=" + testRole + "\nsource_profile=p\n", creds: "[p]\naws_access_key_id=x\naws_secret_access_key=y\n"},
	{name: "source_profile is itself", profile: "r", config: "[profile r]\nrole_arn=" + testRole + "\nsource_profile=r\naws_access_key_id=x\naws_secret_access_key=y\n"},
	{name: "keys and role", profile: "r", config: "[profile r]\nrole_arn=" + testRole + "\naws_access_key_id=x\naws_secret_access_key=y\n"},
	{name: "credential_source Environment", profile: "r", env: map[string]string{"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}, config: "[profile r]\nrole_arn=" + testRole + "\ncredential_source=Environment\n"},
	{name: "credential_source EcsContainer", profile: "r", env: map[string]string{"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1/x"}, config: "[profile r]\nrole_arn=" + testRole + "\ncredential_source=EcsContainer\n"},
	{name: "credential_source instance", profile: "r", env: map[string]string{"AWS_EC2_METADATA_DISABLED": "", "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:1"}, config: "[profile r]\nrole_arn=" + testRole + "\ncredential_source=Ec2InstanceMetadata\n"},
	{name: "profile's token file", profile: "r", config: "[profile r]\nrole_arn=" + testRole + "\nweb_identity_token_file=TOKEN\n"},
	{name: "token file below a role", profile: "q", config: "[profile q]\nrole_arn=" + testRole + "\nsource_profile=r\n[profile r]\nrole_arn=" + testRole + "\nweb_identity_token_file=TOKEN\n"},
	{name: "sso-session", profile: "s", config: "[profile s]\nsso_session=c\nsso_account_id=123456789012\nsso_role_name=Dev\n[sso-session c]\nsso_region=us-east-1\nsso_start_url=https://x.awsapps.com/start\n"},
	{name: "legacy SSO", profile: "s", config: "[profile s]\nsso_account_id=123456789012\nsso_role_name=Dev\nsso_region=us-east-1\nsso_start_url=https://x.awsapps.com/start\n"},
	{name: "SSO below a role", profile: "r", config: "[profile r]\nrole_arn=" + testRole + "\nsource_profile=s\n[profile s]\nsso_session=c\nsso_account_id=123456789012\nsso_role_name=Dev\n[sso-session c]\nsso_region=us-east-1\nsso_start_url=https://x.awsapps.com/start\n"},
	{name: "login", profile: "l", config: "[profile l]\nlogin_session=arn:aws:iam::123456789012:user/u\n"},
	{name: "process", profile: "p", config: "[profile p]\ncredential_process=/bin/true\n"},
	{name: "process and role", profile: "p", config: "[profile p]\ncredential_process=/bin/true\nrole_arn=" + testRole + "\n"},
	{name: "container FULL_URI", env: map[string]string{"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1/x"}},
	{name: "container RELATIVE_URI", env: map[string]string{"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/x", "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://192.0.2.1/x"}},
	{name: "keys beat container", env: map[string]string{"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1/x"}, creds: "[default]\naws_access_key_id=x\naws_secret_access_key=y\n"},
	{name: "container under an empty profile", profile: "p", config: "[profile p]\nregion=x\n", env: map[string]string{"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1/x"}},
	{name: "instance", env: map[string]string{"AWS_EC2_METADATA_DISABLED": "", "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:1"}},
}

// Our choice is the SDK's.
func TestSameChoiceAsTheSDK(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("a.b.c"), 0o600); err != nil {
		t.Fatal(err)
	}
	fill := strings.NewReplacer("TOKEN_FILE", "TOKEN_FILE", "TOKEN", token).Replace
	for _, c := range sdkCases {
		t.Run(c.name, func(t *testing.T) {
			writeConfig(t, fill(c.config), c.creds)
			for k, v := range c.env {
				t.Setenv(k, fill(v))
			}
			cfg, err := config.LoadDefaultConfig(t.Context(), config.WithSharedConfigProfile(c.profile))
			if err != nil {
				t.Fatal(err)
			}
			want := cfg.Credentials.(aws.CredentialProviderSource).ProviderSources()
			s := mustNew(t, Options{Profile: c.profile})
			if got := s.ProviderSources(); !slices.Equal(got, want) {
				t.Errorf("got %v; want %v (see aws.CredentialSource)", got, want)
			}
			if want := roleOf(cfg.Credentials); len(s.chain.hops) > 0 != want {
				t.Errorf("%d roles; the SDK assumes one: %v", len(s.chain.hops), want)
			}
		})
	}
}

func roleOf(p aws.CredentialsProvider) bool {
	return p.(*aws.CredentialsCache).IsCredentialsProvider((*stscreds.AssumeRoleProvider)(nil))
}

// Our client settings are the SDK's.
func TestSameSettingsAsTheSDK(t *testing.T) {
	const services = "[profile p]\nregion=eu-west-3\nservices=local\n[services local]\nsts =\n  endpoint_url = http://127.0.0.1:4\n"
	for _, c := range []struct {
		name, profile, config string
		env                   map[string]string
	}{
		{name: "nothing"},
		{name: "region variable", env: map[string]string{"AWS_DEFAULT_REGION": "eu-west-1"}},
		{name: "two region variables", env: map[string]string{"AWS_REGION": "eu-west-2", "AWS_DEFAULT_REGION": "eu-west-1"}},
		{name: "profile's", profile: "p", config: "[profile p]\nregion=eu-west-3\nuse_fips_endpoint=true\nuse_dualstack_endpoint=true\nsdk_ua_app_id=app\ndisable_clock_skew_correction=true\n"},
		{name: "variables over profile", profile: "p", config: "[profile p]\nregion=eu-west-3\nuse_fips_endpoint=true\nsdk_ua_app_id=app\n", env: map[string]string{"AWS_REGION": "eu-west-1", "AWS_USE_FIPS_ENDPOINT": "false", "AWS_SDK_UA_APP_ID": "other"}},
		{name: "AWS_ENDPOINT_URL", env: map[string]string{"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}},
		{name: "AWS_ENDPOINT_URL_STS", env: map[string]string{"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ENDPOINT_URL_STS": "http://127.0.0.1:2"}},
		{name: "ignored", env: map[string]string{"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ENDPOINT_URL_STS": "http://127.0.0.1:2", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}},
		{name: "profile's endpoint", profile: "p", config: "[profile p]\nendpoint_url=http://127.0.0.1:3\n"},
		{name: "services section", profile: "p", config: services},
		{name: "variable over services section", profile: "p", config: services, env: map[string]string{"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}},
		{name: "profile ignores", profile: "p", config: "[profile p]\nendpoint_url=http://127.0.0.1:3\nignore_configured_endpoint_urls=true\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			writeConfig(t, c.config, "")
			for k, v := range c.env {
				t.Setenv(k, v)
			}
			cfg, err := config.LoadDefaultConfig(t.Context(), config.WithSharedConfigProfile(c.profile), config.WithCredentialsProvider(testKeys))
			if err != nil {
				t.Fatal(err)
			}
			want := sts.NewFromConfig(cfg).Options()
			got := mustNew(t, Options{Profile: c.profile, base: testKeys}).sts.Options()
			if cfg.Region == "" {
				want.Region = "us-east-1"
			}
			for _, f := range []struct {
				name      string
				got, want any
			}{
				{"Region", got.Region, want.Region},
				{"BaseEndpoint", aws.ToString(got.BaseEndpoint), aws.ToString(want.BaseEndpoint)},
				{"AppID", got.AppID, want.AppID},
				{"FIPS", got.EndpointOptions.UseFIPSEndpoint, want.EndpointOptions.UseFIPSEndpoint},
				{"dual stack", got.EndpointOptions.UseDualStackEndpoint, want.EndpointOptions.UseDualStackEndpoint},
				{"clock", got.DisableClockSkewCorrection, want.DisableClockSkewCorrection},
			} {
				if !reflect.DeepEqual(f.got, f.want) {
					t.Errorf("%s = %v; the SDK's is %v", f.name, f.got, f.want)
				}
			}
		})
	}
}
