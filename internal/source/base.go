package source

import (
	"context"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"
	"github.com/aws/aws-sdk-go-v2/credentials/logincreds"
	"github.com/aws/aws-sdk-go-v2/credentials/ssocreds"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/aws/aws-sdk-go-v2/service/signin"
	"github.com/aws/aws-sdk-go-v2/service/sso"
	"github.com/aws/aws-sdk-go-v2/service/ssooidc"
)

// base chooses as config.resolveCredentialChain does: a profile that was asked for by name, the environment's keys, its
// token file, then AWS_PROFILE or the default profile, the container endpoint, the instance.
func (b *builder) base() (chain, error) {
	switch {
	case b.o.Base != nil:
		return chain{provider: b.o.Base, steps: []string{"given keys"}}, nil
	case b.o.Profile != "":
		return b.fromProfile(&b.shared, nil)
	case b.roleWithoutToken():
		return chain{}, badInput(`--role-arn "$AWS_ROLE_ARN"`, "AWS_ROLE_ARN is set, but neither AWS_WEB_IDENTITY_TOKEN_FILE nor --role-arn")
	case b.env.Credentials.HasKeys():
		return chain{
			provider: credentials.StaticCredentialsProvider{Value: b.env.Credentials},
			steps:    []string{"environment variables"}, sources: []aws.CredentialSource{aws.CredentialSourceEnvVars},
			role: longTermRole(b.env.Credentials),
		}, nil
	case b.env.WebIdentityTokenFilePath != "":
		return b.fromTokenFile(chain{
			steps: []string{"AWS_WEB_IDENTITY_TOKEN_FILE"}, sources: []aws.CredentialSource{aws.CredentialSourceEnvVarsSTSWebIDToken},
		}, &webIdentity{file: b.env.WebIdentityTokenFilePath, arn: b.env.RoleARN, arnFrom: "AWS_ROLE_ARN"})
	}
	return b.fromProfile(&b.shared, nil)
}

// roleWithoutToken: someone expects to be that role, and no SDK will make it so.
func (b *builder) roleWithoutToken() bool {
	return b.env.RoleARN != "" && b.env.WebIdentityTokenFilePath == "" && len(b.o.RoleARNs) == 0
}

// longTermRole: keys without a session token are a user's; those with one may be anybody's.
func longTermRole(c aws.Credentials) tri {
	if c.SessionToken == "" {
		return no
	}
	return unknown
}

// fromProfile follows config.resolveCredsFromProfile, case for case. above are the sources that led here.
func (b *builder) fromProfile(p *config.SharedConfig, above []aws.CredentialSource) (c chain, err error) {
	c.sources = above
	if p.Profile != "" {
		c.steps = []string{"profile " + p.Profile}
	}
	switch {
	case p.Source != nil:
		steps := c.steps
		if c, err = b.fromProfile(p.Source, append(above, aws.CredentialSourceProfileSourceProfile)); err == nil {
			c.steps = append(steps, c.steps...)
		}
	case p.Credentials.HasKeys():
		c.add("", longTermRole(p.Credentials), aws.CredentialSourceProfile)
		c.provider = credentials.StaticCredentialsProvider{Value: p.Credentials}
	case p.CredentialSource != "":
		c.add("", unknown, aws.CredentialSourceProfileNamedProvider)
		err = b.fromNamed(&c, p)
	case p.WebIdentityTokenFile != "":
		c.add("web_identity_token_file", yes, aws.CredentialSourceProfileSTSWebIDToken)
		return b.fromTokenFile(c, &webIdentity{file: p.WebIdentityTokenFile, arn: p.RoleARN, arnFrom: "role_arn of profile " + p.Profile, name: p.RoleSessionName})
	case hasSSO(p):
		err = b.fromSSO(&c, p)
	case p.LoginSession != "":
		err = b.fromLogin(&c, p)
	case p.CredentialProcess != "":
		c.add("credential_process", unknown, aws.CredentialSourceProfileProcess, aws.CredentialSourceProcess)
		c.provider = b.process(p.CredentialProcess, "credential_process of profile "+p.Profile)
	case b.env.ContainerCredentialsRelativePath != "" || b.env.ContainerCredentialsEndpoint != "":
		err = b.fromContainer(&c)
	default:
		err = b.fromInstance(&c, p.Profile)
	}
	if err == nil && p.RoleARN != "" {
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
	if err := checkRoleARN("role_arn of "+of, p.RoleARN); err != nil {
		return err
	}
	if err := checkName("role_session_name of "+of, p.RoleSessionName, 2, 64, ""); err != nil {
		return err
	}
	h := &hop{arn: p.RoleARN, name: p.RoleSessionName, externalID: p.ExternalID, durationFrom: "duration_seconds of " + of}
	if d := p.RoleDurationSeconds; d != nil {
		if h.duration = *d; *d == 0 { // the SDK reads a word as 0
			return badInput("duration_seconds = 3600", "duration_seconds of %s is no number of seconds", of)
		}
	}
	if p.MFASerial != "" {
		return badInput("", "%s: mfa_serial is not supported yet", of)
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
			return badInput("", "profile %s has credential_source = EcsContainer, but AWS_CONTAINER_CREDENTIALS_FULL_URI is not set", p.Profile)
		}
		return b.fromContainer(c)
	case "Environment":
		if !b.env.Credentials.HasKeys() {
			return badInput("export AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY", "profile %s has credential_source = Environment, but no keys are there", p.Profile)
		}
		c.add("environment variables", longTermRole(b.env.Credentials), aws.CredentialSourceHTTP) // sic: the SDK says HTTP
		c.provider = credentials.StaticCredentialsProvider{Value: b.env.Credentials}
		return nil
	}
	return badInput("EcsContainer, Ec2InstanceMetadata or Environment", "profile %s: there is no credential_source %q", p.Profile, clip(p.CredentialSource))
}

