package source

import (
	"context"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/ssocreds"
	"github.com/aws/aws-sdk-go-v2/service/sso"
	"github.com/aws/aws-sdk-go-v2/service/ssooidc"

	"brs-exec/internal/source/problem"
)

// fromSSO begins with IAM Identity Center, by the token that `aws sso login` left in
// ~/.aws/sso/cache. ssotoken.go refreshes it.
func (b *builder) fromSSO(c *chain, p *config.SharedConfig) error {
	c.add("sso", true)
	if err := checkSSO(p); err != nil {
		return err
	}
	cfg, key := b.cfg.Copy(), p.SSOStartURL
	cfg.Region = p.SSORegion
	if p.SSOSession != nil {
		key, cfg.Region = p.SSOSession.Name, p.SSOSession.SSORegion
	}
	cache, err := ssocreds.StandardCachedTokenFilepath(key)
	if err != nil {
		return problem.Bad("export HOME", "profile %s: SSO token cache: %v", p.Profile, err)
	}
	token := &ssoToken{file: cache, log: b.o.Log}
	if p.SSOSession != nil {
		token.oidc = ssooidc.NewFromConfig(cfg)
	}
	provider := &ssoRole{client: sso.NewFromConfig(cfg), token: token, account: p.SSOAccountID, role: p.SSORoleName}
	b.loggedIn(c, &login{
		CredentialsProvider: provider, what: "SSO of profile " + p.Profile, cache: cache,
		again: "aws sso login --profile " + p.Profile, role: p.SSORoleName + " in account " + p.SSOAccountID,
	})
	return nil
}

// An ssoRole is one role in one account, for whoever has the access token.
type ssoRole struct {
	client        *sso.Client
	token         *ssoToken
	account, role string
}

func (r *ssoRole) Retrieve(ctx context.Context) (aws.Credentials, error) {
	token, err := r.token.retrieve(ctx)
	if err != nil {
		return aws.Credentials{}, err
	}
	out, err := r.client.GetRoleCredentials(ctx,
		&sso.GetRoleCredentialsInput{AccessToken: &token, AccountId: &r.account, RoleName: &r.role})
	if err != nil || out.RoleCredentials == nil {
		return aws.Credentials{}, err // the caller checks that they are complete
	}
	c := out.RoleCredentials
	return aws.Credentials{
		AccessKeyID: aws.ToString(c.AccessKeyId), SecretAccessKey: aws.ToString(c.SecretAccessKey),
		SessionToken: aws.ToString(c.SessionToken), AccountID: r.account, Source: ssocreds.ProviderName,
		CanExpire: true, Expires: time.UnixMilli(c.Expiration).UTC(),
	}, nil
}

// hasSSO says whether p names a role in Identity Center. Its other SSO settings mean nothing
// without one.
func hasSSO(p *config.SharedConfig) bool { return p.SSOAccountID != "" || p.SSORoleName != "" }

// checkSSO names what is missing, as the SDK's own check does.
func checkSSO(p *config.SharedConfig) error {
	start, region := p.SSOStartURL, p.SSORegion
	if s := p.SSOSession; s != nil {
		start, region = s.SSOStartURL, s.SSORegion
		if p.SSORegion != "" && p.SSORegion != region || p.SSOStartURL != "" && p.SSOStartURL != start {
			return problem.Bad("drop sso_region and sso_start_url from the profile",
				"profile %s and its sso-session %s differ in sso_region or sso_start_url", p.Profile, s.Name)
		}
	}
	var missing []string
	for _, f := range []struct{ key, value string }{
		{"sso_start_url", start}, {"sso_region", region},
		{"sso_account_id", p.SSOAccountID}, {"sso_role_name", p.SSORoleName},
	} {
		if f.value == "" {
			missing = append(missing, f.key)
		}
	}
	if len(missing) > 0 {
		return problem.Bad("aws configure sso --profile "+p.Profile,
			"profile %s is for SSO, but has no %s", p.Profile, strings.Join(missing, ", "))
	}
	return nil
}
