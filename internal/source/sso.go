package source

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/ssocreds"
	"github.com/aws/aws-sdk-go-v2/service/sso"
	"github.com/aws/aws-sdk-go-v2/service/ssooidc"

	"brs-exec/internal/source/problem"
)

// fromSSO begins with IAM Identity Center: the token that `aws sso login` left in ~/.aws/sso/cache,
// refreshed by the SDK.
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
	options := func(o *ssocreds.Options) {
		o.CachedTokenFilepath = cache
		if p.SSOSession != nil {
			o.SSOTokenProvider = ssocreds.NewSSOTokenProvider(ssooidc.NewFromConfig(cfg), cache)
		}
	}
	provider := ssocreds.New(sso.NewFromConfig(cfg), p.SSOAccountID, p.SSORoleName, p.SSOStartURL, options)
	b.loggedIn(c, &login{
		CredentialsProvider: provider, what: "SSO of profile " + p.Profile, cache: cache,
		again: "aws sso login --profile " + p.Profile, role: p.SSORoleName + " in account " + p.SSOAccountID,
	})
	return nil
}

// hasLegacySSO says whether p has the SSO settings of a time before sso-session sections.
func hasLegacySSO(p *config.SharedConfig) bool {
	return p.SSORegion != "" || p.SSOAccountID != "" || p.SSOStartURL != "" || p.SSORoleName != ""
}

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
