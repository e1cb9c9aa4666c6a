package source

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// A call is what was being done when an error came.
type call struct {
	op   string          // "assume role arn:…"
	by   string          // the chain that signed it, for people
	role string          // its ARN, if it is about one
	web  bool            // a web identity token, not keys, spoke for the caller
	hint string          // what to type if nothing better is known
	keys aws.Credentials // that signed it
	mfa  bool            // a code was asked for it
	ca   string          // the flag that names the roots; "": --ca-bundle
}

// explain makes one line of an error, and a hint of what AWS is known to mean by it.
func (s *Source) explain(c call, err error) error {
	p := s.word(c, err)
	p.passing = missing(err) && s.worked.Load()
	return p
}

func (s *Source) word(c call, err error) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		outer := &problem{text: c.op + ": " + strings.TrimPrefix(p.text, c.op+": "), err: err, hints: p.hints, permanent: p.permanent}
		if hint := s.hint(c, err); hint != "" && len(p.hints) == 0 {
			outer.hints = []string{hint}
		}
		return outer
	}
	if e, ok := errors.AsType[*statusError](err); ok {
		return &problem{text: c.op + ": " + e.Error(), err: err, hints: []string{e.hint}}
	}
	p := &problem{text: c.op + ": " + describe(err), err: err}
	if code, message := apiError(err); code == "AccessDenied" && c.by != "" && !strings.Contains(message, "arn:") {
		p.text += " (asked by " + c.by + ")"
	}
	if hint := s.hint(c, err); hint != "" {
		p.hints = []string{hint}
	}
	return p
}

func (s *Source) hint(c call, err error) string {
	code, message := apiError(err)
	if s.caught != "" && c.signed() && !fromSTS(code, message) {
		return "AWS_ENDPOINT_URL sends STS to " + s.caught + ", too: export AWS_ENDPOINT_URL_S3 instead, or --sts-endpoint-url https://sts." + s.stsRegion + ".amazonaws.com"
	}
	if hint := s.hintByCode(c, code, message); hint != "" {
		return hint
	}
	if e, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return certificateHint(c, e)
	}
	if ourCertificate(err) {
		return "is the certificate registered and active in this account and region?"
	}
	if missing(err) {
		if s.worked.Load() {
			return "it was there before: is the VPN up, and its name server?"
		}
		return "is the region right? --region, or --sts-endpoint-url"
	}
	if foreign(err) && c.hint == "" {
		return s.foreignHint(c)
	}
	if c.hint == "" && code == "" && fromNetwork(err) {
		return s.networkHint(c, err)
	}
	return c.hint
}

func (s *Source) foreignHint(c call) string {
	if s.sts != nil && c.signed() {
		if u := s.sts.Options().BaseEndpoint; u != nil {
			return "STS is asked at " + *u + ": is that one? --sts-endpoint-url"
		}
	}
	return "a proxy or a login page answers in its place: is HTTPS_PROXY right?"
}

// certificateHint: other roots cure only one of the three.
func certificateHint(c call, err error) string {
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return "the server is another one: is the endpoint's name right (--sts-endpoint-url), and what a proxy or name server makes of it?"
	}
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok && e.Reason == x509.Expired {
		return "is this machine's clock right (date -u)? else whoever runs the server must renew its certificate"
	}
	return firstOf(c.ca, "--ca-bundle") + " FILE names the roots to trust, such as your proxy's"
}

func (s *Source) networkHint(c call, err error) string {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "proxyconnect" {
		return "is HTTPS_PROXY right, and the proxy up?"
	}
	if u := s.sts.Options().BaseEndpoint; u != nil && c.signed() {
		return "STS is asked at " + *u + ": is it the right one, and up?"
	}
	return "is the network up, and does it need HTTPS_PROXY?"
}

// signed: the call went to STS.
func (c *call) signed() bool { return c.keys.HasKeys() || c.web }

// fromSTS: only STS words its errors like that.
func fromSTS(code, message string) bool {
	switch code {
	case "ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "ValidationError", "Throttling", "RegionDisabledException",
		"MalformedPolicyDocument", "PackedPolicyTooLarge", "InvalidIdentityToken", "IDPCommunicationError", "IDPRejectedClaim", "SignatureDoesNotMatch":
		return true
	}
	return strings.Contains(message, "sts:") || strings.Contains(message, "MultiFactorAuthentication")
}

