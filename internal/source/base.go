package source

import (
	"context"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
)

// base begins the chain.
func (b *builder) base() (chain, error) {
	o := b.o
	switch {
	case o.Base != nil:
		return chain{provider: o.Base, steps: []string{o.BaseName}}, nil
	case o.base != nil:
		return chain{provider: o.base, steps: []string{"given keys"}}, nil
	}
	switch placeOf(o, &b.env) {
	case tokenFlags:
		return b.fromWebIdentityFlags()
	case commandFlag:
		return chain{provider: b.process("--credential-command", o.CredentialCommand), steps: []string{"credential command"}}, nil
	case iotFlags:
		return b.fromIoT()
	case orphan: // someone expects to be that role, and no SDK will make it so
		return chain{}, badInput(`--role-arn "$AWS_ROLE_ARN"`, "AWS_ROLE_ARN is set, but neither AWS_WEB_IDENTITY_TOKEN_FILE nor --role-arn")
	case environment:
		return b.fromEnvironment()
	case tokenFile:
		c := chain{steps: []string{"AWS_WEB_IDENTITY_TOKEN_FILE"}, sources: []aws.CredentialSource{aws.CredentialSourceEnvVarsSTSWebIDToken}}
		return b.fromTokenFile(c, b.env.WebIdentityTokenFilePath, b.env.RoleARN, "AWS_ROLE_ARN", "export AWS_ROLE_ARN=", "")
	}
	return b.fromProfile(&b.shared, nil)
}

// checkBase: flags that each name the base credentials exclude one another.
func checkBase(o *Options) error {
	var given []string
	for _, f := range []struct {
		flag string
		set  bool
	}{
		{"--profile", o.Profile != ""},
		{"--web-identity-token-file", o.WebIdentityTokenFile != ""}, {"--web-identity-token-command", o.WebIdentityTokenCommand != ""}, {"--web-identity", o.WebIdentity != ""},
		{"--credential-command", o.CredentialCommand != ""},
		{"--iot-endpoint", o.usesIoT()},
	} {
		if f.set {
			given = append(given, f.flag)
		}
	}
	switch {
	case len(given) > 1:
		return badInput("drop one", "%s and %s each say whose credentials to begin with", given[0], given[1])
	case o.WebIdentity != "" && o.WebIdentity != "github-actions":
		return badInput("--web-identity github-actions, or --web-identity-token-command for others", "--web-identity: no provider %q", clip(o.WebIdentity))
	case o.Audience != "" && o.WebIdentity == "":
		return badInput("--web-identity github-actions", "--audience is for --web-identity")
	}
	return nil
}

func (o *Options) usesIoT() bool {
	return o.IoTEndpoint+o.IoTRoleAlias+o.IoTCertificate+o.IoTPrivateKey+o.IoTThingName+o.IoTCA != ""
}

// fromEnvironment is AWS_ACCESS_KEY_ID and its like. AWS_CREDENTIAL_EXPIRATION is what `aws configure export-credentials`
// adds to a session's.
func (b *builder) fromEnvironment() (chain, error) {
	k := b.env.Credentials
	c := chain{steps: []string{"environment variables"}, sources: []aws.CredentialSource{aws.CredentialSourceEnvVars}, role: longTermRole(k)}
	if end, err := time.Parse(time.RFC3339, os.Getenv("AWS_CREDENTIAL_EXPIRATION")); err == nil && k.SessionToken != "" {
		k.CanExpire, k.Expires = true, end
	}
	f := b.fixed(k)
	c.provider = f
	_, err := f.Retrieve(context.Background()) // asks nobody
	return c, err
}

// A fixed credential is what the environment holds.
type fixed struct {
	credentials.StaticCredentialsProvider
}

func (b *builder) fixed(c aws.Credentials) fixed {
	if c.CanExpire {
		b.ends().set(c.Expires)
	}
	return fixed{credentials.StaticCredentialsProvider{Value: c}}
}

func (f fixed) Retrieve(ctx context.Context) (aws.Credentials, error) {
	if end := f.Value.Expires; f.Value.CanExpire && !end.After(time.Now()) {
		return aws.Credentials{}, badInput("export new keys, or use --profile, which renews itself", "the keys in the environment have expired, at %s (AWS_CREDENTIAL_EXPIRATION)", end.UTC().Format(time.RFC3339))
	}
	return f.StaticCredentialsProvider.Retrieve(ctx)
}

// longTermRole: keys without a session token are a user's; those with one may be anybody's.
func longTermRole(c aws.Credentials) tri {
	if c.SessionToken == "" {
		return no
	}
	return unknown
}

