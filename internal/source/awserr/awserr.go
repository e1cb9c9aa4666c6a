// Package awserr reads what AWS's SDK and its network say when a call fails: in plain words, and
// whether a retry may heal it.
package awserr

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"brs-exec/internal/source/problem"
)

// Permanent says that no retry will heal err: it was refused, or what the user wrote is wrong.
//
// Everything else may pass: what the SDK itself retries (5xx, throttling, the network), a deadline,
// an answer that isn't STS's (a captive portal). The SDK's classes leave out certificates, which it
// retries in vain.
func Permanent(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	if p, ok := errors.AsType[*problem.Error](err); ok {
		switch p.Verdict {
		case problem.Permanent:
			return true
		case problem.Passing:
			return false
		}
		return Permanent(p.Err)
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok || OurCertificate(err) {
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

// refused says that AWS itself answered with a 4xx. If AWS's own call to an identity provider has
// failed, that is no refusal.
func refused(err error) bool {
	status := Status(err)
	if status < 400 || status > 499 || status == http.StatusRequestTimeout || status == http.StatusTooManyRequests {
		return false
	}
	switch code, message := Code(err); code {
	case "IDPCommunicationError", "IDPCommunicationErrorException":
		return false
	case "InvalidIdentityToken", "InvalidIdentityTokenException":
		return !strings.Contains(message, "Couldn't retrieve verification key")
	}
	return true
}

// unsent says that the SDK could not even make a request of what it was given.
func unsent(err error) bool {
	_, operation := errors.AsType[*smithy.OperationError](err)
	_, answered := errors.AsType[*smithy.DeserializationError](err)
	return operation && !answered && !FromNetwork(err) && Status(err) == 0
}

// Throttled says that err asks to be slower: the SDK's throttling codes, 429, or any answer with
// Retry-After.
func Throttled(err error) bool {
	codes := retry.ThrottleErrorCode{Codes: retry.DefaultThrottleErrorCodes}
	if codes.IsErrorThrottle(err) == aws.TrueTernary || Status(err) == http.StatusTooManyRequests {
		return true
	}
	r, ok := errors.AsType[*smithyhttp.ResponseError](err)
	return ok && r.Response != nil && r.Response.Header.Get("Retry-After") != ""
}

// Denied says that err is AWS's AccessDenied: what a role that was made seconds ago answers, too.
func Denied(err error) bool {
	code, _ := Code(err)
	return code == "AccessDenied" || code == "AccessDeniedException"
}

// NoSuchHost says that the name server knows no such host. It says so of a host in a private
// network, too, while the VPN is down.
func NoSuchHost(err error) bool {
	e, ok := errors.AsType[*net.DNSError](err)
	return ok && e.IsNotFound
}

// OurCertificate says that the other side refused our certificate. It does that by a TLS alert,
// whose type crypto/tls keeps to itself: its text is all there is.
func OurCertificate(err error) bool {
	e, ok := errors.AsType[*net.OpError](err)
	return ok && e.Op == "remote error" && strings.Contains(e.Error(), "certificate")
}

// FromNetwork says that err came from a connection or a deadline, not from a file or a check.
func FromNetwork(err error) bool {
	var c interface{ ConnectionError() bool }
	return errors.As(err, &c) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// Foreign says that somebody answered, but not in AWS's words.
func Foreign(err error) bool {
	if _, ok := errors.AsType[*smithy.DeserializationError](err); ok {
		return true
	}
	code, _ := Code(err)
	return Status(err) != 0 && (code == "" || code == "UnknownError") // the latter is the SDK's own
}

// Status is the answer's HTTP status; 0 if there was no answer.
func Status(err error) int {
	var s interface{ HTTPStatusCode() int }
	if errors.As(err, &s) {
		return s.HTTPStatusCode()
	}
	return 0
}

// Code is what AWS calls the error, and its message; "" if it isn't AWS's.
func Code(err error) (code, message string) {
	var e smithy.APIError
	if errors.As(err, &e) {
		return e.ErrorCode(), e.ErrorMessage()
	}
	return "", ""
}

// Describe says what happened without the SDK's "operation error STS: AssumeRole, https response
// error StatusCode: …".
func Describe(err error) string {
	code, message := Code(err)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	case errors.Is(err, context.Canceled):
		return "interrupted"
	case Foreign(err):
		return describeForeign(err)
	case code != "":
		return code + ": " + problem.FirstLine(message)
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		return describeNetwork(e)
	}
	var op *smithy.OperationError
	for errors.As(err, &op) {
		err = op.Err
	}
	return strings.TrimPrefix(problem.FirstLine(err.Error()), "failed to ")
}

// describeForeign names who answered: perhaps nobody expected that one to be asked.
func describeForeign(err error) string {
	const what = "an answer that isn't AWS's"
	status, host := Status(err), ""
	r, ok := errors.AsType[*smithyhttp.ResponseError](err)
	if ok && r.Response != nil && r.Response.Response != nil && r.Response.Request != nil {
		host = r.Response.Request.URL.Host + ": "
	}
	if status != 0 {
		return fmt.Sprintf("%sHTTP %d with %s", host, status, what)
	}
	return host + what
}

// describeNetwork names the host and the cause: the rest of the URL may be secret.
func describeNetwork(e *url.Error) string {
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
	op, ok := errors.AsType[*net.OpError](e)
	switch {
	case ok && op.Op == "proxyconnect":
		return "the proxy: " + problem.FirstLine(op.Err.Error())
	case ok && op.Op == "dial":
		return host + ": " + problem.FirstLine(op.Err.Error())
	}
	return host + ": " + problem.FirstLine(e.Err.Error())
}

// WithoutURL is a network error of what was asked without its URL, which may be secret.
func WithoutURL(what string, err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return &problem.Error{Text: what + ": " + describeNetwork(e), Err: e}
	}
	return fmt.Errorf("%s: %w", what, err)
}

// A StatusError is a refusal by HTTP alone, of a service that the SDK has no client for. Permanent
// and Throttled judge it by its status.
type StatusError struct {
	What    string
	Status  int
	Message string
	Hint    string
}

func (e *StatusError) Error() string {
	if e.Message != "" {
		return fmt.Sprintf("%s: HTTP %d: %s", e.What, e.Status, e.Message)
	}
	return fmt.Sprintf("%s: HTTP %d %s", e.What, e.Status, http.StatusText(e.Status))
}

// HTTPStatusCode is what Status asks for.
func (e *StatusError) HTTPStatusCode() int { return e.Status }
