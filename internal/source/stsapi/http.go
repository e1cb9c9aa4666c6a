package stsapi

import (
	"cmp"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"
	"unicode"

	"brs-exec/internal/roots"
	"brs-exec/internal/source/awserr"
	"brs-exec/internal/source/problem"
)

const (
	defaultConnectTimeout = 5 * time.Second
	defaultReadTimeout    = 10 * time.Second
	// idleTimeout lets the calls of one chain share a connection; the next refresh is far off.
	idleTimeout = 5 * time.Second
	// MaxAnswer bounds what is read of any answer: AWS's are below 16 KiB.
	MaxAnswer = 1 << 20
)

// An HTTP sends what the SDK's clients ask. It makes the TLS side at the first https request:
// reading root certificates is most of a start, and AssumeRole over loopback, a container endpoint
// or IMDS needs none.
type HTTP struct {
	Bundle        string // PEM file instead of the system's roots; "" for those
	connect, read time.Duration

	plain  *http.Client
	mu     sync.Mutex   // guards secure
	secure *http.Client // nil until it is needed
}

// NewHTTP makes one; timeouts of 0 stand for 5 s to connect and 10 s to the first byte of an
// answer.
func NewHTTP(bundle string, connect, read time.Duration) *HTTP {
	h := &HTTP{Bundle: bundle}
	h.connect, h.read = cmp.Or(connect, defaultConnectTimeout), cmp.Or(read, defaultReadTimeout)
	h.plain = client(h.transport())
	return h
}

// Checking is like h, but over http a connection that check refuses is closed before anything is
// sent by it. A certificate tells over https who is there.
func (h *HTTP) Checking(check func(net.Conn) error) *HTTP {
	c := &HTTP{Bundle: h.Bundle, connect: h.connect, read: h.read}
	t := c.transport()
	dial := t.DialContext
	t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		if err := check(conn); err != nil {
			conn.Close()
			return nil, err
		}
		return conn, nil
	}
	c.plain = client(t)
	return c
}

// Do is the interface of every client of the SDK.
func (h *HTTP) Do(r *http.Request) (*http.Response, error) {
	client, err := h.clientFor(r.URL)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(r)
	if err == nil {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, MaxAnswer), resp.Body}
	}
	return resp, err
}

func (h *HTTP) clientFor(u *url.URL) (*http.Client, error) {
	if u.Scheme != "https" {
		return h.plain, nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.secure != nil {
		return h.secure, nil
	}
	var err error
	h.secure, err = h.Secure(h.Bundle)
	return h.secure, err
}

// Secure makes a client with these timeouts that trusts the certificates in the file bundle, or the
// system's roots if it is "", and shows certs to a server that asks. Its error is the user's:
// bundle is a file of theirs.
func (h *HTTP) Secure(bundle string, certs ...tls.Certificate) (*http.Client, error) {
	t := h.transport()
	t.TLSClientConfig = &tls.Config{Certificates: certs}
	secure, err := roots.Transport(t, bundle)
	if err != nil {
		return nil, problem.Bad("a PEM file of root certificates", "%v", err)
	}
	return client(secure), nil
}

func (h *HTTP) transport() *http.Transport {
	return &http.Transport{
		Proxy:                 proxy,
		DialContext:           (&net.Dialer{Timeout: h.connect}).DialContext,
		TLSHandshakeTimeout:   h.connect,
		ResponseHeaderTimeout: h.read,
		IdleConnTimeout:       idleTimeout,
		MaxIdleConnsPerHost:   1,
	}
}

// client follows no redirect: a signed request must not go to another host.
func client(t http.RoundTripper) *http.Client {
	return &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Get sends r by client and reads the answer. It is for requests that no client of the SDK makes.
// Errors name service and not the URL, which may be secret.
func Get(client interface {
	Do(*http.Request) (*http.Response, error)
}, r *http.Request, service string) (
	status int, body []byte, err error,
) {
	resp, err := client.Do(r)
	if err == nil {
		defer resp.Body.Close()
		status = resp.StatusCode
		body, err = io.ReadAll(io.LimitReader(resp.Body, MaxAnswer))
	}
	if err != nil {
		return 0, nil, awserr.WithoutURL(service, err)
	}
	return status, body, nil
}

// proxy is the environment's, but never for an endpoint on this machine or link: a proxy can't
// reach those, and would see the credentials. (Go's own rule leaves out loopback only.)
func proxy(r *http.Request) (*url.URL, error) {
	ip, err := netip.ParseAddr(r.URL.Hostname())
	if err == nil && (ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsPrivate() && r.URL.Scheme == "http") {
		return nil, nil
	}
	if variable := badProxy(r.URL.Scheme); variable != "" {
		return nil, problem.Bad("export "+variable+"=http://HOST:PORT, without a space or line break",
			"%s is no URL", variable)
	}
	u, err := http.ProxyFromEnvironment(r)
	if err != nil { // it would show the proxy's password
		return nil, problem.Bad("http://HOST:PORT", "HTTPS_PROXY or HTTP_PROXY is no URL")
	}
	return u, nil
}

// badProxy is the variable of a proxy that can't be parsed. Go leaves it out in silence, and would
// go around the proxy. "": none is wrong.
func badProxy(scheme string) string {
	for _, variable := range []string{strings.ToUpper(scheme) + "_PROXY", scheme + "_proxy"} {
		value := os.Getenv(variable)
		if value == "" {
			continue
		}
		if !strings.Contains(value, "://") {
			value = "http://" + value
		}
		if u, err := url.Parse(value); err != nil || u.Host == "" || strings.ContainsFunc(value, unicode.IsSpace) {
			return variable
		}
		return ""
	}
	return ""
}

// Loopback says whether host is this machine.
func Loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
