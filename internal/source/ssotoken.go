package source

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssooidc"

	"brs-exec/internal/awsconfig"
)

// ssoToken is the access token of Identity Center that `aws sso login` left in a file. It is
// refreshed when it has ended, and the new one goes into the file, since a refresh token is good
// once and other programs use it, too.
//
// The SDK's own reader of these files knows one form of a date, where older versions of the aws
// cli wrote another; and it throws the new token away if the file can't be written, as in a
// container with a read-only ~/.aws. Then the login would be over.
// https://docs.aws.amazon.com/sdkref/latest/guide/understanding-sso.html
type ssoToken struct {
	file string
	oidc *ssooidc.Client // nil: there is no sso-session, so nothing refreshes it
	log  *slog.Logger

	mu    sync.Mutex // guards the rest
	mine  *ssoLogin  // a refreshed token that could not be written to the file; nil: the file's counts
	saved string     // the file's content when it could not
}

// ssoLogin is the file. rest holds the fields that we don't know, which stay.
type ssoLogin struct {
	access, refresh, clientID, clientSecret string
	expires                                 time.Time
	rest                                    map[string]json.RawMessage
}

var (
	errNoLogin   = errors.New("the login is damaged")
	errLoginOver = errors.New("the login has expired")
)

// retrieve returns the access token.
func (t *ssoToken) retrieve(ctx context.Context) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	content, err := awsconfig.Read(t.file)
	if err != nil && t.mine == nil {
		return "", err
	}
	login := t.mine
	if login == nil || string(content) != t.saved { // somebody has logged in, or refreshed it
		if login, err = parseSSOLogin(content); err != nil {
			return "", err
		}
		t.mine = nil
	}
	if !time.Now().Before(login.expires) {
		if err := t.renew(ctx, login); err != nil {
			return "", err
		}
		t.save(login, string(content))
	}
	return login.access, nil
}

func parseSSOLogin(content []byte) (*ssoLogin, error) {
	l := &ssoLogin{}
	if json.Unmarshal(content, &l.rest) != nil {
		return nil, errNoLogin
	}
	var expires string
	for name, to := range map[string]*string{
		"accessToken": &l.access, "expiresAt": &expires, "refreshToken": &l.refresh,
		"clientId": &l.clientID, "clientSecret": &l.clientSecret,
	} {
		json.Unmarshal(l.rest[name], to) // what is no string is as if it were missing
	}
	var ok bool
	if l.expires, ok = parseTime(expires); !ok || l.access == "" {
		return nil, errNoLogin
	}
	return l, nil
}

// renew buys a new access token with the refresh token.
func (t *ssoToken) renew(ctx context.Context, l *ssoLogin) error {
	if t.oidc == nil || l.refresh == "" || l.clientID == "" || l.clientSecret == "" {
		return errLoginOver
	}
	out, err := t.oidc.CreateToken(ctx, &ssooidc.CreateTokenInput{
		ClientId: &l.clientID, ClientSecret: &l.clientSecret,
		RefreshToken: &l.refresh, GrantType: aws.String("refresh_token"),
	})
	if err != nil {
		return err
	}
	l.access, l.expires = aws.ToString(out.AccessToken), time.Now().Add(time.Duration(out.ExpiresIn)*time.Second)
	if out.RefreshToken != nil {
		l.refresh = *out.RefreshToken
	}
	for name, value := range map[string]string{
		"accessToken": l.access, "refreshToken": l.refresh, "expiresAt": l.expires.UTC().Format(time.RFC3339),
	} {
		l.rest[name], _ = json.Marshal(value)
	}
	return nil
}

// save replaces the file. Where that can't be done the token is kept here: it is the only one now.
func (t *ssoToken) save(l *ssoLogin, content string) {
	data, err := json.Marshal(l.rest)
	if err == nil {
		err = replaceFile(t.file, data)
	}
	if err == nil {
		return
	}
	if t.mine == nil {
		t.log.Warn("the refreshed login can't be written: other programs have to log in anew", "file", t.file,
			"error", err)
	}
	t.mine, t.saved = l, content
}

// replaceFile writes a file that no reader sees half of. It has the mode of the one before.
func replaceFile(name string, data []byte) error {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(info.Mode().Perm()), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}
