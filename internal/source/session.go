package source

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// longTerm re-serves the base credentials; keys without a session token become a session, since SDKs demand a token of
// an endpoint. https://docs.aws.amazon.com/STS/latest/APIReference/API_GetSessionToken.html
type longTerm struct {
	s        *Source
	base     aws.CredentialsProvider
	by       string
	duration time.Duration // 0: an hour
	mfa      *mfa          // nil: no code is asked
	raw      bool          // --no-session: the keys as they are
	told     bool
}

func (l *longTerm) Retrieve(ctx context.Context) (aws.Credentials, error) {
	if l.mfa != nil {
		return l.withMFA(ctx)
	}
	creds, err := l.base.Retrieve(ctx)
	if err != nil || creds.SessionToken != "" || l.raw {
		return creds, err
	}
	if !l.told {
		l.told = true
		l.s.log.Warn("long-term keys are served as a session, which can't call IAM nor most of STS")
	}
	return l.s.sessionToken(ctx, creds, l.by, orDefault(l.duration, defaultDuration), "", "")
}

func (l *longTerm) withMFA(ctx context.Context) (aws.Credentials, error) {
	creds, code, err := l.mfa.caller(ctx, l.base)
	if err == nil && code != "" {
		err = badInput("add --role-arn: AssumeRole takes the code", "only long-term keys can buy a session with MFA, and %s yields a session already", l.by)
	}
	return creds, err
}

// sessionToken buys a session with long-term keys, and an MFA code if there is one.
func (s *Source) sessionToken(ctx context.Context, keys aws.Credentials, by string, life time.Duration, serial, code string) (aws.Credentials, error) {
	in := &sts.GetSessionTokenInput{DurationSeconds: aws.Int32(int32(life / time.Second)), SerialNumber: optional(serial), TokenCode: optional(code)}
	ends := s.begins("get session token")
	out, err := s.sts.GetSessionToken(ctx, in, signedBy(keys))
	if err == nil && out.Credentials == nil {
		err = errEmpty
	}
	var creds aws.Credentials
	if err == nil {
		c := out.Credentials
		creds = aws.Credentials{
			AccessKeyID: aws.ToString(c.AccessKeyId), SecretAccessKey: aws.ToString(c.SecretAccessKey), SessionToken: aws.ToString(c.SessionToken),
			CanExpire: true, Expires: aws.ToTime(c.Expiration), AccountID: keys.AccountID, Source: "GetSessionToken",
		}
		err = whole(creds)
	}
	if err != nil {
		creds, err = aws.Credentials{}, s.explain(call{op: "get session token with " + by, by: by, keys: keys}, err)
	}
	ends(err)
	return creds, err
}
