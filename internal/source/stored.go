package source

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
)

// stored are the keys that stand in a profile. Other programs put them there, and renew them there (saml2aws, okta-awscli, a
// brs-exec with --deliver file): they are read again whenever they are asked for. Where the profile has none any more, or
// can't be read, those that were read last are the profile's.
type stored struct {
	profile string
	files   []string // as profileFiles has them

	mu   sync.Mutex // guards the rest
	read bool       // keys have been handed out
	keys aws.Credentials
}

func newStored(p *config.SharedConfig, files []string) *stored {
	s := &stored{profile: p.Profile, files: files, keys: p.Credentials}
	s.end()
	return s
}

func (s *stored) Retrieve(ctx context.Context) (aws.Credentials, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.read {
		s.look(ctx)
	}
	s.read = true
	if s.keys.CanExpire && !s.keys.Expires.After(time.Now()) {
		return aws.Credentials{}, &problem{text: fmt.Sprintf("the keys in profile %s have expired, at %s", s.profile, s.keys.Expires.UTC().Format(time.RFC3339)),
			hints: []string{"renew them there: it is noticed"}}
	}
	return s.keys, nil
}

// look takes what is new in the file.
func (s *stored) look(ctx context.Context) {
	p, err := readProfile(ctx, s.profile, s.files)
	if err != nil || !p.Credentials.HasKeys() {
		return
	}
	if k := p.Credentials; k.AccessKeyID != s.keys.AccessKeyID || k.SecretAccessKey != s.keys.SecretAccessKey || k.SessionToken != s.keys.SessionToken {
		s.keys = k
		s.end()
	}
}

// end is when the keys end, if the profile says it. One that is over may be that of keys which were there before: not every
// program that puts keys there knows the line.
func (s *stored) end() {
	if s.keys.SessionToken == "" {
		return
	}
	if end := statedEnd(s.files, s.profile); end.After(time.Now()) {
		s.keys.CanExpire, s.keys.Expires = true, end
	}
}

// endKeys is how programs write down when a profile's keys end. SDKs ignore it, and the SDK's parser doesn't tell it.
var endKeys = []string{"x_security_token_expires", "aws_expiration"}

// statedEnd is the end that a profile states, in the file that has precedence; zero if it doesn't.
func statedEnd(files []string, profile string) time.Time {
	parsed, _ := parseFiles(files) // what can't be read states nothing
	p := parsed.Profile(profile)
	for _, key := range endKeys {
		if p == nil {
			break
		}
		if end, err := time.Parse(time.RFC3339, p.Value(key)); err == nil {
			return end
		}
	}
	return time.Time{}
}
