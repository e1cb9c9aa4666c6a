package source

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"runtime"
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

// fromLogin begins with the console session that `aws login` left in ~/.aws/login/cache.
// signin.go renews it.
func (b *builder) fromLogin(c *chain, p *config.SharedConfig) error {
	c.add("aws login", false)
	file, err := logincreds.StandardCachedTokenFilepath(p.LoginSession, b.vars["AWS_LOGIN_CACHE_DIRECTORY"])
	if err != nil {
		return problem.Bad("export HOME", "profile %s: login cache: %v", p.Profile, err)
	}
	session := &consoleSession{client: signin.NewFromConfig(b.cfg), begun: time.Now()}
	session.cache = b.newLogin(&loginCache{file: file, log: b.o.Log, end: consoleEnd, renew: session.renew})
	b.loggedIn(c, &login{
		retrieve: session.retrieve, what: "login session of profile " + p.Profile,
		again: "aws login --profile " + p.Profile, cache: session.cache, until: session.until,
	})
	return nil
}

// A login is a token in a cache file that a person makes anew (`aws sso login`, `aws login`), and
// that every program of the user renews.
type login struct {
	// retrieve may return credentials with an error: they can't be renewed for now.
	retrieve    func(context.Context) (aws.Credentials, error)
	until       func(fields) time.Time // when a person has to log in again; zero: that isn't known
	s           *Source
	what, again string
	cache       *loginCache
	role        string // that SSO is asked for; "": none
	host        string // what to type if the host isn't there; "": as of STS
	late        bool   // it was told that it can't be renewed
}

// loggedIn makes l the chain's base.
func (b *builder) loggedIn(c *chain, l *login) {
	l.s, c.provider = b.s, l
	b.s.untils = append(b.s.untils, l.ends)
}

// ends is for RenewableUntil.
func (l *login) ends() time.Time {
	var f fields
	content, _ := awsconfig.Read(l.cache.file)
	if json.Unmarshal(content, &f) != nil {
		return time.Time{}
	}
	return l.until(f)
}

// Retrieve asks again if the file has changed meanwhile.
func (l *login) Retrieve(ctx context.Context) (aws.Credentials, error) {
	for _, patience := range []time.Duration{100 * time.Millisecond, 300 * time.Millisecond, 0} {
		creds, err := l.retrieve(ctx)
		if err == nil || creds.HasKeys() {
			if e := stsapi.CheckComplete(creds); e != nil {
				return aws.Credentials{}, l.s.explain(call{op: l.what}, e)
			}
		}
		if err == nil {
			l.late = false
			return creds, nil
		}
		refused := l.explain(err)
		if Permanent(refused) && !errors.Is(err, fs.ErrNotExist) && patience > 0 && l.cache.changes(ctx, patience) {
			continue
		}
		if creds.HasKeys() {
			l.tellLate(refused)
			return creds, nil
		}
		return aws.Credentials{}, refused
	}
	panic("unreachable: the last round returns")
}

// tellLate warns once, while there is time, that the login can't be renewed.
func (l *login) tellLate(e *problem.Error) {
	if !l.late {
		l.late = true
		l.s.log.Warn("the login can't be refreshed for now, it is used to its end", "error", e.Error(), "hint", e.Hint)
	}
}

// explain says how err is cured. Logging in again cures what the SDK says of the token, but not a
// role that isn't the user's; what comes from the network may pass.
func (l *login) explain(err error) *problem.Error {
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
	case errors.Is(err, fs.ErrNotExist):
		e.Text = l.what + ": nobody has logged in"
	case unread, errors.Is(err, awsconfig.ErrTooLarge):
		e.Text = l.what + ": " + err.Error()
		e.Hint = "make it readable for you, or log in anew: " + again
	case status == http.StatusForbidden && l.role != "":
		e.Text = l.what + ": no access to role " + l.role
		e.Hint = "aws sso list-account-roles shows yours; sso_account_id and sso_role_name of the profile choose"
	case errors.Is(err, errNoKeys), status >= 500, status == http.StatusTooManyRequests,
		status == 0 && awserr.FromNetwork(err):
		return l.s.explain(call{op: l.what, host: l.host}, err)
	case code != "" && message != "":
		e.Text = l.what + ": the login has expired or was ended (" + code + ": " + problem.FirstLine(message) + ")"
	case code != "":
		e.Text = l.what + ": the login has expired or was ended (" + code + ")"
	default:
		e.Text = l.what + ": the login has expired or is damaged"
	}
	return e
}