func hasSSO(p *config.SharedConfig) bool {
	return p.SSOSessionName != "" || hasLegacySSO(p)
}

func hasLegacySSO(p *config.SharedConfig) bool {
	return p.SSORegion != "" || p.SSOAccountID != "" || p.SSOStartURL != "" || p.SSORoleName != ""
}

// fromSSO is IAM Identity Center: the token that `aws sso login` left in ~/.aws/sso/cache.
func (b *builder) fromSSO(c *chain, p *config.SharedConfig) error {
	c.add("sso", yes)
	if hasLegacySSO(p) {
		c.add("", yes, aws.CredentialSourceProfileSSOLegacy, aws.CredentialSourceSSOLegacy)
	} else {
		c.add("", yes, aws.CredentialSourceSSO)
	}
	cfg, key, region := b.cfg.Copy(), p.SSOStartURL, p.SSORegion
	if p.SSOSession != nil {
		c.add("", yes, aws.CredentialSourceProfileSSO)
		key, region = p.SSOSession.Name, p.SSOSession.SSORegion
	}
	if err := checkSSO(p); err != nil {
		return err
	}
	cfg.Region = region
	path, err := ssocreds.StandardCachedTokenFilepath(key)
	if err != nil {
		return badInput("export HOME", "profile %s: SSO token cache: %v", p.Profile, err)
	}
	provider := ssocreds.New(sso.NewFromConfig(cfg), p.SSOAccountID, p.SSORoleName, p.SSOStartURL, func(o *ssocreds.Options) {
		o.CachedTokenFilepath = path
		if p.SSOSession != nil {
			o.SSOTokenProvider = ssocreds.NewSSOTokenProvider(ssooidc.NewFromConfig(cfg), path)
		}
	})
	c.provider = b.named("SSO of profile "+p.Profile, "aws sso login --profile "+p.Profile, provider)
	return nil
}

// checkSSO names what is missing, as the SDK's own check does.
func checkSSO(p *config.SharedConfig) error {
	of, start, region := "profile "+p.Profile, p.SSOStartURL, p.SSORegion
	if p.SSOSession != nil {
		start, region = p.SSOSession.SSOStartURL, p.SSOSession.SSORegion
		if p.SSORegion != "" && p.SSORegion != region || p.SSOStartURL != "" && p.SSOStartURL != start {
			return badInput("drop sso_region and sso_start_url from the profile", "%s and its sso-session %s differ in sso_region or sso_start_url", of, p.SSOSession.Name)
		}
	}
	var missing []string
	for _, f := range []struct{ key, value string }{
		{"sso_start_url", start}, {"sso_region", region}, {"sso_account_id", p.SSOAccountID}, {"sso_role_name", p.SSORoleName},
	} {
		if f.value == "" {
			missing = append(missing, f.key)
		}
	}
	if len(missing) > 0 {
		return badInput("aws configure sso --profile "+p.Profile, "%s is for SSO, but has no %s", of, strings.Join(missing, ", "))
	}
	return nil
}

