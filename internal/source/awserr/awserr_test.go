package awserr

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"brs-exec/internal/source/problem"
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
		{"input", problem.Bad("", "x"), true, false},
		{"input below", fmt.Errorf("x: %w", problem.Prefix(problem.Input{Variable: "Y"}, problem.Bad("", "x"))), true, false},
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
		{"status alone", &StatusError{Status: 401}, true, false},
		{"status that passes", &StatusError{Status: 502}, false, false},
	} {
		if Permanent(c.err) != c.permanent || c.err != nil && Throttled(c.err) != c.throttle {
			t.Errorf("%s: permanent %v, throttled %v; want %v, %v", c.name, Permanent(c.err), Throttled(c.err), c.permanent, c.throttle)
		}
	}
	if !Denied(answered(403, nil, code("AccessDenied", ""))) || Denied(answered(403, nil, code("InvalidClientTokenId", ""))) {
		t.Error("Denied is for AccessDenied alone")
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
		if got := Describe(c.err); got != c.want {
			t.Errorf("Describe(%v) = %q; want %q", c.err, got, c.want)
		}
	}
}
