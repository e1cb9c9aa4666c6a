package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

func answered(status int, header http.Header, err error) error {
	return &smithy.OperationError{ServiceID: "STS", OperationName: "X", Err: &smithyhttp.ResponseError{
		Response: &smithyhttp.Response{Response: &http.Response{StatusCode: status, Header: header}}, Err: err,
	}}
}

func sends(err error) error {
	return &smithy.OperationError{ServiceID: "STS", OperationName: "X", Err: &smithyhttp.RequestSendError{Err: &url.Error{Op: "Post", URL: "https://h/?secret=hush", Err: err}}}
}

func code(c, message string) error { return &smithy.GenericAPIError{Code: c, Message: message} }

// What passes and what does not: the schedule of the refresher hangs on it.
func TestPermanent(t *testing.T) {
	for _, c := range []struct {
		name                string
		err                 error
		permanent, throttle bool
	}{
		{"nil", nil, false, false},
		{"interrupted", fmt.Errorf("x: %w", context.Canceled), false, false},
		{"deadline", &smithy.OperationError{Err: &smithy.CanceledError{Err: context.DeadlineExceeded}}, false, false},
		{"input", badInput("", "x"), true, false},
		{"input below", fmt.Errorf("x: %w", (&Source{}).explain(call{op: "y"}, badInput("", "x"))), true, false},
		{"denied", answered(403, nil, code("AccessDenied", "")), true, false},
		{"expired", answered(400, nil, code("ExpiredToken", "")), true, false},
		{"throttled", answered(400, nil, code("Throttling", "")), false, true},
		{"too many", answered(429, nil, code("X", "")), false, true},
		{"500", answered(500, nil, code("InternalFailure", "")), false, false},
		{"503 with Retry-After", answered(503, http.Header{"Retry-After": {"5"}}, code("X", "")), false, true},
		{"timeout of a gateway", answered(408, nil, code("X", "")), false, false},
		{"identity provider down", answered(400, nil, code("IDPCommunicationError", "")), false, false},
		{"its keys not there", answered(400, nil, code("InvalidIdentityToken", "Couldn't retrieve verification key from your identity provider")), false, false},
		{"wrong issuer", answered(400, nil, code("InvalidIdentityToken", "No OpenIDConnect provider found in your account")), true, false},
		{"cut off", sends(io.ErrUnexpectedEOF), false, false},
		{"portal", answered(200, nil, &smithy.DeserializationError{Err: io.EOF}), false, false},
		{"unsent", &smithy.OperationError{Err: errors.New("resolve endpoint: no such thing")}, true, false},
		{"unknown", errors.New("x"), false, false},
		{"status alone", &statusError{status: 401}, true, false},
		{"status that passes", &statusError{status: 502}, false, false},
	} {
		if Permanent(c.err) != c.permanent || c.err != nil && Throttled(c.err) != c.throttle {
			t.Errorf("%s: permanent %v, throttled %v; want %v, %v", c.name, Permanent(c.err), Throttled(c.err), c.permanent, c.throttle)
		}
	}
	if !Denied(answered(403, nil, code("AccessDenied", ""))) || Denied(answered(403, nil, code("InvalidClientTokenId", ""))) {
		t.Error("Denied is for AccessDenied alone")
	}
}

