package source

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
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
	{name: "container FULL_URI", env: map[string]string{"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1/x"}},
	{name: "container RELATIVE_URI", env: map[string]string{"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/x", "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://192.0.2.1/x"}},
	{name: "keys beat container", env: map[string]string{"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1/x"}, creds: "[default]\naws_access_key_id=x\naws_secret_access_key=y\n"},
	{name: "container under an empty profile", env: map[string]string{"AWS_PROFILE": "p", "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1/x"}, config: "[profile p]\nregion=x\n"},
	{name: "instance", env: map[string]string{"AWS_EC2_METADATA_DISABLED": "", "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:1"}},
}

// Our choice is the SDK's, where botocore's is. (e2e's TestBaseIsAws compares with botocore.)
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
			sources := cfg.Credentials.(aws.CredentialProviderSource).ProviderSources()
			want := stepsOf(sources, c.name == "credential_source Environment")
			s := mustNew(t, Options{Profile: c.profile})
			if got := baseSteps(s); !slices.Equal(got, want) {
				t.Errorf("got %q; want %q, as the SDK says %v (see aws.CredentialSource)", got, want, sources)
			}
			if want := roleOf(cfg.Credentials); len(s.chain.hops) > 0 != want {
				t.Errorf("%d roles; the SDK assumes one: %v", len(s.chain.hops), want)
			}
		})
	}
}

// stepsOf words the SDK's sources as our chain does, but for the roles. fromVariables corrects the
// SDK, which says HTTP of credential_source = Environment.
func stepsOf(sources []aws.CredentialSource, fromVariables bool) (steps []string) {
	words := map[aws.CredentialSource]string{
		aws.CredentialSourceEnvVars: "environment variables", aws.CredentialSourceEnvVarsSTSWebIDToken: "AWS_WEB_IDENTITY_TOKEN_FILE",
		aws.CredentialSourceHTTP: "container endpoint", aws.CredentialSourceIMDS: "instance metadata",
		aws.CredentialSourceProfileSourceProfile: "profile", aws.CredentialSourceProfileSTSWebIDToken: "web_identity_token_file",
		aws.CredentialSourceProfile: "keys", aws.CredentialSourceSSO: "sso", aws.CredentialSourceSSOLegacy: "sso",
		aws.CredentialSourceLogin: "aws login", aws.CredentialSourceProcess: "credential_process",
		// what follows says these again, or is no source
		aws.CredentialSourceProfileNamedProvider: "", aws.CredentialSourceProfileSSO: "", aws.CredentialSourceProfileSSOLegacy: "",
		aws.CredentialSourceProfileLogin: "", aws.CredentialSourceProfileProcess: "", aws.CredentialSourceSTSAssumeRole: "",
	}
	for _, source := range sources {
		word, known := words[source]
		switch {
		case !known:
			word = "unknown"
		case fromVariables && source == aws.CredentialSourceHTTP:
			word = "environment variables"
		}
		if word != "" {
			steps = append(steps, word)
		}
	}
	return steps
}

// baseSteps are those of s, without the roles and the profile that it begins with.
func baseSteps(s *Source) (steps []string) {
	_, keys := bottom(s).(*profileKeys)
	begun := false
	for _, step := range s.chain.steps {
		isProfile := strings.HasPrefix(step, "profile ")
		switch {
		case strings.HasPrefix(step, "arn:"):
		case isProfile && begun:
			steps = append(steps, "profile")
		case !isProfile:
			steps = append(steps, step)
		}
		begun = begun || isProfile
	}
	if keys {
		steps = append(steps, "keys")
	}
	return steps
}

func bottom(s *Source) aws.CredentialsProvider {
	if len(s.chain.hops) > 0 {
		return s.chain.hops[0].base
	}
	if w, ok := s.chain.provider.(*withoutRole); ok {
		return w.base
	}
	return s.chain.provider
}

func roleOf(p aws.CredentialsProvider) bool {
	return p.(*aws.CredentialsCache).IsCredentialsProvider((*stscreds.AssumeRoleProvider)(nil))
}
