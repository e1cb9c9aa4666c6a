package source

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"

	"brs-exec/internal/source/awserr"
	"brs-exec/internal/source/problem"
	"brs-exec/internal/source/stsapi"
)

// A call is what was being done when an error came.
type call struct {
	op       string          // "assume role arn:…"
	by       string          // the chain that signed it, for people
	role     string          // its ARN, if it is about one
	byToken  bool            // a web identity token, not keys, spoke for the caller
	hint     string          // what to type if nothing better is known
	keys     aws.Credentials // that signed it
	withCode bool            // an MFA code went with it
	roots    problem.Option  // what names the roots to trust; "": problem.CABundle
	host     string          // what to type if the host isn't there; "": the region says which it is
}

// askedSTS says that the call went to STS.
func (c *call) askedSTS() bool { return c.keys.HasKeys() || c.byToken }

// hasAnswered says that the host which the call went to was there before.
func (s *Source) hasAnswered(c call) bool {
	if c.askedSTS() {
		return s.sts.Answered()
	}
	return s.hasWorked.Load()
}

// explain makes one line of an error, and a hint of what AWS is known to mean by it.
func (s *Source) explain(c call, err error) *problem.Error {
	e := &problem.Error{Text: c.op + ": " + awserr.Describe(err), Err: err}
	if inner, ok := errors.AsType[*problem.Error](err); ok {
		e.Text, e.Hint, e.Verdict = c.op+": "+inner.Text, inner.Hint, inner.Verdict
	} else if refusal, ok := errors.AsType[*awserr.StatusError](err); ok {
		e.Text, e.Hint = c.op+": "+refusal.Error(), refusal.Hint
		return e
	} else if code, message := awserr.Code(err); code == "AccessDenied" && c.by != "" &&
		!strings.Contains(message, "arn:") {
		e.Text += " (asked by " + c.by + ")"
	}
	if e.Hint == "" {
		e.Hint = s.hint(c, err)
	}
	if awserr.NoSuchHost(err) && s.hasAnswered(c) {
		e.Verdict = problem.Passing // the host was there: a VPN or its name server is down
	}
	return e
}

// hint says what to type. AWS's codes know it best, then the kind of failure; c.hint is for the
// rest.
func (s *Source) hint(c call, err error) string {
	code, message := awserr.Code(err)
	if s.sts.SharedEndpoint != "" && c.askedSTS() && !wordedBySTS(code, message) {
		return s.names.Hint("AWS_ENDPOINT_URL sends STS to %s, too: export AWS_ENDPOINT_URL_S3 instead, "+
			"or %v https://sts.%s.amazonaws.com", s.sts.SharedEndpoint, problem.STSEndpointURL, s.sts.Region)
	}
	if hint := s.hintByCode(c, code, message); hint != "" {
		return hint
	}
	if e, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return s.certificateHint(c, e)
	}
	switch {
	case awserr.OurCertificate(err):
		return "is the certificate registered and active in this account and region?"
	case awserr.NoSuchHost(err) && s.hasAnswered(c):
		return "it was there before: is the VPN up, and its name server?"
	case awserr.NoSuchHost(err):
		return cmp.Or(c.host, s.names.Hint("is the network up, and the region right? %v, or %v",
			problem.Region, problem.STSEndpointURL))
	case c.hint != "":
		return c.hint
	case awserr.Foreign(err):
		return s.foreignHint(c)
	case code == "" && awserr.FromNetwork(err):
		return s.networkHint(c, err)
	}
	return ""
}

func (s *Source) foreignHint(c call) string {
	if at := s.sts.Endpoint(); at != "" && c.askedSTS() {
		return s.names.Hint("STS is asked at %s: is that one? AWS_ENDPOINT_URL_STS or %v says where",
			at, problem.STSEndpointURL)
	}
	return "a proxy or a login page answers in its place: is HTTPS_PROXY right?"
}

// certificateHint tells three cases apart: other roots cure only one of them.
func (s *Source) certificateHint(c call, err error) string {
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return s.names.Hint("the server is another one: is the endpoint's name right (%v), "+
			"and what a proxy or name server makes of it?", problem.STSEndpointURL)
	}
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok && e.Reason == x509.Expired {
		return "is this machine's clock right (date -u)? else whoever runs the server must renew its certificate"
	}
	return s.names.Hint("%v FILE names the roots to trust, such as your proxy's", cmp.Or(c.roots, problem.CABundle))
}

func (s *Source) networkHint(c call, err error) string {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "proxyconnect" {
		return "is HTTPS_PROXY right, and the proxy up?"
	}
	if at := s.sts.Endpoint(); at != "" && c.askedSTS() {
		return "STS is asked at " + at + ": is it the right one, and up?"
	}
	return "is the network up, and does it need HTTPS_PROXY?"
}