// fromLogin is the console session that `aws login` left.
func (b *builder) fromLogin(c *chain, p *config.SharedConfig) error {
	c.add("aws login", unknown, aws.CredentialSourceProfileLogin, aws.CredentialSourceLogin)
	path, err := logincreds.StandardCachedTokenFilepath(p.LoginSession, os.Getenv("AWS_LOGIN_CACHE_DIRECTORY"))
	if err != nil {
		return badInput("export HOME", "profile %s: login cache: %v", p.Profile, err)
	}
	provider := logincreds.New(signin.NewFromConfig(b.cfg), path, func(o *logincreds.Options) {
		o.RestrictPermissions = b.cfg.RestrictFilePermissions != aws.RestrictFilePermissionsUnrestricted
	})
	c.provider = b.named("login session of profile "+p.Profile, "aws login --profile "+p.Profile, provider)
	return nil
}

// fromContainer is ECS, EKS Pod Identity, or a brs-exec outside this one.
func (b *builder) fromContainer(c *chain) error {
	c.add("container endpoint", unknown, aws.CredentialSourceHTTP)
	endpoint := b.env.ContainerCredentialsEndpoint
	if path := b.env.ContainerCredentialsRelativePath; path != "" {
		endpoint = "http://169.254.170.2" + path
	} else if err := checkContainer(endpoint); err != nil {
		return err
	}
	provider := endpointcreds.New(endpoint, func(o *endpointcreds.Options) {
		o.HTTPClient, o.Retryer, o.APIOptions = b.http, aws.NopRetryer{}, b.cfg.APIOptions
		o.AuthorizationToken = b.env.ContainerAuthorizationToken
		if file := os.Getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"); file != "" {
			o.AuthorizationTokenProvider = endpointcreds.TokenProviderFunc(func() (string, error) { return readToken(file) })
		}
	})
	c.provider = b.named("container credentials", "", provider)
	return nil
}

// readToken reads at every request: EKS rotates the file.
func readToken(file string) (string, error) {
	token, err := os.ReadFile(file)
	if err != nil {
		return "", badInput("", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: %v", err)
	}
	return string(token), nil
}

// checkContainer allows http to the hosts that the SDK allows: this one's, ECS's and EKS's.
func checkContainer(endpoint string) error {
	const variable = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
	u, err := url.Parse(endpoint)
	if err != nil || u.Hostname() == "" {
		return badInput("", "%s is no URL", variable)
	}
	if u.Scheme != "http" || containerHost(u.Hostname()) {
		return nil
	}
	return badInput("https, or a loopback address", "%s: http to %s, which is neither this machine nor ECS nor EKS", variable, u.Hostname())
}

func containerHost(host string) bool {
	addrs := []string{host}
	if _, err := netip.ParseAddr(host); err != nil {
		if addrs, err = net.LookupHost(host); err != nil {
			return false
		}
	}
	for _, a := range addrs {
		ip, err := netip.ParseAddr(a)
		if err != nil || !ip.IsLoopback() && a != "169.254.170.2" && a != "169.254.170.23" && ip != netip.MustParseAddr("fd00:ec2::23") {
			return false
		}
	}
	return len(addrs) > 0
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
	files := profileFiles(&b.env)
	profile := firstOf(b.shared.Profile, "default")
	hint := "aws configure sso, or export AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; --sandbox needs none"
	if names, _ := profileNames(files); len(names) > 0 && b.shared.Profile == "" {
		hint = "--profile NAME; there are: " + strings.Join(names[:min(len(names), 8)], ", ")
	}
	return badInput(hint, "no AWS credentials: none in the environment, none in profile %s of %s, no container endpoint, and %s",
		profile, strings.Join(files, " or "), last)
}

// A named provider's errors say what was asked.
type named struct {
	aws.CredentialsProvider
	s        *Source
	op, hint string
}

func (b *builder) named(op, hint string, p aws.CredentialsProvider) aws.CredentialsProvider {
	return named{p, b.s, op, hint}
}

func (n named) Retrieve(ctx context.Context) (aws.Credentials, error) {
	creds, err := n.CredentialsProvider.Retrieve(ctx)
	if err != nil {
		return aws.Credentials{}, n.s.explain(call{op: n.op, hint: n.hint}, err)
	}
	return creds, nil
}
