package source

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
)

const (
	defaultConnectTimeout = 5 * time.Second
	defaultReadTimeout    = 10 * time.Second
	// idleTimeout is enough for the calls of one chain to share a connection; the next refresh is far off.
	idleTimeout = 5 * time.Second
	// maxAnswer bounds what is read of any answer: AWS's are below 16 KiB.
	maxAnswer = 1 << 20
)

// An httpClient sends what the SDK's clients ask. The TLS side is made at the first https request: reading root
// certificates is most of a start, and AssumeRole over loopback, a container endpoint or IMDS needs none.
type httpClient struct {
	connect, read time.Duration
	bundle        string // PEM file instead of the system's roots; "" for those
	tlsConfig     func(host, bundle string) (*tls.Config, error)

	plain  *http.Client
	mu     sync.Mutex              // guards secure
	secure map[string]*http.Client // by IP address; "" for the hosts that have a name
}

func newHTTPClient(o *Options, bundle string) *httpClient {
	h := &httpClient{
		secure: make(map[string]*http.Client), connect: orDefault(o.ConnectTimeout, defaultConnectTimeout), read: orDefault(o.ReadTimeout, defaultReadTimeout),
		bundle: bundle, tlsConfig: o.TLS,
	}
	if h.tlsConfig == nil {
		h.tlsConfig = tlsFromBundle
	}
	h.plain = h.over(nil)
	return h
}

func orDefault(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}

// Do is the interface of every client of the SDK.
func (h *httpClient) Do(r *http.Request) (*http.Response, error) {
	client, err := h.client(r.URL)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(r)
	if err == nil {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	}
	return resp, err
}

func (h *httpClient) client(u *url.URL) (*http.Client, error) {
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
	c, err := h.tlsFor(host, h.bundle)
	if err != nil {
		return nil, err
	}
	h.secure[host] = h.over(c)
	return h.secure[host], nil
}

func (h *httpClient) tlsFor(host, bundle string) (*tls.Config, error) {
	c, err := h.tlsConfig(host, bundle)
	if err != nil {
		return nil, badInput("a PEM file of root certificates", "%v", err)
	}
	return c, nil
}

func (h *httpClient) over(c *tls.Config) *http.Client {
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

// proxy is the environment's, but never for an endpoint on this machine or link: a proxy can't reach those, and would
// see the credentials. (Go's own rule leaves out loopback only.)
func proxy(r *http.Request) (*url.URL, error) {
	if ip, err := netip.ParseAddr(r.URL.Hostname()); err == nil && (ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsPrivate() && r.URL.Scheme == "http") {
		return nil, nil
	}
	u, err := http.ProxyFromEnvironment(r)
	if err != nil { // it would show the proxy's password
		return nil, badInput("http://HOST:PORT", "HTTPS_PROXY or HTTP_PROXY is no URL")
	}
	return u, nil
}

// tlsFromBundle is the SDK's meaning of AWS_CA_BUNDLE: these roots and no others.
func tlsFromBundle(_, bundle string) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if bundle == "" {
		return c, nil
	}
	pem, err := os.ReadFile(bundle)
	if err != nil {
		return nil, fmt.Errorf("CA bundle: %w", err)
	}
	c.RootCAs = x509.NewCertPool()
	if !c.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("CA bundle %s holds no PEM certificate", bundle)
	}
	return c, nil
}

// caBundle is the file whose roots count: the flag's, the variable's, the profile's; checked to be readable here, and
// parsed only if anything uses TLS.
func caBundle(o *Options, env *config.EnvConfig, shared *config.SharedConfig) (string, error) {
	for _, c := range []struct{ from, file string }{
		{"--ca-bundle", o.CABundle}, {"AWS_CA_BUNDLE", env.CustomCABundle}, {"ca_bundle of profile " + shared.Profile, shared.CustomCABundle},
	} {
		if c.file == "" {
			continue
		}
		f, err := os.Open(c.file)
		if err != nil {
			return "", badInput("a PEM file of root certificates", "%s: %v", c.from, err)
		}
		return c.file, f.Close()
	}
	return "", nil
}
