package source

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// An answer without AWS's words is told by who gave it and its status.
func TestBareStatus(t *testing.T) {
	useTestKeys(t)
	for _, c := range []struct {
		status    int
		body      string
		permanent bool
	}{
		{302, "", false}, {302, "<html>", false}, {302, "<html></html>", false}, {404, "", true}, {404, "404 page not found\n", true},
		{403, "<ErrorResponse></ErrorResponse>", true}, {502, "", false}, {200, "<html>", false},
	} {
		sts := newStub(t)
		sts.answer = func(w http.ResponseWriter, _ request) bool {
			w.Header().Set("Location", "https://login.example/?hush")
			w.WriteHeader(c.status)
			io.WriteString(w, c.body)
			return true
		}
		_, err := mustNew(t, Options{RoleARNs: []string{testRole}}).Retrieve(t.Context())
		host := strings.TrimPrefix(sts.URL, "http://")
		want := fmt.Sprintf("assume role %s: %s: HTTP %d with an answer that isn't AWS's", testRole, host, c.status)
		if err == nil || err.Error() != want {
			t.Errorf("%d %q: %v; want %s", c.status, c.body, err, want)
		}
		if hintOf(err) == "" || Permanent(err) != c.permanent {
			t.Errorf("%d: %v: hint %q, permanent %v", c.status, err, hintOf(err), Permanent(err))
		}
	}
}

// Roots don't help where the server is another, nor against a clock.
func TestCertificateHints(t *testing.T) {
	useTestKeys(t)
	srv := httptest.NewUnstartedServer(http.NotFoundHandler())
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	defer srv.Close()
	bundle := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(bundle, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := mustNew(t, Options{RoleARNs: []string{testRole}, CABundle: bundle,
		STSEndpointURL: strings.Replace(srv.URL, "127.0.0.1", "localhost", 1)}).Retrieve(t.Context())
	if hint := hintOf(err); err == nil || !strings.Contains(hint, "--sts-endpoint-url") || strings.Contains(hint, "--ca-bundle") || !Permanent(err) {
		t.Errorf("another name: %v; hint %q", err, hint)
	}
	late := sends(&tls.CertificateVerificationError{Err: x509.CertificateInvalidError{Reason: x509.Expired}})
	if hint := hintOf(mustNew(t, Options{}).explain(call{}, late)); !strings.Contains(hint, "clock") {
		t.Errorf("expired: hint %q", hint)
	}
}