// fromProfile takes the part of a profile that counts. above are the sources that led here.
func (b *builder) fromProfile(p *config.SharedConfig, above []aws.CredentialSource) (c chain, err error) {
	c.sources, c.profile = above, p.Profile
	if p.Profile != "" {
		c.steps = []string{"profile " + p.Profile}
	}
	switch partOf(p) {
	case sourceProfile:
		steps := c.steps
		if c, err = b.fromProfile(p.Source, append(above, aws.CredentialSourceProfileSourceProfile)); err == nil {
			c.steps, c.profile = append(steps, c.steps...), p.Profile
		}
	case profileKeys:
		c.add("", longTermRole(p.Credentials), aws.CredentialSourceProfile)
		c.provider = newStored(p, profileFiles())
	case credentialSource:
		c.add("", unknown, aws.CredentialSourceProfileNamedProvider)
		err = b.fromNamed(&c, p)
	case profileTokenFile:
		c.add("web_identity_token_file", yes, aws.CredentialSourceProfileSTSWebIDToken)
		return b.fromTokenFile(c, p.WebIdentityTokenFile, p.RoleARN, "role_arn of profile "+p.Profile, "role_arn = ", p.RoleSessionName)
	case ssoSession, legacySSO:
		err = b.fromSSO(&c, p)
	case loginSession:
		err = b.fromLogin(&c, p)
	case processOf:
		c.add("credential_process", unknown, aws.CredentialSourceProfileProcess, aws.CredentialSourceProcess)
		c.provider = b.process("credential_process of profile "+p.Profile, p.CredentialProcess)
	default:
		c.profile = "" // it says nothing of credentials
		err = b.fromLastResort(&c, p.Profile)
	}
	if err == nil && p.RoleARN != "" {
		b.watch(&c)
		err = b.fromProfileRole(&c, p)
	}
	return c, err
}

func (c *chain) add(step string, role tri, sources ...aws.CredentialSource) {
	if step != "" {
		c.steps = append(c.steps, step)
	}
	c.role = role
	c.sources = append(c.sources[:len(c.sources):len(c.sources)], sources...)
}

// fromProfileRole puts a profile's own role on top, with its own settings.
func (b *builder) fromProfileRole(c *chain, p *config.SharedConfig) error {
	of := "profile " + p.Profile
	if err := checkRoleARN("role_arn of "+of, "role_arn = ", p.RoleARN); err != nil {
		return err
	}
	if err := checkName("role_session_name of "+of, p.RoleSessionName, 2, 64, ""); err != nil {
		return err
	}
	h := &hop{arn: p.RoleARN, name: p.RoleSessionName, externalID: p.ExternalID, durationFrom: "duration_seconds of " + of, durationHow: "duration_seconds = ", serial: p.MFASerial, serialFrom: "mfa_serial of " + of}
	if d := p.RoleDurationSeconds; d != nil {
		if h.duration = *d; *d == 0 { // the SDK reads a word as 0
			return badInput("duration_seconds = 3600", "duration_seconds of %s is no number of seconds", of)
		}
	}
	b.assume(c, h)
	return nil
}

// fromNamed is credential_source.
func (b *builder) fromNamed(c *chain, p *config.SharedConfig) error {
	switch p.CredentialSource {
	case "Ec2InstanceMetadata":
		return b.fromInstance(c, p.Profile)
	case "EcsContainer":
		if b.env.ContainerCredentialsRelativePath == "" && b.env.ContainerCredentialsEndpoint == "" {
			return badInput("it is for ECS and EKS: take source_profile elsewhere", "profile %s has credential_source = EcsContainer, but AWS_CONTAINER_CREDENTIALS_FULL_URI is not set", p.Profile)
		}
		return b.fromContainer(c)
	case "Environment":
		if !b.env.Credentials.HasKeys() {
			return badInput("export AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY", "profile %s has credential_source = Environment, but no keys are there", p.Profile)
		}
		c.add("environment variables", longTermRole(b.env.Credentials), aws.CredentialSourceHTTP) // sic: the SDK says HTTP
		c.provider = b.fixed(b.env.Credentials)
		return nil
	}
	return badInput("EcsContainer, Ec2InstanceMetadata or Environment", "profile %s: there is no credential_source %q", p.Profile, clip(p.CredentialSource))
}

// fromLastResort is the container endpoint, or else the instance.
func (b *builder) fromLastResort(c *chain, profile string) error {
	if b.env.ContainerCredentialsRelativePath != "" || b.env.ContainerCredentialsEndpoint != "" {
		return b.fromContainer(c)
	}
	return b.fromInstance(c, profile)
}

// fromInstance is IMDS, the SDK's last resort.
func (b *builder) fromInstance(c *chain, profile string) error {
	c.add("instance metadata", yes, aws.CredentialSourceIMDS)
	if off := b.env.EC2IMDSClientEnableState == imds.ClientDisabled; off {
		return b.nothing("instance metadata is off (AWS_EC2_METADATA_DISABLED)")
	}
	c.provider = newInstance(b)
	return nil
}

// nothing says where it was looked for credentials in vain.
func (b *builder) nothing(last string) error {
	files := profileFiles()
	where := strings.Join(files, " or ")
	if name := b.o.Profile; name != "" { // the environment's keys were left out of it
		hint := "aws configure sso --profile " + name
		if b.env.Credentials.HasKeys() {
			hint = "drop --profile to begin with the keys in the environment; AWS_PROFILE=" + name + " keeps its other settings"
		}
		return badInput(hint, "no AWS credentials in profile %s of %s, no container endpoint, and %s", name, where, last)
	}
	hint := "aws configure sso, or export AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; --sandbox needs none"
	if names, _ := profileNames(files); len(names) > 0 && b.shared.Profile == "" {
		hint = "--profile NAME; there are: " + strings.Join(names[:min(len(names), 8)], ", ")
	}
	return badInput(hint, "no AWS credentials: none in the environment, none in profile %s of %s, no container endpoint, and %s",
		firstOf(b.shared.Profile, "default"), where, last)
}
