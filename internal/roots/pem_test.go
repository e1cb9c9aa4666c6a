package roots

import (
	"bytes"
	"cmp"
	"crypto/x509"
	"encoding/pem"
	"os"
	"slices"
	"testing"

	"brs-exec/need"
)

// everything is what AppendCertsFromPEM adds to a pool, one by one.
func everything(data []byte) (out []*x509.Certificate) {
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			return out
		}
		if block.Type != "CERTIFICATE" || len(block.Headers) != 0 {
			continue
		}
		if cert, err := x509.ParseCertificate(block.Bytes); err == nil {
			out = append(out, cert)
		}
	}
}

// TestNamedInTheSystem: of the roots that this machine trusts, each is found by its name, and no
// other one.
func TestNamedInTheSystem(t *testing.T) {
	file := "/etc/ssl/certs/ca-certificates.crt"
	data, err := os.ReadFile(file)
	need.That(t, err == nil, file, "apt-get install ca-certificates")
	all := everything(data)
	if len(all) < 50 {
		t.Fatalf("got %d roots in %s; want the Mozilla list", len(all), file)
	}
	for _, root := range all {
		want := x509.NewCertPool()
		for _, other := range all {
			if bytes.Equal(other.RawSubject, root.RawSubject) {
				want.AddCert(other)
			}
		}
		if got := named(data, [][]byte{root.RawSubject}); !want.Equal(got) {
			t.Errorf("%v: got other certificates than those of that subject", root.Subject)
		}
	}
}

// TestAmazonsRoots: five of the system's roots have names that are looked for first, as many as
// AWS's CA lists.
func TestAmazonsRoots(t *testing.T) {
	file := "/etc/ssl/certs/ca-certificates.crt"
	data, err := os.ReadFile(file)
	need.That(t, err == nil, file, "apt-get install ca-certificates")
	want := x509.NewCertPool()
	for _, root := range everything(data) {
		switch root.Subject.CommonName {
		case "Amazon Root CA 1", "Amazon Root CA 2", "Amazon Root CA 3", "Amazon Root CA 4", "Starfield Services Root Certificate Authority - G2":
			want.AddCert(root)
		}
	}
	if got := named(data, awsNames); !want.Equal(got) {
		t.Error("got other certificates than Amazon's roots 1 to 4 and Starfield Services's")
	}
}

// FuzzIssuers: whatever a bundle holds, nothing is trusted that crypto/x509 would not trust, and if
// no header (a colon) is in it nothing is missed. The certificates are files, good until 2126: each
// fuzzing process must know the same ones.
func FuzzIssuers(f *testing.F) {
	one, two := must(os.ReadFile("testdata/a.pem")), must(os.ReadFile("testdata/b.pem"))
	a, b := everything(one)[0], everything(two)[0]
	leaf := everything(must(os.ReadFile("testdata/leaf.pem")))[0]
	f.Add(slices.Concat(one, two))
	f.Add(slices.Concat([]byte("# Subject: CN=A\r\n"), two, []byte("garbage\n"), one, []byte("-----BEGIN CERTIFICATE-----\n")))
	f.Add(bytes.ReplaceAll(one, []byte("\n"), []byte("\r\n")))
	f.Add(slices.Concat([]byte("-----BEGIN X-----\n-----END X: y-----\na: b\n"), one))
	f.Add(slices.Concat([]byte("-----BEGIN X-----\na: b\n\n-----END X-----\n"), one))
	f.Add(slices.Concat([]byte("-----BEGIN CERTIFICATE-----\n"), one[:60], []byte("\n-----END \n"), one))
	f.Add(slices.Concat([]byte(" "), one, []byte("-----END CERTIFICATE----- x\n"), one))
	f.Fuzz(func(t *testing.T, data []byte) {
		want := x509.NewCertPool()
		want.AppendCertsFromPEM(data)
		got := cmp.Or(named(data, [][]byte{leaf.RawIssuer, b.RawIssuer}), x509.NewCertPool())
		for _, cert := range []*x509.Certificate{a, b, leaf} {
			_, g := cert.Verify(x509.VerifyOptions{Roots: got})
			_, w := cert.Verify(x509.VerifyOptions{Roots: want})
			if g == nil && w != nil {
				t.Errorf("%v is trusted, but not by crypto/x509", cert.Subject)
			}
			if w == nil && g != nil && !bytes.ContainsRune(data, ':') && bytes.Contains(data, one) {
				t.Errorf("%v is not found", cert.Subject)
			}
		}
	})
}
