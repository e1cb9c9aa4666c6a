// Package stsapi is the client of STS: its settings, its calls, what they take, and the clock that
// their answers show.
//
// It calls the API itself and not through credentials/stscreds, which takes no ProvidedContexts,
// asks for tokens without a context and tries some refusals a second time. Nothing is retried here
// but a request that a wrong local clock has spoilt. Errors are the SDK's, or *problem.Error where
// the user wrote something wrong.
package stsapi

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"brs-exec/internal/source/problem"
)

// The Source of credentials says which call STS gave them by.
const (
	AssumeRole          = "AssumeRole"
	AssumeRoleWithToken = "AssumeRoleWithWebIdentity"
	SessionToken        = "GetSessionToken"
)

// Options are what flags say of the endpoint, over what the environment and the profile say.
type Options struct {
	EndpointURL     string // "": as they say
	FIPS, DualStack bool
	Names           problem.Names
}

// A Client makes every call of one chain: what it learns about the clock serves all.
type Client struct {
	Region string
	// SharedEndpoint is where STS is asked, if AWS_ENDPOINT_URL or a profile's endpoint_url says
	// so, which are for every service; "" if neither does.
	SharedEndpoint string

	api  *sts.Client
	skew atomic.Int64 // time.Duration
}

// New makes a Client of cfg, as Settings makes it.
func New(cfg aws.Config, h *HTTP, o Options) (*Client, error) {
	c := &Client{Region: cfg.Region}
	c.api = sts.NewFromConfig(cfg, func(s *sts.Options) {
		s.HTTPClient = dated{h, &c.skew}
		if o.EndpointURL != "" {
			s.BaseEndpoint = &o.EndpointURL
		}
		if o.FIPS {
			s.EndpointOptions.UseFIPSEndpoint = aws.FIPSEndpointStateEnabled
		}
		if o.DualStack {
			s.EndpointOptions.UseDualStackEndpoint = aws.DualStackEndpointStateEnabled
		}
	})
	if at := c.Endpoint(); at != "" && o.EndpointURL == "" && at == aws.ToString(cfg.BaseEndpoint) {
		c.SharedEndpoint = at
	}
	return c, checkEndpoint(o, c.api.Options())
}

// Endpoint is where STS is asked; "" if that is AWS's own endpoint.
func (c *Client) Endpoint() string { return aws.ToString(c.api.Options().BaseEndpoint) }

// checkEndpoint refuses to send credentials over a network in the clear.
func checkEndpoint(o Options, s sts.Options) error {
	if s.BaseEndpoint == nil {
		return nil
	}
	var from any = "the STS endpoint"
	if o.EndpointURL != "" {
		from = o.Names.Input(problem.STSEndpointURL)
	}
	u, err := url.Parse(*s.BaseEndpoint)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return problem.Bad("write https://sts.eu-west-1.amazonaws.com",
			"%s %q is no URL", from, problem.Clip(Redact(*s.BaseEndpoint)))
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return problem.Bad("write https://"+u.Host, "%s %s has more than scheme, host and path", from, u.Host)
	case u.Scheme == "http" && !Loopback(u.Hostname()):
		return problem.Bad("write https://"+u.Host,
			"%s http://%s: credentials don't go over a network in the clear", from, u.Host)
	case s.EndpointOptions.UseFIPSEndpoint == aws.FIPSEndpointStateEnabled,
		s.EndpointOptions.UseDualStackEndpoint == aws.DualStackEndpointStateEnabled:
		return problem.Bad("drop one: the URL of a FIPS or dual-stack endpoint says all",
			"%s %s and FIPS or dual-stack exclude each other", from, u.Host)
	}
	return nil
}

// Redact leaves out what stands before an @: it may be a password.
func Redact(s string) string {
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		return "…" + s[i:]
	}
	return s
}

// A Caller is who signs a call: keys, and the code of an MFA device that goes along, if any.
type Caller struct {
	Keys         aws.Credentials
	Serial, Code string
}

func (c Caller) sign(o *sts.Options) {
	o.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return c.Keys, nil })
}

// AssumeRole assumes r with the caller's keys. owner is the ARN that STS gives the session.
func (c *Client) AssumeRole(ctx context.Context, r *Role, by Caller) (creds aws.Credentials, owner string, err error) {
	out, err := c.api.AssumeRole(ctx, &sts.AssumeRoleInput{
		RoleArn: &r.ARN, RoleSessionName: &r.SessionName, DurationSeconds: seconds(r.Duration),
		ExternalId: optional(r.ExternalID), Policy: optional(r.Policy), PolicyArns: r.PolicyARNs,
		Tags: r.Tags, TransitiveTagKeys: r.TransitiveTagKeys, SourceIdentity: optional(r.SourceIdentity),
		ProvidedContexts: r.Contexts, SerialNumber: optional(by.Serial), TokenCode: optional(by.Code),
	}, by.sign)
	if err != nil {
		return aws.Credentials{}, "", err
	}
	return roleSession(out.Credentials, out.AssumedRoleUser, AssumeRole)
}

