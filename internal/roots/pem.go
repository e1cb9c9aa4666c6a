package roots

import (
	"bytes"
	"cmp"
	"crypto/x509"
	"encoding/base64"
)

var (
	begin    = []byte("-----BEGIN CERTIFICATE-----")
	anyBegin = []byte("-----BEGIN")
	end      = []byte("\n-----END ")
)

// headLen is how many characters of a certificate's base64 are decoded to look for a name: about 470 bytes. A root's
// issuer, which is itself, stands in the first 50 to 250, its subject behind that.
const headLen = 640

// named returns a pool of the certificates in data that have one of names in their first bytes; nil if there is none.
// It never holds one that AppendCertsFromPEM(data) would not add.
//
// crypto/x509 says what a certificate is; the search before it only says which blocks are worth parsing. Decoding all of
// Debian's bundle takes 1.1 ms, and parsing it 1.8 more.
func named(data []byte, names [][]byte) *x509.CertPool {
	pool, found := x509.NewCertPool(), false
	for {
		// As in encoding/pem, a block is the last BEGIN before the next END.
		before, after, ok := bytes.Cut(data, end)
		start := lastIndex(before, anyBegin)
		eol := len(before) + len(end) + len(line(after))
		// A colon makes a header, and with some headers encoding/pem gives up on all that follows. So do we.
		if !ok || start >= 0 && bytes.IndexByte(data[start:eol], ':') >= 0 {
			break
		}
		if start >= 0 && hasName(before[start:], names) {
			found = pool.AppendCertsFromPEM(data[:eol]) || found
		}
		data = after
	}
	if !found {
		return nil
	}
	return pool
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

// hasName looks for a name in the first bytes of a certificate.
func hasName(block []byte, names [][]byte) bool {
	text, ok := bytes.CutPrefix(block, begin)
	if !ok {
		return false
	}
	var der [headLen]byte
	n, _ := base64.StdEncoding.Decode(der[:], text[:min(len(text), headLen)]) // the error is about the cut
	for _, name := range names {
		if bytes.Contains(der[:n], name) {
			return true
		}
	}
	return false
}
