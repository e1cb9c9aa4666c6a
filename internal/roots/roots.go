// Package roots trusts the system's roots without parsing them all.
//
// On Linux crypto/x509 parses every root that it finds: a bundle file and then a directory that
// holds the same certificates twice more, 430 in all on Debian. That is two thirds of the time in
// which a wrapper that makes one https call is ready. This package reads the bundle file alone and
// parses only the certificates that an AWS server's chain can end in.
//
// # Neither stricter nor laxer
//
// crypto/tls verifies every handshake. The first attempt has a RootCAs pool of Amazon's roots,
// which are a part of what crypto/x509 trusts in the same environment: a chain that passes would
// pass there. When a certificate fails (a company's proxy, an endpoint of one's own, GitHub), the
// handshake is repeated once as if this package weren't there. That verdict is the one returned,
// and all later connections are made the same way. A handshake that fails has sent nothing of the
// request. SSL_CERT_FILE and SSL_CERT_DIR keep their meaning; a bundle of the user's own
// (--ca-bundle, AWS_CA_BUNDLE) replaces the system's roots, as in the AWS SDKs, and is parsed
// whole.
//
// On macOS, Windows and the other Unixes the system's roots are crypto/x509's business alone.
package roots

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync/atomic"
)

// awsNames are in the subjects of the roots that AWS's own CA asks everyone to trust. Its page says
// that names are no ground for trust; here they only choose what to parse first.
// https://www.amazontrust.com/repository/
var awsNames = [][]byte{[]byte("Amazon Root "), []byte("Starfield Services Root Certificate Authority")}

// Transport returns t with its roots: the certificates in the file bundle, or the system's if it is
// "". t's own TLS settings, such as a client certificate, stay. The error is about bundle: it can't
// be read, or holds no certificate. The transport that is returned is safe for concurrent use and
// may keep a request's body in memory.
func Transport(t *http.Transport, bundle string) (http.RoundTripper, error) {
	if bundle == "" {
		data, _ := os.ReadFile(systemBundle()) // an error shows again later, in crypto/x509's words
		aws := named(data, awsNames)
		if aws == nil {
			return withRoots(t, nil), nil
		}
		return &fallback{first: withRoots(t, aws), system: withRoots(t, nil)}, nil
	}
	data, err := readFile(bundle)
	if err != nil {
		return nil, fmt.Errorf("CA bundle: %w", err)
	}
	if !bytes.Contains(data, begin) {
		return nil, fmt.Errorf("CA bundle %s: no PEM certificate in it", bundle)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(data)
	return withRoots(t, pool), nil
}

// withRoots returns a copy of t that trusts pool; nil is the system's roots.
func withRoots(t *http.Transport, pool *x509.CertPool) *http.Transport {
	t = t.Clone()
	if t.TLSClientConfig == nil {
		t.TLSClientConfig = new(tls.Config)
	}
	t.TLSClientConfig.MinVersion, t.TLSClientConfig.RootCAs = tls.VersionTLS12, pool
	return t
}

// fallback sends requests by first until a certificate fails there, and then by system. It stands
// above the transports and not in a DialTLSContext, which net/http doesn't call for a connection
// through a proxy.
type fallback struct {
	first, system *http.Transport
	failed        atomic.Bool
}

func (f *fallback) RoundTrip(r *http.Request) (*http.Response, error) {
	if f.failed.Load() {
		return f.system.RoundTrip(r)
	}
	var body []byte
	// net/http closes the body even after a failed handshake, and the SDK's requests have no
	// GetBody.
	if r.Body != nil && r.Body != http.NoBody {
		var err error
		body, err = io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil {
			return nil, err
		}
	}
	resp, err := f.first.RoundTrip(withBody(r, body))
	// Not x509.UnknownAuthorityError alone: a root that has expired may have been renewed in
	// SSL_CERT_DIR.
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); !ok {
		return resp, err
	}
	f.failed.Store(true)
	f.first.CloseIdleConnections()
	return f.system.RoundTrip(withBody(r, body))
}

// withBody returns a copy of r whose body can be read from its beginning; r itself if it has none.
func withBody(r *http.Request, body []byte) *http.Request {
	if body == nil {
		return r
	}
	r = r.WithContext(r.Context())
	r.Body = io.NopCloser(bytes.NewReader(body))
	return r
}

// CloseIdleConnections is what http.Client calls by that name.
func (f *fallback) CloseIdleConnections() {
	f.first.CloseIdleConnections()
	f.system.CloseIdleConnections()
}

// sizeLimit is ten times that of the largest bundle in use: a pipe has no size of its own.
const sizeLimit = 4 << 20

func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, sizeLimit))
}