// AssumeRoleWithToken assumes r with an OIDC token, which speaks for the caller: nothing is signed.
func (c *Client) AssumeRoleWithToken(ctx context.Context, r *Role, token string) (
	creds aws.Credentials, owner string, err error,
) {
	out, err := c.api.AssumeRoleWithWebIdentity(ctx, &sts.AssumeRoleWithWebIdentityInput{
		RoleArn: &r.ARN, RoleSessionName: &r.SessionName, DurationSeconds: seconds(r.Duration),
		Policy: optional(r.Policy), PolicyArns: r.PolicyARNs, WebIdentityToken: &token,
	})
	if err != nil {
		return aws.Credentials{}, "", err
	}
	return roleSession(out.Credentials, out.AssumedRoleUser, AssumeRoleWithToken)
}

func roleSession(c *types.Credentials, u *types.AssumedRoleUser, call string) (
	creds aws.Credentials, owner string, err error,
) {
	if u != nil {
		owner = aws.ToString(u.Arn)
	}
	account := ""
	if a, err := arn.Parse(owner); err == nil {
		account = a.AccountID
	}
	creds, err = session(c, account, call)
	return creds, owner, err
}

// SessionToken buys a session of the caller's own, for life; 0: an hour.
func (c *Client) SessionToken(ctx context.Context, by Caller, life time.Duration) (aws.Credentials, error) {
	out, err := c.api.GetSessionToken(ctx, &sts.GetSessionTokenInput{
		DurationSeconds: seconds(life), SerialNumber: optional(by.Serial), TokenCode: optional(by.Code),
	}, by.sign)
	if err != nil {
		return aws.Credentials{}, err
	}
	return session(out.Credentials, by.Keys.AccountID, SessionToken)
}

// CallerIdentity asks whose keys are.
func (c *Client) CallerIdentity(ctx context.Context, keys aws.Credentials) (account, arn, userID string, err error) {
	out, err := c.api.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}, Caller{Keys: keys}.sign)
	if err == nil && (out.Account == nil || out.Arn == nil) {
		err = errors.New("an answer without content")
	}
	if err != nil {
		return "", "", "", err
	}
	return *out.Account, *out.Arn, aws.ToString(out.UserId), nil
}

func session(c *types.Credentials, account, call string) (aws.Credentials, error) {
	if c == nil {
		c = new(types.Credentials)
	}
	creds := aws.Credentials{
		AccessKeyID: aws.ToString(c.AccessKeyId), SecretAccessKey: aws.ToString(c.SecretAccessKey),
		SessionToken: aws.ToString(c.SessionToken), CanExpire: true, Expires: aws.ToTime(c.Expiration),
		AccountID: account, Source: call,
	}
	if err := CheckComplete(creds); err != nil {
		return aws.Credentials{}, err
	}
	return creds, nil
}

// CheckComplete refuses an answer that lacks what every session of AWS has; a program that plays
// STS gives the same at every try.
func CheckComplete(c aws.Credentials) error {
	var lacks string
	switch {
	case c.AccessKeyID == "":
		lacks = "AccessKeyId"
	case c.SecretAccessKey == "":
		lacks = "SecretAccessKey"
	case c.SessionToken == "":
		lacks = "SessionToken"
	case c.CanExpire && c.Expires.Unix() <= 0: // SSO counts from 1970
		lacks = "Expiration"
	default:
		return nil
	}
	return problem.Bad("AWS never answers so: is it the right endpoint?", "an answer without %s", lacks)
}

func seconds(d time.Duration) *int32 {
	return aws.Int32(int32(cmp.Or(d, DefaultDuration) / time.Second))
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// Skew is the local clock minus STS's, from the last answer's Date; 0 before there is one. Date has
// no fractions, and the answer took time to come: the value may be too large by up to a second and
// that time, and is never too small. (Were the mean error taken off, half of all machines in step
// would count as slow, and their credentials' lives would be shortened.)
func (c *Client) Skew() time.Duration { return time.Duration(c.skew.Load()) }

// Answered says that STS has answered: its host exists.
func (c *Client) Answered() bool { return c.skew.Load() != 0 }

// dated measures the skew on every answer that STS itself gave.
type dated struct {
	*HTTP
	skew *atomic.Int64
}

func (d dated) Do(r *http.Request) (*http.Response, error) {
	resp, err := d.HTTP.Do(r)
	if err == nil && (resp.StatusCode < 300 || resp.Header.Get("X-Amzn-Requestid") != "") { // not a proxy's own page
		if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
			d.skew.Store(int64(skewOf(time.Now(), date)))
		}
	}
	return resp, err
}

func skewOf(received, date time.Time) time.Duration { return received.Round(0).Sub(date) }