// wordedBySTS says that no other service words its errors like that.
func wordedBySTS(code, message string) bool {
	switch strings.TrimSuffix(code, "Exception") {
	case "ExpiredToken", "InvalidClientTokenId", "ValidationError", "Throttling", "RegionDisabled",
		"MalformedPolicyDocument", "PackedPolicyTooLarge", "InvalidIdentityToken", "IDPCommunicationError",
		"IDPRejectedClaim", "SignatureDoesNotMatch":
		return true
	}
	return strings.Contains(message, "sts:") || strings.Contains(message, "MultiFactorAuthentication")
}

func (s *Source) hintByCode(c call, code, message string) string {
	switch strings.TrimSuffix(code, "Exception") { // AWS's protocols differ in that
	case "AccessDenied":
		return s.deniedHint(c, message)
	case "ExpiredToken", "RequestExpired":
		return s.expiredHint(c)
	case "InvalidClientTokenId", "UnrecognizedClient":
		return s.keyHint(c)
	case "SignatureDoesNotMatch", "InvalidSignature", "RequestTimeTooSkewed":
		return s.signatureHint(c, message)
	case "RegionDisabled":
		return s.names.Hint("%v us-east-1, or switch STS on for %s in the account settings of IAM",
			problem.Region, s.sts.Region)
	case "ValidationError":
		return s.validationHint(message)
	case "PackedPolicyTooLarge":
		return s.names.Hint("fewer or shorter %v, %v, %v: STS packs them into one limit",
			problem.Tags, problem.Policy, problem.PolicyARNs)
	case "MalformedPolicyDocument":
		return s.names.Hint("check %v: aws accessanalyzer validate-policy --policy-type IDENTITY_POLICY",
			problem.Policy)
	case "InvalidIdentityToken":
		if strings.Contains(message, "valid JWT") {
			return "it must be the provider's ID token, three parts with dots between them, not an access token"
		}
		return "check that IAM has an identity provider for the token's issuer, with its audience"
	case "IDPRejectedClaim":
		return "the identity provider refused the token: is it expired, or for another audience?"
	}
	return ""
}

func (s *Source) deniedHint(c call, message string) string {
	_, action, _ := strings.Cut(message, "perform: ")
	action, _, _ = strings.Cut(action, " ")
	switch {
	case strings.Contains(message, "MultiFactorAuthentication"):
		return "is the code of the device's, and fresh? each is good once and for half a minute"
	case strings.Contains(message, "with session credentials"):
		return s.names.Hint("these keys are a session already: give it a role (%v), or keep its token with the keys",
			problem.RoleARN)
	case action == "sts:TagSession" || action == "sts:SetSourceIdentity" || action == "sts:SetContext":
		return "the trust policy of " + c.role + " must allow " + action + ", too"
	case c.byToken:
		return "check the trust policy of " + c.role + ": its Federated principal, " +
			"and its conditions on the token's aud and sub"
	case c.withCode:
		return "check the role's trust policy: does it name this caller, and does it limit aws:MultiFactorAuthAge? " +
			"A new code cures the latter"
	case c.role != "":
		return "check that the trust policy of the role names this caller (and asks no external id or MFA), " +
			"and that the caller's own policy allows sts:AssumeRole on it"
	}
	return c.hint
}

func (s *Source) expiredHint(c call) string {
	switch {
	case c.byToken:
		return "the token has expired: whoever writes it must renew it"
	case c.keys.Source == config.CredentialsSourceName: // the environment's
		return s.names.Hint(
			"the session in AWS_SESSION_TOKEN is over: export new keys, or use %v, which is refreshed by itself",
			problem.Profile)
	}
	return "the session of " + c.by + " is over: renew it"
}

func (s *Source) keyHint(c call) string {
	if want := stsapi.PartitionOfARN(c.role); want != "" && want != stsapi.PartitionOf(s.sts.Region) {
		return s.names.Hint("the role is in %s, region %s is not: %v %s",
			want, s.sts.Region, problem.Region, stsapi.RegionOf(want))
	}
	if c.keys.SessionToken != "" {
		return "do the session token and the keys from " + c.by + " belong together, and are they of this partition?"
	}
	return "the access key from " + c.by + " is deleted, inactive or another partition's"
}

func (s *Source) signatureHint(c call, message string) string {
	off := s.Skew().Round(time.Second).Abs()
	if off > time.Minute || strings.Contains(message, "expired") || strings.Contains(message, "not yet current") {
		return fmt.Sprintf("this machine's clock is %v off: set it (timedatectl set-ntp true)", off)
	}
	return "the secret key from " + c.by + " does not belong to its access key"
}

func (s *Source) validationHint(message string) string {
	switch {
	case strings.Contains(message, "role chaining"):
		return s.names.Hint("%v 3600: AWS caps a role that another role's session assumes at one hour",
			problem.Duration)
	case strings.Contains(message, "MaxSessionDuration"):
		return s.names.Hint("%v 3600, or raise it: aws iam update-role --role-name NAME --max-session-duration SECONDS",
			problem.Duration)
	case strings.Contains(strings.ToLower(message), "serialnumber"):
		return s.deviceHint()
	}
	return ""
}

func (s *Source) deviceHint() string {
	return s.names.Hint("%v arn:aws:iam::ACCOUNT:mfa/NAME; aws iam list-mfa-devices shows it", problem.SerialNumber)
}
