package roots

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// BenchmarkFirstVerification is what a start pays once: one chain against this machine's roots. The
// baseline beside it is what crypto/x509 does at first use, the bundle and its directory.
func BenchmarkFirstVerification(b *testing.B) {
	const file, dir = "/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/certs"
	system, err := os.ReadFile(file)
	if err != nil {
		b.Skipf("SKIPPED: %v", err)
	}
	ca := newCA("Amazon Root CA 1")
	chain := []*x509.Certificate{ca.issue(leafTemplate("localhost")).cert}
	bundle := slices.Concat(system, ca.pem())
	mine := filepath.Join(b.TempDir(), "ca.pem")
	if err := os.WriteFile(mine, bundle, 0o600); err != nil {
		b.Fatal(err)
	}
	b.Setenv("SSL_CERT_FILE", mine)
	b.Run("roots", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			pool := named(must(os.ReadFile(systemBundle())), awsNames)
			if _, err := chain[0].Verify(x509.VerifyOptions{Roots: pool, DNSName: "localhost"}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("bundle", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			pool := x509.NewCertPool()
			pool.AppendCertsFromPEM(must(os.ReadFile(mine)))
			if _, err := chain[0].Verify(x509.VerifyOptions{Roots: pool, DNSName: "localhost"}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("bundle and directory", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			pool := x509.NewCertPool()
			pool.AppendCertsFromPEM(must(os.ReadFile(mine)))
			for _, entry := range must(os.ReadDir(dir)) {
				if data, err := os.ReadFile(filepath.Join(dir, entry.Name())); err == nil {
					pool.AppendCertsFromPEM(data)
				}
			}
			if _, err := chain[0].Verify(x509.VerifyOptions{Roots: pool, DNSName: "localhost"}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
