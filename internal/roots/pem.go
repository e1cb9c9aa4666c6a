package roots

import (
	"bytes"
	"cmp"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
)

var (
	begin    = []byte("-----BEGIN CERTIFICATE-----")
	anyBegin = []byte("-----BEGIN")
	end      = []byte("\n-----END ")
)

// head is how many characters of a certificate's base64 are decoded to see whether it may be an issuer: about 470 bytes.
// A root's issuer, which is itself, stands in the first 50 to 250, its subject behind that. A name that lies further back
// is found by the second verification.
const head = 640

// issuers returns a pool of those certificates in data whose subject may be an issuer in chain. It never holds one that
// AppendCertsFromPEM(data) would not add.
//
// encoding/pem and crypto/x509 say what a certificate is; the search before them (a decoded head that contains an issuer's
// bytes) only says which blocks are worth asking about: decoding all of Debian's bundle takes 1.1 ms, parsing it 1.8 more.
func issuers(data []byte, chain []*x509.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	for {
		// As encoding/pem does it: a block is the last BEGIN before the next END.
		stop := bytes.Index(data, end)
		if stop < 0 {
			return pool
		}
		next := stop + len(end)
		if start := lastIndex(data[:stop], anyBegin); start >= 0 {
			eol := next + len(line(data[next:]))
			// A colon makes a header, and with some headers encoding/pem gives up on all that follows. So do we.
			if bytes.IndexByte(data[start:eol], ':') >= 0 {
				return pool
			}
			if mayIssue(data[start:stop], chain) {
				addBlock(pool, data[:eol])
			}
		}
		data = data[next:]
	}
}

// lastIndex is bytes.LastIndex, which looks backward and byte by byte, at several times its speed where sep is rare.
func lastIndex(data, sep []byte) int {
	last := -1
	for {
		i := bytes.Index(data[last+1:], sep)
		if i < 0 {
			return last
		}
		last += 1 + i
	}
}

// line is data up to and with its first newline.
func line(data []byte) []byte {
	return data[:cmp.Or(bytes.IndexByte(data, '\n')+1, len(data))]
}

// mayIssue looks for an issuer's name in the first bytes of a certificate.
func mayIssue(block []byte, chain []*x509.Certificate) bool {
	text, ok := bytes.CutPrefix(block, begin)
	if !ok {
		return false
	}
	var der [head]byte
	n, _ := base64.StdEncoding.Decode(der[:], text[:min(len(text), head)]) // the error is about the cut
	for _, cert := range chain {
		if bytes.Contains(der[:n], cert.RawIssuer) {
			return true
		}
	}
	return false
}

// addBlock adds the block at the end of data by the rules of AppendCertsFromPEM.
func addBlock(pool *x509.CertPool, data []byte) {
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "CERTIFICATE" || len(block.Headers) != 0 {
		return
	}
	if cert, err := x509.ParseCertificate(block.Bytes); err == nil {
		pool.AddCert(cert)
	}
}
