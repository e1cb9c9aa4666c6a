package sandbox

import (
	"encoding/xml"
	"errors"
	"net"
	"net/http"
)

// An Error is answered as AWS's ErrorResponse.
type Error struct {
	Status        int // HTTP status; 5xx are the service's fault, others the sender's
	Code, Message string
}

func (e Error) Error() string { return e.Code + ": " + e.Message }

// Passing faults, worded as AWS words them.
var (
	Throttling      = badRequest("Throttling", "Rate exceeded")
	InternalFailure = Error{Status: http.StatusInternalServerError, Code: "InternalFailure",
		Message: "The request processing has failed because of an unknown error, exception or failure."}
	ServiceUnavailable = Error{Status: http.StatusServiceUnavailable, Code: "ServiceUnavailable",
		Message: "The request has failed due to a temporary failure of the server."}
)

// AccessDenied is the answer when no policy allows the caller to make the call c.
func AccessDenied(c Call) Error {
	if c.Action == "AssumeRoleWithWebIdentity" {
		return forbidden("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")
	}
	msg := "User: " + c.CallerARN + " is not authorized to perform: sts:" + c.Action
	if arn := c.Params.Get("RoleArn"); arn != "" {
		msg += " on resource: " + arn
	}
	return forbidden("AccessDenied", msg)
}

// The faults of a network: no answer.
var (
	ErrHang  = errors.New("sandbox: hang")  // until the client leaves
	ErrReset = errors.New("sandbox: reset") // the connection ends with RST; over TLS and HTTP/2 it is only closed
)

func codeOf(err error) string {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[Error](err); ok {
		return e.Code
	}
	return err.Error()
}

type errorResponse struct {
	XMLName xml.Name `xml:"ErrorResponse"`
	NS      string   `xml:"xmlns,attr"`
	Error   struct{ Type, Code, Message string }
	ID      string `xml:"RequestId"`
}

type response struct {
	XMLName  xml.Name
	NS       string `xml:"xmlns,attr"`
	Result   any
	Metadata struct{ RequestId string } `xml:"ResponseMetadata"`
}

// answer writes what an action returned.
func answer(w http.ResponseWriter, r *http.Request, action string, result any, err error) {
	if err != nil {
		refuse(w, r, err)
		return
	}
	ok := response{XMLName: xml.Name{Local: action + "Response"}, NS: namespace, Result: result}
	ok.Metadata.RequestId = w.Header().Get("x-amzn-RequestId")
	send(w, http.StatusOK, ok)
}

func refuse(w http.ResponseWriter, r *http.Request, err error) {
	switch err {
	case ErrHang:
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	case ErrReset:
		reset(w)
		return
	}
	e, ok := errors.AsType[Error](err)
	if !ok { // a Fault of the test's own
		e = InternalFailure
		e.Message = err.Error()
	}
	body := errorResponse{NS: namespace, ID: w.Header().Get("x-amzn-RequestId")}
	body.Error.Type, body.Error.Code, body.Error.Message = "Sender", e.Code, e.Message
	if e.Status >= 500 {
		body.Error.Type = "Receiver"
	}
	send(w, e.Status, body)
}

func send(w http.ResponseWriter, status int, body any) {
	text, err := xml.MarshalIndent(body, "", "  ")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(status)
	w.Write(append(text, '\n'))
}

// reset makes the kernel send RST: a socket closed with linger 0 drops what is in flight.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil { // HTTP/2: the nearest thing
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	conn.Close()
}
