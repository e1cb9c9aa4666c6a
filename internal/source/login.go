package source

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"runtime"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/logincreds"
	"github.com/aws/aws-sdk-go-v2/service/signin"

	"brs-exec/internal/awsconfig"
	"brs-exec/internal/source/awserr"
	"brs-exec/internal/source/problem"
	"brs-exec/internal/source/stsapi"
)

// fromLogin begins with the console session that `aws login` left.
func (b *builder) fromLogin(c *chain, p *config.SharedConfig) error {
	c.add("aws login", false)
	cache, err := logincreds.StandardCachedTokenFilepath(p.LoginSession, b.vars["AWS_LOGIN_CACHE_DIRECTORY"])
	if err != nil {
		return problem.Bad("export HOME", "profile %s: login cache: %v", p.Profile, err)
	}
	provider := logincreds.New(signin.NewFromConfig(b.cfg), cache, func(o *logincreds.Options) {
		o.RestrictPermissions = b.cfg.RestrictFilePermissions != aws.RestrictFilePermissionsUnrestricted
	})
	b.loggedIn(c, &login{
		CredentialsProvider: provider, what: "login session of profile " + p.Profile,
		again: "aws login --profile " + p.Profile, cache: cache,
	})
	return nil
}

// A login is a token in a cache file that a person renews (`aws sso login`, `aws login`), and that
// every program of the user refreshes.
type login struct {
	aws.CredentialsProvider
	s           *Source
	what, again string
	cache       string
	role        string // that SSO is asked for; "": none
}

// loggedIn makes l the chain's base.
func (b *builder) loggedIn(c *chain, l *login) {
	l.s, c.provider = b.s, l
	b.s.untils = append(b.s.untils, l.until)
}

// Retrieve asks again if the cache has changed meanwhile. A refresh token is good once: of many
// programs that share the file the first one wins, and its result is in the file a moment later.
func (l *login) Retrieve(ctx context.Context) (aws.Credentials, error) {
	for _, pause := range []time.Duration{100 * time.Millisecond, 300 * time.Millisecond, 0} {
		before, err := l.content()
		if err != nil { // the SDK would read what has no end, too
			return aws.Credentials{}, l.explain(err)
		}
		creds, err := l.CredentialsProvider.Retrieve(ctx)
		if err == nil {
			if err = stsapi.CheckComplete(creds); err != nil {
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

func (l *login) content() (string, error) {
	data, err := awsconfig.Read(l.cache)
	return string(data), err
}

func (l *login) changes(ctx context.Context, before string, pause time.Duration) bool {
	if now, _ := l.content(); now != before {
		return true
	}
	select {
	case <-time.After(pause):
	case <-ctx.Done():
	}
	now, _ := l.content()
	return now != before
}

// explain says how err is cured. Logging in again cures what the SDK says of the token, but not a
// role that isn't the user's; what comes from the network may pass.
func (l *login) explain(err error) error {
	again := l.again
	// Once the command runs, aws would read our files in its terminal.
	if l.s.hasWorked.Load() && runtime.GOOS != "windows" {
		again = withoutOurFiles + l.again
	}
	e := &problem.Error{Err: err, Hint: again, Verdict: problem.Permanent}
	_, unread := errors.AsType[*fs.PathError](err)
	status := awserr.Status(err)
	code, message := awserr.Code(err)
	switch {
	case errors.Is(err, fs.ErrNotExist), strings.Contains(err.Error(), "token file not found"): // it has no type
		e.Text = l.what + ": nobody has logged in"
	case unread, errors.Is(err, awsconfig.ErrTooLarge):
		e.Text = l.what + ": " + err.Error()
		e.Hint = "make it readable for you, or log in anew: " + again
	case status == http.StatusForbidden && l.role != "":
		e.Text = l.what + ": no access to role " + l.role
		e.Hint = "aws sso list-account-roles shows yours; sso_account_id and sso_role_name of the profile choose"
	case status >= 500 || status == http.StatusTooManyRequests || status == 0 && awserr.FromNetwork(err):
		return l.s.explain(call{op: l.what}, err)
	case code != "" && message != "":
		e.Text = l.what + ": the login has expired or was ended (" + code + ": " + problem.FirstLine(message) + ")"
	case code != "":
		e.Text = l.what + ": the login has expired or was ended (" + code + ")"
	default:
		e.Text = l.what + ": the login has expired or is damaged"
	}
	return e
}

// until returns when a person has to log in again; zero if the cache doesn't say.
func (l *login) until() time.Time {
	var t struct {
		ExpiresAt             string `json:"expiresAt"`
		RefreshToken          string `json:"refreshToken"`
		RegistrationExpiresAt string `json:"registrationExpiresAt"`
	}
	content, _ := l.content()
	if json.Unmarshal([]byte(content), &t) != nil {
		return time.Time{}
	}
	stated := t.ExpiresAt
	if t.RefreshToken != "" {
		stated = t.RegistrationExpiresAt
	}
	end, _ := parseTime(stated)
	return end
}
