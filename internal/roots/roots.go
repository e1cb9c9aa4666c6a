// Package roots verifies TLS servers against the system's roots without parsing them all.
//
// On Linux crypto/x509 parses every root that it finds: a bundle file and then a directory that holds the same certificates
// twice more, 430 in all on Debian. That is two thirds of the time in which a wrapper that makes one https call is ready.
// This package reads the bundle file alone, when a server has shown its chain, and parses the few certificates in it whose
// subject is an issuer that the chain needs. When the chain doesn't verify with those, crypto/x509's own pool decides.
//
// # Neither stricter nor laxer
//
// Every verification is x509.Certificate.Verify's: name, times, usage, constraints. What is trusted first is a subset of what
// crypto/x509 trusts in the same environment, so a chain that passes would pass there; one that fails is verified again by
// crypto/x509 as if this package weren't there, and that error is the one returned. SSL_CERT_FILE and SSL_CERT_DIR keep
// their meaning; a bundle of the user's own (--ca-bundle, AWS_CA_BUNDLE) replaces the system's roots, as in the AWS SDKs.
// The one thing to know: the file is read again at each handshake, so a root that is added to it works without a restart.
//
// # InsecureSkipVerify
//
// It is set, and VerifyConnection does the verifying, for every handshake, a resumed one included. That is how crypto/tls
// documents it ("Config.VerifyConnection" example), and the only place that knows the chain before the roots are needed: a
// RootCAs pool must be complete before the handshake, and what would complete it (a first connection that fails, only to
// learn the chain) costs more than it saves. crypto/tls doesn't tell VerifyConnection the name of a server that is addressed
// by IP, so for such a host, where crypto/tls must be asked by its own rules, Config sets RootCAs instead. The same holds in
// FIPS 140 mode, which has its own rules for chains. A server without a name is an error, never a pass.
//
// # Elsewhere
//
// On macOS, Windows and the other Unixes Config leaves the system's roots to crypto/x509; a bundle works the same everywhere.
//
// A Config is safe for concurrent use and keeps no state but a bundle's bytes.
package roots

import (
	"bytes"
	"crypto/fips140"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
)

// Config returns a client's TLS configuration that trusts the certificates in the file bundle, or the system's if it is "".
// host is the server's, as in its URL, if it may be an IP address; a name or "" will do for any server that has a name.
// The error is about bundle: it can't be read, or holds no certificate. No certificate is parsed before it is needed.
func Config(host, bundle string) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if bundle == "" {
		if systemBundle() != "" && !isIP(host) && !fips140.Enabled() {
			deferTo(c, verifier{})
		}
		return c, nil
	}
	data, err := os.ReadFile(bundle)
	if err != nil {
		return nil, fmt.Errorf("CA bundle: %w", err)
	}
	if !bytes.Contains(data, begin) {
		return nil, fmt.Errorf("CA bundle %s: no PEM certificate in it", bundle)
	}
	v := verifier{bundle: data}
	if isIP(host) || fips140.Enabled() {
		c.RootCAs = v.all()
	} else {
		deferTo(c, v)
	}
	return c, nil
}

func deferTo(c *tls.Config, v verifier) {
	c.InsecureSkipVerify = true // VerifyConnection verifies: see the package comment
	c.VerifyConnection = v.connection
}

// isIP is crypto/tls's rule for a name that it won't send as SNI, and so won't tell VerifyConnection.
func isIP(host string) bool {
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if i := strings.LastIndexByte(host, '%'); i > 0 {
		host = host[:i]
	}
	return net.ParseIP(host) != nil
}

// verifier trusts the certificates of a bundle, or the system's if it is nil.
type verifier struct{ bundle []byte }

// connection is a tls.Config's VerifyConnection. Its error is what crypto/tls returns where it verifies itself.
func (v verifier) connection(cs tls.ConnectionState) error {
	if cs.ServerName == "" {
		return errors.New("roots: the server has no name that could be verified: Config was not given its IP address")
	}
	if err := v.verify(cs.PeerCertificates, cs.ServerName); err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: cs.PeerCertificates, Err: err}
	}
	return nil
}

func (v verifier) verify(chain []*x509.Certificate, name string) error {
	if len(chain) == 0 {
		return errors.New("roots: the server sent no certificate")
	}
	opts := x509.VerifyOptions{DNSName: name, Intermediates: x509.NewCertPool()}
	for _, cert := range chain[1:] {
		opts.Intermediates.AddCert(cert)
	}
	data := v.bundle
	if data == nil {
		data, _ = os.ReadFile(systemBundle()) // an error shows again below, in crypto/x509's words
	}
	opts.Roots = issuers(data, chain)
	if _, err := chain[0].Verify(opts); err == nil {
		return nil
	}
	opts.Roots = v.all()
	_, err := chain[0].Verify(opts)
	return err
}

// all is what is trusted, whole. nil means the system's roots to crypto/x509.
func (v verifier) all() *x509.CertPool {
	if v.bundle == nil {
		return nil
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(v.bundle)
	return pool
}
