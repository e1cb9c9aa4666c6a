package source

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/logincreds"
	"github.com/aws/aws-sdk-go-v2/credentials/ssocreds"
	"github.com/aws/aws-sdk-go-v2/service/signin"
	"github.com/aws/aws-sdk-go-v2/service/sso"
	"github.com/aws/aws-sdk-go-v2/service/ssooidc"
)

func hasLegacySSO(p *config.SharedConfig) bool {
	return p.SSORegion != "" || p.SSOAccountID != "" || p.SSOStartURL != "" || p.SSORoleName != ""
}

// fromSSO is IAM Identity Center: the token that `aws sso login` left in ~/.aws/sso/cache, refreshed by the SDK.
func (b *builder) fromSSO(c *chain, p *config.SharedConfig) error {
	c.add("sso", yes, ssoSources(p)...)
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
		return badInput("export HOME", "profile %s: SSO token cache: %v", p.Profile, err)
	}
	provider := ssocreds.New(sso.NewFromConfig(cfg), p.SSOAccountID, p.SSORoleName, p.SSOStartURL, func(o *ssocreds.Options) {
		o.CachedTokenFilepath = cache
		if p.SSOSession != nil {
			o.SSOTokenProvider = ssocreds.NewSSOTokenProvider(ssooidc.NewFromConfig(cfg), cache)
		}
	})
	c.provider = b.login(&login{
		CredentialsProvider: provider, s: b.s, what: "SSO of profile " + p.Profile, again: "aws sso login --profile " + p.Profile,
		cache: cache, role: p.SSORoleName + " in account " + p.SSOAccountID,
	})
	return nil
}

func ssoSources(p *config.SharedConfig) (sources []aws.CredentialSource) {
	if hasLegacySSO(p) {
		sources = append(sources, aws.CredentialSourceProfileSSOLegacy, aws.CredentialSourceSSOLegacy)
	} else {
		sources = append(sources, aws.CredentialSourceSSO)
	}
	if p.SSOSession != nil {
		sources = append(sources, aws.CredentialSourceProfileSSO)
	}
	return sources
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
	cache, err := logincreds.StandardCachedTokenFilepath(p.LoginSession, os.Getenv("AWS_LOGIN_CACHE_DIRECTORY"))
	if err != nil {
		return badInput("export HOME", "profile %s: login cache: %v", p.Profile, err)
	}
	provider := logincreds.New(signin.NewFromConfig(b.cfg), cache, func(o *logincreds.Options) {
		o.RestrictPermissions = b.cfg.RestrictFilePermissions != aws.RestrictFilePermissionsUnrestricted
	})
	c.provider = b.login(&login{
		CredentialsProvider: provider, s: b.s, what: "login session of profile " + p.Profile, again: "aws login --profile " + p.Profile, cache: cache,
	})
	return nil
}

// A login is a token in a cache file that a person renews, and that every program of the user refreshes.
type login struct {
	aws.CredentialsProvider
	s           *Source
	what, again string
	cache       string
	role        string
}

func (b *builder) login(l *login) *login {
	b.s.untils = append(b.s.untils, l.until)
	return l
}

// Retrieve asks again if the cache changed meanwhile: a refresh token is good once, and of many programs that share the
// file the first one wins; its result is in the file a moment later.
func (l *login) Retrieve(ctx context.Context) (aws.Credentials, error) {
	for _, pause := range []time.Duration{100 * time.Millisecond, 300 * time.Millisecond, 0} {
		before := l.content()
		creds, err := l.CredentialsProvider.Retrieve(ctx)
		if err == nil {
			if err = whole(creds); err != nil {
				return aws.Credentials{}, l.s.explain(call{op: l.what}, err)
			}
			return creds, nil
		}
		if err = l.explain(err); !Permanent(err) || pause == 0 || before == "" || !l.changes(ctx, before, pause) {
			return aws.Credentials{}, err
		}
	}
	panic("unreachable: the last round returns")
}

func (l *login) content() string {
	data, _ := os.ReadFile(l.cache)
	return string(data)
}

func (l *login) changes(ctx context.Context, before string, pause time.Duration) bool {
	if l.content() != before {
		return true
	}
	select {
	case <-time.After(pause):
	case <-ctx.Done():
	}
	return l.content() != before
}

// explain: what the SDK says of the token is one of two things, and both are cured by logging in.
func (l *login) explain(err error) error {
	p := &problem{err: err, hints: []string{l.again}, permanent: true}
	status := httpStatus(err)
	code, message := apiError(err)
	switch {
	case errors.Is(err, fs.ErrNotExist) || strings.Contains(err.Error(), "token file not found"):
		p.text = l.what + ": nobody has logged in"
	case status == http.StatusForbidden && l.role != "":
		p.text = l.what + ": no access to role " + l.role
		p.hints = []string{"aws sso list-account-roles shows yours; sso_account_id and sso_role_name of the profile choose"}
	case status >= 500 || status == http.StatusTooManyRequests || status == 0 && fromNetwork(err):
		return l.s.explain(call{op: l.what}, err)
	case code != "":
		p.text = l.what + ": the login has expired or was ended (" + code + detail(message) + ")"
	default:
		p.text = l.what + ": the login has expired or is damaged"
	}
	return p
}

func detail(message string) string {
	if message == "" {
		return ""
	}
	return ": " + firstLine(message)
}

// fromNetwork: the error came from a connection or a deadline, not from a file or a check.
func fromNetwork(err error) bool {
	var c interface{ ConnectionError() bool }
	return errors.As(err, &c) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// until is when a person has to log in again.
func (l *login) until() time.Time {
	var t struct {
		ExpiresAt             time.Time `json:"expiresAt"`
		RefreshToken          string    `json:"refreshToken"`
		RegistrationExpiresAt time.Time `json:"registrationExpiresAt"`
	}
	if json.Unmarshal([]byte(l.content()), &t) != nil {
		return time.Time{}
	}
	if t.RefreshToken != "" {
		return t.RegistrationExpiresAt
	}
	return t.ExpiresAt
}
