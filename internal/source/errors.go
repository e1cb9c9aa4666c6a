package source

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// A problem is an error that a person can act on: one line, and what to type.
type problem struct {
	text      string
	err       error // what the SDK said, for errors.As; its text is in text as far as it is of use
	hints     []string
	permanent bool
	passing   bool // though the SDK's classes say otherwise
}

func (p *problem) Error() string   { return p.text }
func (p *problem) Unwrap() error   { return p.err }
func (p *problem) Hints() []string { return p.hints }

// badInput is an error in what the user wrote: the same at every try.
func badInput(hint, format string, args ...any) error {
	p := &problem{text: middleCut(fmt.Sprintf(format, args...)), permanent: true}
	if hint != "" {
		p.hints = []string{middleCut(hint)}
	}
	return p
}

// middleCut keeps the ends of what a value that nobody can read has made long: what is wrong stands there.
func middleCut(s string) string {
	if r := []rune(s); len(r) > 600 {
		return string(r[:400]) + "…" + string(r[len(r)-150:])
	}
	return s
}

// whole refuses an answer that lacks what every session of AWS has; a program that plays STS gives the same at every try.
func whole(c aws.Credentials) error {
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
	return badInput("AWS never answers so: is it the right endpoint?", "an answer without %s", lacks)
}

// Permanent says that no retry will heal err: it was refused, or what the user wrote is wrong.
//
// Everything else may pass: what the SDK itself retries (5xx, throttling, the network), a deadline, an answer that isn't
// STS's (a captive portal), a host that was there before. The SDK's classes leave out certificates, which it retries in vain.
func Permanent(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	if p, ok := errors.AsType[*problem](err); ok {
		if p.permanent || p.passing || p.err == nil {
			return p.permanent
		}
		return Permanent(p.err)
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok || ourCertificate(err) {
		return true
	}
	switch retry.IsErrorRetryables(retry.DefaultRetryables).IsErrorRetryable(err) {
	case aws.TrueTernary:
		return false
	case aws.FalseTernary:
		return true
	}
	return refused(err) || unsent(err)
}

// missing: there is no such host. Of one that has answered before that is said while a VPN or its resolver is down.
func missing(err error) bool {
	e, ok := errors.AsType[*net.DNSError](err)
	return ok && e.IsNotFound
}

// unsent: the SDK could not even make a request of what it was given.
func unsent(err error) bool {
	_, operation := errors.AsType[*smithy.OperationError](err)
	_, answered := errors.AsType[*smithy.DeserializationError](err)
	return operation && !answered && !fromNetwork(err) && httpStatus(err) == 0
}

// ourCertificate: the other side refused it by a TLS alert, whose type crypto/tls keeps to itself.
func ourCertificate(err error) bool {
	e, ok := errors.AsType[*net.OpError](err)
	return ok && e.Op == "remote error" && strings.Contains(e.Error(), "certificate")
}

// refused: a 4xx from AWS itself, but for those with which AWS says that its own call elsewhere failed.
func refused(err error) bool {
	status := httpStatus(err)
	if status < 400 || status > 499 || status == http.StatusRequestTimeout || status == http.StatusTooManyRequests {
		return false
	}
	switch code, message := apiError(err); code {
	case "IDPCommunicationError", "IDPCommunicationErrorException":
		return false
	case "InvalidIdentityToken", "InvalidIdentityTokenException":
		return !strings.Contains(message, "Couldn't retrieve verification key")
	}
	return true
}

// Throttled says that err asks to be slower: the SDK's throttling codes, 429, or any answer with Retry-After.
func Throttled(err error) bool {
	codes := retry.ThrottleErrorCode{Codes: retry.DefaultThrottleErrorCodes}
	if codes.IsErrorThrottle(err) == aws.TrueTernary || httpStatus(err) == http.StatusTooManyRequests {
		return true
	}
	r, ok := errors.AsType[*smithyhttp.ResponseError](err)
	return ok && r.Response != nil && r.Response.Header.Get("Retry-After") != ""
}

// Denied says that err is AWS's AccessDenied: what a role that was made seconds ago answers, too.
func Denied(err error) bool {
	code, _ := apiError(err)
	return slices.Contains([]string{"AccessDenied", "AccessDeniedException"}, code)
}

func httpStatus(err error) int {
	var s interface{ HTTPStatusCode() int }
	if errors.As(err, &s) {
		return s.HTTPStatusCode()
	}
	return 0
}

func apiError(err error) (code, message string) {
	var e smithy.APIError
	if errors.As(err, &e) {
		return e.ErrorCode(), e.ErrorMessage()
	}
	return "", ""
}

// describe says what happened without the SDK's "operation error STS: AssumeRole, https response error StatusCode: …".
func describe(err error) string {
	code, message := apiError(err)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	case errors.Is(err, context.Canceled):
		return "interrupted"
	case foreign(err):
		return unreadable(err)
	case code != "":
		return code + ": " + firstLine(message)
	case message != "":
		return firstLine(message)
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		return network(e)
	}
	var op *smithy.OperationError
	for errors.As(err, &op) {
		err = op.Err
	}
	return strings.TrimPrefix(firstLine(err.Error()), "failed to ")
}

// firstLine bounds what others wrote. AWS's SignatureDoesNotMatch goes on with the canonical request, which holds the
// session token.
func firstLine(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	if s == "" {
		return "no message"
	}
	if r := []rune(s); len(r) > 500 {
		s = string(r[:500]) + "…"
	}
	return s
}

// network names the host and the cause: the rest of the URL may be secret.
func network(e *url.Error) string {
	host := "the endpoint"
	if u, err := url.Parse(e.URL); err == nil && u.Host != "" {
		host = u.Host
	}
	if e.Timeout() {
		return "no answer from " + host + " in time"
	}
	if dns, ok := errors.AsType[*net.DNSError](e); ok {
		return dns.Name + ": " + dns.Err
	}
	if op, ok := errors.AsType[*net.OpError](e); ok && op.Op == "proxyconnect" {
		return "the proxy: " + firstLine(op.Err.Error())
	} else if ok && op.Op == "dial" {
		return host + ": " + firstLine(op.Err.Error())
	}
	return host + ": " + firstLine(e.Err.Error())
}

// foreign: somebody answered, but not in AWS's words.
func foreign(err error) bool {
	if _, ok := errors.AsType[*smithy.DeserializationError](err); ok {
		return true
	}
	code, _ := apiError(err)
	return httpStatus(err) != 0 && (code == "" || code == "UnknownError") // the latter is the SDK's own
}

// unreadable names who answered: perhaps nobody expected that one to be asked.
func unreadable(err error) string {
	const what = "an answer that isn't AWS's"
	status, host := httpStatus(err), ""
	if r, ok := errors.AsType[*smithyhttp.ResponseError](err); ok && r.Response != nil && r.Response.Response != nil && r.Response.Request != nil {
		host = r.Response.Request.URL.Host + ": "
	}
	if status != 0 {
		return fmt.Sprintf("%sHTTP %d with %s", host, status, what)
	}
	return host + what
}
