package sandbox

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

const (
	algorithm = "AWS4-HMAC-SHA256"
	dateForm  = "20060102T150405Z" // X-Amz-Date

	// maxSkew is how far a signature's date may be from STS's clock.
	maxSkew = 15 * time.Minute

	signatureMismatch = "The request signature we calculated does not match the signature you provided. " +
		"Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
)

// Caller says who signed r for another service, a stand-in's: the Call has who, with what, and in
// Code why not. hash is of the body, or what stands in its place in the signature.
func (s *STS) Caller(r *http.Request, service, hash string) Call {
	c := Call{UserAgent: r.UserAgent()}
	_, err := s.authenticate(&c, r, service, hash, s.o.Now())
	c.Code = codeOf(err)
	return c
}

// A signature is what a request says about how it was signed.
type signature struct {
	keyID, day, region, service, terminator string // the credential scope

	headers []string // SignedHeaders
	mac     string   // lower-case hex
	date    string   // in dateForm
}

// authenticate returns who signed r, or AWS's error. It fills c's key, region and caller as soon as
// they are known.
func (s *STS) authenticate(c *Call, r *http.Request, service, hash string, now time.Time) (identity, error) {
	sig, err := parseAuthorization(r.Header)
	if err != nil {
		return identity{}, err
	}
	c.AccessKeyID, c.Region = sig.keyID, sig.region
	id, secret, err := s.resolve(sig.keyID, r.Header.Get("X-Amz-Security-Token"))
	if err != nil {
		return identity{}, err
	}
	c.CallerARN = id.ARN
	if c.Signed, err = sig.check(service, now); err != nil {
		return identity{}, err
	}
	if c.Expires = id.Expires; !c.Expires.IsZero() && !now.Before(c.Expires) {
		return identity{}, forbidden("ExpiredToken", "The security token included in the request is expired")
	}
	want, err := sig.sign(r, secret, hash, c.Signed)
	if err != nil || !hmac.Equal([]byte(want), []byte(sig.mac)) {
		return identity{}, forbidden("SignatureDoesNotMatch", signatureMismatch)
	}
	return id, nil
}

// resolve returns the identity and the secret behind a key, without judging whether it has expired.
func (s *STS) resolve(keyID, token string) (identity, string, error) {
	if keyID == s.base.AccessKeyID && token == "" {
		return s.user(), s.base.SecretAccessKey, nil
	}
	id, ok := s.open(token)
	if !ok || id.KeyID != keyID {
		return identity{}, "", forbidden("InvalidClientTokenId",
			"The security token included in the request is invalid.")
	}
	return id, s.secret(token), nil
}

func parseAuthorization(h http.Header) (signature, error) {
	scheme, rest, _ := strings.Cut(h.Get("Authorization"), " ")
	switch scheme {
	case algorithm:
	case "":
		return signature{}, forbidden("MissingAuthenticationToken", "Request is missing Authentication Token")
	default:
		return signature{}, incomplete("Unsupported AWS 'algorithm': '" + scheme + "'.")
	}
	fields := make(map[string]string)
	for part := range strings.SplitSeq(rest, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok {
			return signature{}, incomplete("'" + name +
				"' not a valid key=value pair (missing equal-sign) in Authorization header.")
		}
		fields[name] = value
	}
	for _, name := range []string{"Credential", "Signature", "SignedHeaders"} {
		if fields[name] == "" {
			return signature{}, incomplete("Authorization header requires '" + name + "' parameter.")
		}
	}
	scope := strings.Split(fields["Credential"], "/")
	if len(scope) != 5 {
		return signature{}, incomplete(
			"Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term.")
	}
	headers := strings.Split(fields["SignedHeaders"], ";")
	if !slices.Contains(headers, "host") {
		return signature{}, forbidden("SignatureDoesNotMatch",
			"'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
	}
	return signature{scope[0], scope[1], scope[2], scope[3], scope[4], headers, fields["Signature"],
		h.Get("X-Amz-Date")}, nil
}

// check holds the scope to the service, and the time of signing, which it returns, to now.
func (g signature) check(service string, now time.Time) (time.Time, error) {
	signed, err := time.Parse(dateForm, g.date)
	if err != nil {
		return time.Time{}, incomplete("Date must be in ISO-8601 'basic format'. Got '" + g.date +
			"'. See http://en.wikipedia.org/wiki/ISO_8601")
	}
	form := func(t time.Time) string { return t.UTC().Format(dateForm) }
	day, oldest, newest, wrong := g.date[:8], now.Add(-maxSkew), now.Add(maxSkew), ""
	switch {
	case g.region == "":
		wrong = "Credential should be scoped to a valid region."
	case g.service != service:
		wrong = "Credential should be scoped to correct service: '" + service + "'."
	case g.terminator != "aws4_request":
		wrong = "Credential should be scoped with a valid terminator: 'aws4_request', not '" + g.terminator + "'."
	case g.day != day:
		wrong = "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '" +
			g.day + "' != '" + day + "', from '" + g.date + "'."
	case signed.Before(oldest):
		wrong = "Signature expired: " + g.date + " is now earlier than " + form(oldest) +
			" (" + form(now) + " - 15 min.)"
	case signed.After(newest):
		wrong = "Signature not yet current: " + g.date + " is still later than " + form(newest) +
			" (" + form(now) + " + 15 min.)"
	default:
		return signed, nil
	}
	return time.Time{}, forbidden("SignatureDoesNotMatch", wrong)
}

// sign returns the signature that secret gives to what r says was signed.
func (g signature) sign(r *http.Request, secret, hash string, at time.Time) (string, error) {
	again := &http.Request{Method: r.Method, Host: r.Host, Header: make(http.Header),
		URL: &url.URL{Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}}
	for _, name := range g.headers {
		switch name {
		case "host", "x-amz-date": // the signer's own
		case "content-length":
			again.ContentLength = r.ContentLength
		default:
			again.Header[name] = r.Header.Values(name) // in lower case: of User-Agent and others the signer signs none
		}
	}
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = g.service == "s3" })
	keys := aws.Credentials{AccessKeyID: g.keyID, SecretAccessKey: secret} // a token is among the headers
	err := signer.SignHTTP(context.Background(), keys, again, hash, g.service, g.region, at)
	_, mac, _ := strings.Cut(again.Header.Get("Authorization"), "Signature=")
	return mac, err
}

func hashOf(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

func forbidden(code, msg string) Error {
	return Error{Status: http.StatusForbidden, Code: code, Message: msg}
}

func incomplete(msg string) Error { return badRequest("IncompleteSignature", msg) }

func badRequest(code, msg string) Error {
	return Error{Status: http.StatusBadRequest, Code: code, Message: msg}
}
