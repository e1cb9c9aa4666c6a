package source

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"

	"brs-exec/internal/awsconfig"
	"brs-exec/internal/source/awserr"
	"brs-exec/internal/source/problem"
)

// profileKeys are the keys that stand in a profile. Other programs put them there, and renew them
// there (saml2aws, okta-awscli, a brs-exec that delivers a file): they are read again whenever they
// are asked for. If the profile has none any more, or can't be read, those that were read last
// stay.
type profileKeys struct {
	s       *Source
	profile string
	files   awsconfig.Paths

	inCredentials bool // they are in the credentials file: those in the other file may be another's

	mu   sync.Mutex // guards the rest
	read bool       // keys have been asked for
	keys aws.Credentials
	past time.Time // the end that the profile states, if it has passed
}

func (b *builder) newProfileKeys(p *config.SharedConfig) *profileKeys {
	k := &profileKeys{s: b.s, profile: p.Profile, files: b.files, keys: p.Credentials,
		inCredentials: keysInCredentials(b.identity, p.Profile)}
	k.setEnd(b.identity)
	b.s.doubts = append(b.s.doubts, k.doubt)
	return k
}

// doubt is for Doubt: that another program will renew the keys is only a hope.
func (k *profileKeys) doubt(end time.Time) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch keys := k.keys; {
	case keys.SessionToken == "" || keys.CanExpire && keys.Expires.After(end):
		return ""
	case keys.CanExpire:
		return fmt.Sprintf("the keys in profile %s end at %s, and whether they are refreshed there isn't known",
			k.profile, keys.Expires.UTC().Format(time.RFC3339))
	}
	return fmt.Sprintf("the keys in profile %s don't say when they end", k.profile)
}

func (k *profileKeys) Retrieve(ctx context.Context) (aws.Credentials, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	first := !k.read
	if !first {
		k.readAgain()
	}
	k.read = true
	if end := k.keys.Expires; k.keys.CanExpire && !end.After(time.Now()) {
		return aws.Credentials{}, k.expired(end)
	}
	if err := k.checkPast(ctx, first); err != nil {
		return aws.Credentials{}, err
	}
	return k.keys, nil
}

func (k *profileKeys) expired(end time.Time) *problem.Error {
	text := fmt.Sprintf("the keys in profile %s have expired, at %s", k.profile, end.UTC().Format(time.RFC3339))
	return &problem.Error{Text: text, Hint: "refresh them there: it is noticed"}
}

// checkPast asks STS about keys whose stated end has passed. That end may be of keys which were
// there before: not every program that writes keys there rewrites that line. At the start keys that
// have expired are a permanent error: a run doesn't wait for new ones.
func (k *profileKeys) checkPast(ctx context.Context, first bool) error {
	if k.past.IsZero() {
		return nil
	}
	_, _, _, err := k.s.sts.CallerIdentity(ctx, k.keys)
	if err == nil {
		return nil
	}
	if code, _ := awserr.Code(err); code != "ExpiredToken" {
		by := "profile " + k.profile
		return k.s.explain(call{op: "ask whether the keys in " + by + " have expired", by: by, keys: k.keys}, err)
	}
	over := k.expired(k.past)
	if first {
		over.Hint, over.Verdict = "refresh them there", problem.Permanent
	}
	return over
}

// readAgain takes what is new in the file.
func (k *profileKeys) readAgain() {
	identity, err := k.files.ReadIdentity()
	if err != nil {
		return
	}
	if keysInCredentials(identity, k.profile) != k.inCredentials {
		return
	}
	p := settingsOfProfile(identity, k.profile)
	if readKeys(identity, &p) != nil || !p.Credentials.HasKeys() {
		return
	}
	now, old := p.Credentials, k.keys
	old.CanExpire, old.Expires = false, time.Time{} // that is ours
	if now != old && !halfWritten(old, now) {
		k.keys = now
		k.setEnd(identity)
	}
}

// halfWritten reports whether now is old with a part of it replaced, as between two `aws configure
// set`. A secret alone may be one that was mistyped.
func halfWritten(old, now aws.Credentials) bool {
	id, secret := now.AccessKeyID != old.AccessKeyID, now.SecretAccessKey != old.SecretAccessKey
	if old.SessionToken == "" || now.SessionToken == "" {
		return id && !secret
	}
	return !id || !secret || now.SessionToken == old.SessionToken
}

// setEnd takes the end of a session's keys that the profile states.
func (k *profileKeys) setEnd(identity *awsconfig.Identity) {
	k.past = time.Time{}
	if k.keys.SessionToken == "" {
		return
	}
	if end := statedEnd(identity.Profiles[k.profile]); end.After(time.Now()) {
		k.keys.CanExpire, k.keys.Expires = true, end
	} else {
		k.past = end
	}
}

// endKeys are the settings in which programs write down when a profile's keys end. SDKs ignore
// them.
var endKeys = []string{"x_security_token_expires", "aws_expiration"}

// statedEnd is the end that a profile states; zero if it doesn't.
func statedEnd(profile awsconfig.Values) time.Time {
	for _, key := range endKeys {
		if end, ok := parseTime(awsconfig.Plain(profile[key])); ok {
			return end
		}
	}
	return time.Time{}
}
