package ecsserver

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"

	"github.com/aws/smithy-go"

	"brs-exec/internal/procfs"
)

// kind is a reason to refuse a request.
type kind int

const (
	accepted kind = iota
	noToken
	wrongToken
	wrongMethod
	wrongPath
	wrongHost
	browser
	otherUser
	stranger
	kinds
)

// problem is an answer other than 200.
type problem struct {
	status  int
	code    string
	message string
}

var refusals = [kinds]problem{
	noToken:     {401, "MissingToken", "the request has no Authorization header"},
	wrongToken:  {401, "WrongToken", "the Authorization header is not this endpoint's token"},
	wrongMethod: {405, "MethodNotAllowed", "this endpoint knows GET only"},
	wrongPath:   {404, "NotFound", "this endpoint's path is the one that AWS_CONTAINER_CREDENTIALS_FULL_URI names"},
	wrongHost:   {403, "HostNotAllowed", "the Host header must be 127.0.0.1, localhost or one that was allowed"},
	browser:     {403, "BrowserNotAllowed", "the request has an Origin, Referer or Sec-Fetch header, as of browsers"},
	otherUser:   {403, "UserNotAllowed", "the client is another user of this machine"},
	stranger:    {403, "NetworkNotAllowed", "the client is in no subnet of the interface that has this address"},
}

// refuse says why, once per kind as a warning.
func (h *handler) refuse(w http.ResponseWriter, r *http.Request, k kind) {
	h.refused[k].Add(1)
	// The SDK for JS asks without a token when it can't read the token file. That is no attack.
	if k != noToken && h.warned[k].CompareAndSwap(false, true) {
		h.logBeside(slog.LevelWarn, "request refused", h.describe(r, k, true)...)
	} else if h.o.Log.Enabled(r.Context(), slog.LevelDebug) {
		h.o.Log.LogAttrs(r.Context(), slog.LevelDebug, "request refused", h.describe(r, k, false)...)
	}
	if k == wrongMethod {
		w.Header().Set("Allow", http.MethodGet)
	}
	if k != wrongMethod && k != wrongPath || r.ContentLength != 0 {
		w.Header().Set("Connection", "close")
	}
	refusals[k].send(w)
}

// describe names the client as well as it can be known. It looks the process up while the client
// still waits for its answer: later the socket may be gone.
func (h *handler) describe(r *http.Request, k kind, withPeer bool) []slog.Attr {
	attrs := denied(r, refusals[k])
	switch k {
	case wrongHost:
		attrs = append(attrs, slog.String("host", firstLine(r.Host, 100)))
	case wrongMethod:
		attrs = append(attrs, slog.String("method", firstLine(r.Method, 20)))
	}
	if c := connOf(r.Context()); c != nil && withPeer {
		attrs = append(attrs, describePeer(c)...)
	}
	return attrs
}

// denied begins the record of an answer other than 200.
func denied(r *http.Request, p problem) []slog.Attr {
	return []slog.Attr{
		slog.String("event", "denied"), slog.Int("status", p.status), slog.String("code", p.code),
		slog.String("peer", peerOf(r)),
	}
}

// describePeer returns what is known about a connection's other end.
func describePeer(c *conn) []slog.Attr {
	if socket, ok := c.stream.(*net.UnixConn); ok {
		return describeLocal(socket)
	}
	if c.socket.Inode == 0 {
		return nil
	}
	attrs := []slog.Attr{slog.Uint64("uid", uint64(c.socket.UID))}
	if pid := newFinder(findForRefusal).owner(c.socket.Inode); pid != 0 {
		attrs = append(attrs, slog.Int("pid", pid), slog.String("name", procfs.Comm(pid)))
	}
	return attrs
}

// describeLocal is describePeer for a client of a share's socket.
func describeLocal(c *net.UnixConn) []slog.Attr {
	uid, pid, err := procfs.Peer(c)
	if err != nil {
		return nil
	}
	return []slog.Attr{
		slog.Uint64("uid", uint64(uid)), slog.Int("pid", pid), slog.String("name", procfs.Comm(pid)),
	}
}

// peerOf is where a request came from, for the log.
func peerOf(r *http.Request) string {
	if c := connOf(r.Context()); c != nil && c.isLocal() {
		return "socket"
	}
	return r.RemoteAddr
}

// answerUnavailable answers when there are no valid credentials. Some SDKs hide the reason, so the
// first answer of an outage is a warning, too.
func (h *handler) answerUnavailable(w http.ResponseWriter, r *http.Request, who *identity, err error) {
	p := h.explain(r.Context(), err)
	h.unavailable.Add(1)
	const message = "no valid credentials to answer with"
	attrs := append(denied(r, p), who.attrs()...)
	if p.message != "" {
		attrs = append(attrs, slog.String("message", p.message))
	}
	// Before the first answer the credentials are on their way: that is no outage.
	early := errors.Is(err, context.DeadlineExceeded) && who.last.Load() == nil
	mine := who.name == "" // who has given us a named one tells of it
	if mine && r.Context().Err() == nil && !early && who.outage.CompareAndSwap(false, true) {
		h.logBeside(slog.LevelWarn, message, attrs...)
	} else {
		h.o.Log.LogAttrs(r.Context(), slog.LevelDebug, message, attrs...)
	}
	if p.message == "" {
		p.message = "there are no valid credentials at present; brs-exec says why on its stderr"
	}
	p.send(w)
}

// explain turns a provider's error into an answer, with no message where AWS gave none. Of the
// error only the code and message that AWS gave are passed on: anything else may hold a path, a URL
// or, as the SDK's credential_process errors do, a program's whole output.
func (h *handler) explain(ctx context.Context, err error) problem {
	if ctx.Err() != nil {
		return problem{503, "Ending", "the command that brs-exec ran has ended"}
	}
	p := problem{503, "CredentialsUnavailable", ""}
	if h.o.Permanent(err) {
		p.status = 403
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok && api.ErrorCode() != "" {
		p.code, p.message = firstLine(api.ErrorCode(), 100), firstLine(api.ErrorMessage(), 500)
	}
	return p
}

// firstLine returns the first line of s, n bytes of it at most. Under SignatureDoesNotMatch the
// further lines are the canonical request, session token and all.
func firstLine(s string, n int) string {
	s, _, _ = strings.Cut(s, "\n")
	if len(s) > n {
		s = strings.ToValidUTF8(s[:n], "") + "…"
	}
	return s
}

// send writes both spellings: Go and Java read the one, others the other.
func (p problem) send(w http.ResponseWriter) {
	sendJSON(w, p.status, encodeJSON(map[string]string{
		"code": p.code, "message": p.message, "Code": p.code, "Message": p.message,
	}))
}
