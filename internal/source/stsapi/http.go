package stsapi

import (
	"cmp"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"brs-exec/internal/roots"
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
	mu     sync.Mutex              // guards secure
	secure map[string]*http.Client // by IP address; "" for the hosts that have a name
}

// NewHTTP makes one; timeouts of 0 stand for 5 s to connect and 10 s to the first byte of an
// answer.
func NewHTTP(bundle string, connect, read time.Duration) *HTTP {
	h := &HTTP{Bundle: bundle, secure: make(map[string]*http.Client)}
	h.connect, h.read = cmp.Or(connect, defaultConnectTimeout), cmp.Or(read, defaultReadTimeout)
	h.plain = h.Over(nil)
	return h
}

// Do is the interface of every client of the SDK.
func (h *HTTP) Do(r *http.Request) (*http.Response, error) {
	client, err := h.client(r.URL)
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

func (h *HTTP) client(u *url.URL) (*http.Client, error) {
	if u.Scheme != "https" {
		return h.plain, nil
	}
	host := u.Hostname()
	if net.ParseIP(host) == nil {
		host = ""
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if c := h.secure[host]; c != nil {
		return c, nil
	}
	c, err := TLSFor(host, h.Bundle)
	if err != nil {
		return nil, err
	}
	h.secure[host] = h.Over(c)
	return h.secure[host], nil
}

// TLSFor is roots.Config, whose error is the user's: bundle is a file of theirs.
func TLSFor(host, bundle string) (*tls.Config, error) {
	c, err := roots.Config(host, bundle)
	if err != nil {
		return nil, problem.Bad("a PEM file of root certificates", "%v", err)
	}
	return c, nil
}

// Over makes a client with these timeouts over c.
func (h *HTTP) Over(c *tls.Config) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                 proxy,
			DialContext:           (&net.Dialer{Timeout: h.connect}).DialContext,
			TLSClientConfig:       c,
			TLSHandshakeTimeout:   h.connect,
			ResponseHeaderTimeout: h.read,
			IdleConnTimeout:       idleTimeout,
			MaxIdleConnsPerHost:   1,
		},
		// A signed request must not follow a redirect to another host.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// proxy is the environment's, but never for an endpoint on this machine or link: a proxy can't
// reach those, and would see the credentials. (Go's own rule leaves out loopback only.)
func proxy(r *http.Request) (*url.URL, error) {
	ip, err := netip.ParseAddr(r.URL.Hostname())
	if err == nil && (ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsPrivate() && r.URL.Scheme == "http") {
		return nil, nil
	}
	u, err := http.ProxyFromEnvironment(r)
	if err != nil { // it would show the proxy's password
		return nil, problem.Bad("http://HOST:PORT", "HTTPS_PROXY or HTTP_PROXY is no URL")
	}
	return u, nil
}

// Loopback says whether host is this machine.
func Loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
