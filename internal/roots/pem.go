package roots

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"slices"
)

var (
	begin    = []byte("-----BEGIN CERTIFICATE-----")
	anyBegin = []byte("-----BEGIN")
	end      = []byte("\n-----END ")
)

// headLen is how many characters of a certificate's base64 are decoded to look for a name: about
// 470 bytes. The first 50 to 250 have a root's issuer, which is itself.
const headLen = 640

// named returns a pool of the certificates in data that have one of names in their first bytes; nil
// if there is none. It never holds one that AppendCertsFromPEM(data) would not add: the search only
// says which blocks are worth parsing. Decoding all of Debian's bundle takes 1.1 ms, and parsing it
// 1.8 more.
func named(data []byte, names [][]byte) *x509.CertPool {
	pool, found := x509.NewCertPool(), false
	for {
		// As in encoding/pem, a block is the last BEGIN before the next END.
		before, after, ok := bytes.Cut(data, end)
		start := lastIndex(before, anyBegin)
		line, _, _ := bytes.Cut(after, []byte("\n"))
		eol := len(before) + len(end) + len(line)
		// A colon makes a header, and with some headers encoding/pem gives up on all that follows.
		// named does, too.
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

// lastIndex is bytes.LastIndex, which looks backward and byte by byte, at several times its speed
// where sep is rare.
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

// hasName looks for a name in the first bytes of a certificate.
func hasName(block []byte, names [][]byte) bool {
	text, ok := bytes.CutPrefix(block, begin)
	if !ok {
		return false
	}
	var der [headLen]byte
	n, _ := base64.StdEncoding.Decode(der[:], text[:min(len(text), headLen)]) // the error is about the cut
	return slices.ContainsFunc(names, func(name []byte) bool { return bytes.Contains(der[:n], name) })
}