func (s *Source) hintByCode(c call, code, message string) string {
	switch code {
	case "AccessDenied", "AccessDeniedException":
		return deniedHint(c, message)
	case "ExpiredToken", "ExpiredTokenException", "RequestExpired":
		return expiredHint(c)
	case "InvalidClientTokenId", "UnrecognizedClientException":
		return s.keyHint(c)
	case "SignatureDoesNotMatch", "InvalidSignatureException", "RequestTimeTooSkewed":
		return s.signatureHint(c, message)
	case "RegionDisabledException":
		return "--region us-east-1, or switch STS on for " + s.stsRegion + " in the account settings of IAM"
	case "ValidationError":
		return validationHint(message)
	case "PackedPolicyTooLarge", "PackedPolicyTooLargeException":
		return "fewer or shorter --tags, --policy, --policy-arns: STS packs them into one limit"
	case "MalformedPolicyDocument", "MalformedPolicyDocumentException":
		return "check --policy: aws accessanalyzer validate-policy --policy-type IDENTITY_POLICY"
	case "InvalidIdentityToken", "InvalidIdentityTokenException":
		if strings.Contains(message, "valid JWT") {
			return "it must be the provider's ID token, three parts with dots between them, not an access token"
		}
		return "check that IAM has an identity provider for the token's issuer, with its audience"
	case "IDPRejectedClaim", "IDPRejectedClaimException":
		return "the identity provider refused the token: is it expired, or for another audience?"
	}
	return ""
}

func deniedHint(c call, message string) string {
	_, action, _ := strings.Cut(message, "perform: ")
	action, _, _ = strings.Cut(action, " ")
	switch {
	case strings.Contains(message, "MultiFactorAuthentication"):
		return "is the code of the device's, and fresh? each is good once and for half a minute"
	case strings.Contains(message, "with session credentials"):
		return "these keys are a session already: give it a role (--role-arn), or keep its token with the keys"
	case action == "sts:TagSession" || action == "sts:SetSourceIdentity" || action == "sts:SetContext":
		return "the trust policy of " + c.role + " must allow " + action + ", too"
	case c.web:
		return "check the trust policy of " + c.role + ": its Federated principal, and its conditions on the token's aud and sub"
	case c.mfa:
		return "check the role's trust policy: does it name this caller, and does it limit aws:MultiFactorAuthAge? A new code cures the latter"
	case c.role != "":
		return "check that the trust policy of the role names this caller (and asks no external id or MFA), and that the caller's own policy allows sts:AssumeRole on it"
	}
	return c.hint
}

func expiredHint(c call) string {
	switch {
	case c.web:
		return "the token has expired: whoever writes it must renew it"
	case strings.HasPrefix(c.by, "environment variables"):
		return "the session in AWS_SESSION_TOKEN is over: export new keys, or use --profile, which renews itself"
	}
	return "the session of " + c.by + " is over: renew it"
}

func (s *Source) keyHint(c call) string {
	if want := partitionOfARN(c.role); want != "" && want != partitionOf(s.stsRegion) {
		return "the role is in " + want + ", region " + s.stsRegion + " is not: --region " + partitionRegion(want)
	}
	if c.keys.SessionToken != "" {
		return "do the session token and the keys from " + c.by + " belong together, and are they of this partition?"
	}
	return "the access key from " + c.by + " is deleted, inactive or another partition's"
}

func partitionOfARN(s string) string {
	f := strings.SplitN(s, ":", 3)
	if len(f) < 3 {
		return ""
	}
	return f[1]
}

func (s *Source) signatureHint(c call, message string) string {
	off := s.Skew().Round(time.Second)
	if off.Abs() > time.Minute || strings.Contains(message, "expired") || strings.Contains(message, "not yet current") {
		return fmt.Sprintf("this machine's clock is %v off: set it (timedatectl set-ntp true)", off.Abs())
	}
	return "the secret key from " + c.by + " does not belong to its access key"
}

func validationHint(message string) string {
	switch {
	case strings.Contains(message, "role chaining"):
		return "--duration-seconds 3600: AWS caps a role that another role's session assumes at one hour"
	case strings.Contains(message, "MaxSessionDuration"):
		return "--duration-seconds 3600, or raise it: aws iam update-role --role-name NAME --max-session-duration SECONDS"
	case strings.Contains(message, "SerialNumber") || strings.Contains(message, "serialNumber"):
		return "--serial-number arn:aws:iam::ACCOUNT:mfa/NAME; aws iam list-mfa-devices shows it"
	}
	return ""
}
