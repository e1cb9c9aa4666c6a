package source

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"
	smithymiddleware "github.com/aws/smithy-go/middleware"
)

// A skew is how far the local clock is ahead of STS's, as last seen.
type skew struct{ ns atomic.Int64 }

// dated measures the skew on every answer that STS itself gave.
type dated struct {
	*httpClient
	skew *skew
}

func (d dated) Do(r *http.Request) (*http.Response, error) {
	resp, err := d.httpClient.Do(r)
	if err == nil && (resp.StatusCode < 300 || resp.Header.Get("X-Amzn-Requestid") != "") { // not a proxy's own page
		if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
			d.skew.ns.Store(int64(skewOf(time.Now(), date)))
		}
	}
	return resp, err
}

// skewOf is too large by what Date cuts off, up to a second, and by the way back: clocks in step measure 0 or more, and
// only one that is really behind measures less. (The mean error taken off, half of all machines in step would be taken for
// slow, and the lives of their credentials shortened.)
func skewOf(received, date time.Time) time.Duration { return received.Round(0).Sub(date) }

// onceForClock leaves all retries to the caller's one layer, but for a request that a wrong local clock has spoilt: the
// SDK has learnt STS's time from the refusal, and signs the second one by it.
type onceForClock struct{ aws.NopRetryer }

func (onceForClock) MaxAttempts() int                             { return 2 }
func (onceForClock) RetryDelay(int, error) (time.Duration, error) { return 0, nil }
func (onceForClock) IsErrorRetryable(err error) bool {
	if code, _ := apiError(err); code == "" {
		return false
	}
	var r interface{ RetryableError() bool } // retry.retryableClockSkewError: unexported; no type of STS's has the method
	return errors.As(err, &r) && r.RetryableError()
}

// awsConfig holds the client settings as config.LoadDefaultConfig resolves them (a test compares the two), without its
// credentials and without its reading of the CA bundle.
func awsConfig(o *Options, env *config.EnvConfig, shared *config.SharedConfig, client *httpClient) aws.Config {
	c := aws.Config{
		Region:                     firstOf(o.Region, env.Region, shared.Region),
		AppID:                      firstOf(env.AppID, shared.AppID),
		HTTPClient:                 client,
		Retryer:                    func() aws.Retryer { return onceForClock{} },
		Logger:                     logging.Nop{},
		ConfigSources:              []any{*env, *shared},
		APIOptions:                 []func(*smithymiddleware.Stack) error{middleware.AddUserAgentKeyValue("brs-exec", firstOf(o.Version, "dev"))},
		DisableClockSkewCorrection: truth(env.DisableClockSkewCorrection, shared.DisableClockSkewCorrection),
		RestrictFilePermissions:    aws.RestrictFilePermissionsUserReadWrite,
	}
	if env.RestrictFilePermissions != "" {
		c.RestrictFilePermissions = env.RestrictFilePermissions
	}
	if url := firstOf(env.BaseEndpoint, shared.BaseEndpoint); url != "" && !truth(env.IgnoreConfiguredEndpoints, shared.IgnoreConfiguredEndpoints) {
		c.BaseEndpoint = &url
	}
	return c
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

func truth(values ...*bool) bool {
	for _, v := range values {
		if v != nil {
			return *v
		}
	}
	return false
}

// newSTS makes the one client for every hop: what it learns about the clock serves all.
func newSTS(o *Options, cfg aws.Config, client dated) (*sts.Client, error) {
	c := sts.NewFromConfig(cfg, func(s *sts.Options) {
		s.HTTPClient = client
		if o.STSEndpointURL != "" {
			s.BaseEndpoint = &o.STSEndpointURL
		}
		if o.UseFIPSEndpoint {
			s.EndpointOptions.UseFIPSEndpoint = aws.FIPSEndpointStateEnabled
		}
		if o.UseDualstackEndpoint {
			s.EndpointOptions.UseDualStackEndpoint = aws.DualStackEndpointStateEnabled
		}
	})
	return c, checkEndpoint(o, c.Options())
}

// checkEndpoint refuses to send credentials over a network in the clear.
func checkEndpoint(o *Options, s sts.Options) error {
	endpoint := s.BaseEndpoint
	if endpoint == nil {
		return nil
	}
	from := "the STS endpoint"
	if o.STSEndpointURL != "" {
		from = "--sts-endpoint-url"
	}
	u, err := url.Parse(*endpoint)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return badInput("write https://sts.eu-west-1.amazonaws.com", "%s %q is no URL", from, clip(redact(*endpoint)))
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return badInput("write https://"+u.Host, "%s %s has more than scheme, host and path", from, u.Host)
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return badInput("write https://"+u.Host, "%s http://%s: credentials don't go over a network in the clear", from, u.Host)
	case s.EndpointOptions.UseFIPSEndpoint == aws.FIPSEndpointStateEnabled, s.EndpointOptions.UseDualStackEndpoint == aws.DualStackEndpointStateEnabled:
		return badInput("drop one: the URL of a FIPS or dual-stack endpoint says all", "%s %s and FIPS or dual-stack exclude each other", from, u.Host)
	}
	return nil
}

// redact leaves out what stands before an @: it may be a password.
func redact(s string) string {
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		return "…" + s[i:]
	}
	return s
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// CallerIdentity asks STS whose creds are.
func (s *Source) CallerIdentity(ctx context.Context, creds aws.Credentials) (account, arn, userID string, err error) {
	ends := s.begins("get caller identity")
	out, err := s.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}, signedBy(creds))
	if err == nil && (out.Account == nil || out.Arn == nil) {
		err = errEmpty
	}
	if err != nil {
		err = s.explain(call{op: "get caller identity", by: s.Describe(), keys: creds}, err)
		ends(err)
		return "", "", "", err
	}
	ends(nil)
	return *out.Account, *out.Arn, aws.ToString(out.UserId), nil
}

var errEmpty = errors.New("an answer without content")

func signedBy(creds aws.Credentials) func(*sts.Options) {
	return func(o *sts.Options) {
		o.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return creds, nil })
	}
}
