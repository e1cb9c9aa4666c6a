package source

import (
	"cmp"
	"context"
	"crypto/fips140"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/ssocreds"
	"github.com/aws/aws-sdk-go-v2/service/sso"
	"github.com/aws/aws-sdk-go-v2/service/sso/types"
	"github.com/aws/aws-sdk-go-v2/service/ssooidc"

	"brs-exec/internal/source/problem"
)

// fromSSO begins with IAM Identity Center, by the token that `aws sso login` left in
// ~/.aws/sso/cache. logincache.go renews it.
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
	var cache string
	var err error
	fips140.WithoutEnforcement(func() { // the file's name is a SHA-1; GODEBUG may be meant for the command
		cache, err = ssocreds.StandardCachedTokenFilepath(key)
	})
	if err != nil {
		return problem.Bad("export HOME", "profile %s: SSO token cache: %v", p.Profile, err)
	}
	r := &ssoRole{client: sso.NewFromConfig(cfg), account: p.SSOAccountID, role: p.SSORoleName}
	if p.SSOSession != nil {
		r.oidc = ssooidc.NewFromConfig(cfg)
	}
	r.cache = b.newLogin(&loginCache{file: cache, log: b.o.Log, end: ssoEnd, renew: r.renew})
	b.loggedIn(c, &login{
		retrieve: r.retrieve, what: "SSO of profile " + p.Profile, cache: r.cache, until: ssoUntil,
		again: "aws sso login --profile " + p.Profile, role: p.SSORoleName + " in account " + p.SSOAccountID,
		host: "is sso_region = " + problem.Clip(cfg.Region) + " right, in the profile or its sso-session?",
	})
	return nil
}

// An ssoRole is one role in one account, for whoever has the access token.
type ssoRole struct {
	client        *sso.Client
	oidc          *ssooidc.Client // nil: there is no sso-session, so nothing renews the token
	cache         *loginCache
	account, role string
}

func (r *ssoRole) retrieve(ctx context.Context) (aws.Credentials, error) {
	token, late := r.cache.token(ctx)
	if token == nil {
		return aws.Credentials{}, late
	}
	access := token.text("accessToken")
	out, err := r.client.GetRoleCredentials(ctx,
		&sso.GetRoleCredentialsInput{AccessToken: &access, AccountId: &r.account, RoleName: &r.role})
	if err != nil {
		return aws.Credentials{}, err
	}
	c := cmp.Or(out.RoleCredentials, &types.RoleCredentials{}) // the caller checks that they are complete
	return aws.Credentials{
		AccessKeyID: aws.ToString(c.AccessKeyId), SecretAccessKey: aws.ToString(c.SecretAccessKey),
		SessionToken: aws.ToString(c.SessionToken), AccountID: r.account, Source: ssocreds.ProviderName,
		CanExpire: true, Expires: time.UnixMilli(c.Expiration).UTC(),
	}, late
}

// renew buys a new access token with the refresh token.
func (r *ssoRole) renew(ctx context.Context, f fields) (time.Duration, error) {
	refresh, id, secret := f.text("refreshToken"), f.text("clientId"), f.text("clientSecret")
	if r.oidc == nil || refresh == "" || id == "" || secret == "" {
		return 0, errLoginOver
	}
	out, err := r.oidc.CreateToken(ctx, &ssooidc.CreateTokenInput{
		ClientId: &id, ClientSecret: &secret, RefreshToken: &refresh, GrantType: aws.String("refresh_token"),
	})
	if err != nil {
		return 0, err
	}
	if aws.ToString(out.AccessToken) == "" {
		return 0, errNoKeys
	}
	life := time.Duration(out.ExpiresIn) * time.Second
	f.set("accessToken", *out.AccessToken)
	f.set("expiresAt", time.Now().Add(life).UTC().Format(time.RFC3339))
	if out.RefreshToken != nil {
		f.set("refreshToken", *out.RefreshToken)
	}
	return life, nil
}

func ssoEnd(f fields) time.Time {
	end, _ := parseTime(f.text("expiresAt"))
	if f.text("accessToken") == "" {
		return time.Time{}
	}
	return end
}

// ssoUntil returns when a person has to log in again: when the token ends, or the registration of
// the client that renews it.
func ssoUntil(f fields) time.Time {
	stated := f.text("expiresAt")
	if f.text("refreshToken") != "" {
		stated = f.text("registrationExpiresAt")
	}
	end, _ := parseTime(stated)
	return end
}

// hasSSO says whether p names a role in Identity Center. Its other SSO settings mean nothing
// without one.
func hasSSO(p *config.SharedConfig) bool { return p.SSOAccountID != "" || p.SSORoleName != "" }

// checkSSO names what is missing, as the SDK's own check does.
func checkSSO(p *config.SharedConfig) error {
	start, region := p.SSOStartURL, p.SSORegion
	if s := p.SSOSession; s != nil {
		start, region = s.SSOStartURL, s.SSORegion
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