func TestHints(t *testing.T) {
	keys := aws.Credentials{AccessKeyID: "a", SecretAccessKey: "b"}
	session := aws.Credentials{AccessKeyID: "a", SecretAccessKey: "b", SessionToken: "c"}
	china := "arn:aws-cn:iam::123456789012:role/x"
	for _, c := range []struct {
		name string
		call call
		err  error
		off  time.Duration
		want string
	}{
		{"another partition", call{role: china, keys: keys}, code("InvalidClientTokenId", ""), 0, "--region cn-north-1"},
		{"token of other keys", call{by: "environment variables", keys: session}, code("InvalidClientTokenId", ""), 0, "do the session token and the keys from environment variables belong"},
		{"session over", call{by: "environment variables", keys: session}, code("ExpiredToken", ""), 0, "AWS_SESSION_TOKEN is over"},
		{"clock", call{keys: keys}, code("SignatureDoesNotMatch", "Signature expired: …"), 12 * time.Minute, "clock is 12m0s off"},
		{"clock behind", call{keys: keys}, code("SignatureDoesNotMatch", "Signature not yet current: …"), -time.Hour, "clock is 1h0m0s off"},
		{"secret", call{by: "profile p", keys: keys}, code("SignatureDoesNotMatch", "The request signature we calculated …"), 0, "secret key from profile p"},
		{"token denied", call{web: true, role: testRole}, code("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity"), 0, "aud and sub"},
		{"session of a session", call{keys: session}, code("AccessDenied", "Cannot call GetSessionToken with session credentials"), 0, "--role-arn"},
		{"MFA age", call{role: testRole, keys: session, mfa: true}, code("AccessDenied", "User: arn:aws:iam::1:user/u is not authorized to perform: sts:AssumeRole"), 0, "aws:MultiFactorAuthAge"},
		{"identity", call{role: testRole, keys: keys}, code("AccessDenied", "is not authorized to perform: sts:SetSourceIdentity on resource"), 0, "must allow sts:SetSourceIdentity"},
		{"packed", call{keys: keys}, code("PackedPolicyTooLarge", ""), 0, "fewer or shorter"},
		{"policy", call{keys: keys}, code("MalformedPolicyDocument", ""), 0, "check --policy"},
		{"device", call{keys: keys}, code("ValidationError", "1 validation error detected: Value 'x' at 'serialNumber' failed"), 0, "--serial-number"},
		{"issuer", call{web: true}, code("InvalidIdentityToken", "No OpenIDConnect provider found"), 0, "identity provider for the token's issuer"},
		{"rejected", call{web: true}, code("IDPRejectedClaim", ""), 0, "another audience"},
		{"expired token", call{web: true}, code("ExpiredTokenException", ""), 0, "whoever writes it"},
	} {
		s := &Source{stsRegion: "eu-west-1"}
		s.skew.ns.Store(int64(c.off))
		if got := s.hint(c.call, c.err); !strings.Contains(got, c.want) {
			t.Errorf("%s: %q; want %q in it", c.name, got, c.want)
		}
	}
}

// No word of the SDK's, no URL, no second line.
func TestDescribe(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{answered(403, nil, code("AccessDenied", "one\ntwo hush")), "AccessDenied: one"},
		{answered(403, nil, code("AccessDenied", strings.Repeat("x", 999))), "AccessDenied: " + strings.Repeat("x", 500) + "…"},
		{sends(io.ErrUnexpectedEOF), "h: unexpected EOF"},
		{sends(context.DeadlineExceeded), "no answer in time"},
		{answered(502, nil, &smithy.DeserializationError{Err: errors.New("hush")}), "HTTP 502 with an answer that isn't AWS's"},
		{&smithy.OperationError{Err: errors.New("failed to hum")}, "hum"},
	} {
		if got := describe(c.err); got != c.want {
			t.Errorf("describe(%v) = %q; want %q", c.err, got, c.want)
		}
	}
}

func TestNoSession(t *testing.T) {
	sts := newStub(t)
	c := mustRetrieve(t, mustNew(t, Options{base: testKeys, NoSession: true}))
	if c.AccessKeyID != "AKIATEST" || c.CanExpire || len(sts.calls()) != 0 {
		t.Errorf("got %s, %d calls", c.AccessKeyID, len(sts.calls()))
	}
}

// A session in the environment says when it ends if `aws configure export-credentials` made it.
func TestEnvironmentSession(t *testing.T) {
	end := time.Now().Add(20 * time.Minute).UTC().Truncate(time.Second)
	t.Setenv("AWS_ACCESS_KEY_ID", "ASIAX")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "s")
	t.Setenv("AWS_SESSION_TOKEN", "t")
	s := mustNew(t, Options{})
	if c := mustRetrieve(t, s); c.CanExpire || !s.RenewableUntil().IsZero() {
		t.Errorf("an end nobody told: %v, %v", c.Expires, s.RenewableUntil())
	}
	t.Setenv("AWS_CREDENTIAL_EXPIRATION", end.Format(time.RFC3339))
	s = mustNew(t, Options{})
	if c := mustRetrieve(t, s); !c.CanExpire || !c.Expires.Equal(end) || !s.RenewableUntil().Equal(end) {
		t.Errorf("expires %v, renewable until %v; want %v", c.Expires, s.RenewableUntil(), end)
	}
}
