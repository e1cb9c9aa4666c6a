package source

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

func sends(err error) error {
	return &smithy.OperationError{ServiceID: "STS", OperationName: "X", Err: &smithyhttp.RequestSendError{Err: &url.Error{Op: "Post", URL: "https://h/?secret=hush", Err: err}}}
}

func code(c, message string) error { return &smithy.GenericAPIError{Code: c, Message: message} }

func TestHints(t *testing.T) {
	sts := newStub(t)
	useTestKeys(t)
	keys := aws.Credentials{AccessKeyID: "a", SecretAccessKey: "b"}
	session := aws.Credentials{AccessKeyID: "a", SecretAccessKey: "b", SessionToken: "c"}
	fromEnvironment := session
	fromEnvironment.Source = config.CredentialsSourceName
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
		{"session over", call{by: "profile p", keys: session}, code("ExpiredToken", ""), 0, "the session of profile p is over: renew it"},
		{"session over", call{by: "environment variables", keys: fromEnvironment}, code("ExpiredToken", ""), 0, "AWS_SESSION_TOKEN is over"},
		{"clock", call{keys: keys}, code("SignatureDoesNotMatch", "Signature expired: …"), 12 * time.Minute, "clock is 12m0s off"},
		{"clock behind", call{keys: keys}, code("SignatureDoesNotMatch", "Signature not yet current: …"), -time.Hour, "clock is 1h0m0s off"},
		{"secret", call{by: "profile p", keys: keys}, code("SignatureDoesNotMatch", "The request signature we calculated …"), 0, "secret key from profile p"},
		{"token denied", call{byToken: true, role: testRole}, code("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity"), 0, "aud and sub"},
		{"session of a session", call{keys: session}, code("AccessDenied", "Cannot call GetSessionToken with session credentials"), 0, "--role-arn"},
		{"MFA age", call{role: testRole, keys: session, withCode: true}, code("AccessDenied", "User: arn:aws:iam::1:user/u is not authorized to perform: sts:AssumeRole"), 0, "aws:MultiFactorAuthAge"},
		{"identity", call{role: testRole, keys: keys}, code("AccessDenied", "is not authorized to perform: sts:SetSourceIdentity on resource"), 0, "must allow sts:SetSourceIdentity"},
		{"packed", call{keys: keys}, code("PackedPolicyTooLarge", ""), 0, "fewer or shorter"},
		{"policy", call{keys: keys}, code("MalformedPolicyDocument", ""), 0, "check --policy"},
		{"device", call{keys: keys}, code("ValidationError", "1 validation error detected: Value 'x' at 'serialNumber' failed"), 0, "--serial-number"},
		{"issuer", call{byToken: true}, code("InvalidIdentityToken", "No OpenIDConnect provider found"), 0, "identity provider for the token's issuer"},
		{"rejected", call{byToken: true}, code("IDPRejectedClaim", ""), 0, "another audience"},
		{"expired token", call{byToken: true}, code("ExpiredTokenException", ""), 0, "whoever writes it"},
	} {
		sts.answer = func(w http.ResponseWriter, _ request) bool {
			w.Header().Set("Date", time.Now().Add(-c.off).UTC().Format(http.TimeFormat))
			return false
		}
		s := mustNew(t, Options{Region: "eu-west-1"})
		if c.off != 0 { // Date has whole seconds: at the begin of one nothing is cut off
			time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second)))
		}
		if _, _, _, err := s.CallerIdentity(t.Context(), session); err != nil {
			t.Fatal(err)
		}
		if got := s.hint(c.call, c.err); !strings.Contains(got, c.want) {
			t.Errorf("%s: %q; want %q in it", c.name, got, c.want)
		}
	}
}

func TestNoSession(t *testing.T) {
	useTestKeys(t)
	sts := newStub(t)
	c := mustRetrieve(t, mustNew(t, Options{NoSession: true}))
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
