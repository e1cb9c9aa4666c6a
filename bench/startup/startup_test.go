package main

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"brs-exec/need"
)

func TestMain(m *testing.M) { os.Exit(need.Run(m)) }

func ms(n ...int) (out []time.Duration) {
	for _, n := range n {
		out = append(out, time.Duration(n)*time.Millisecond)
	}
	return out
}

func TestMedian(t *testing.T) {
	for _, tt := range []struct {
		in   []time.Duration
		want time.Duration
	}{
		{ms(7), 7 * time.Millisecond},
		{ms(9, 1, 5), 5 * time.Millisecond},
		{ms(9, 1, 5, 7), 6 * time.Millisecond},
	} {
		in := slices.Clone(tt.in)
		if got := median(tt.in); got != tt.want {
			t.Errorf("median(%v) = %v; want %v", tt.in, got, tt.want)
		}
		if !slices.Equal(tt.in, in) {
			t.Errorf("median changed its argument to %v", tt.in)
		}
	}
}

// TestLimits: every limit can be held and broken.
func TestLimits(t *testing.T) {
	all := func(http, https time.Duration, rss int, size int64) []*subject {
		one := func(name string, d time.Duration) *subject {
			return &subject{name: name, wall: []time.Duration{d}, cpu: []time.Duration{d}, rss: rss, size: size}
		}
		return []*subject{
			one("bare", 1), one("bare + server", 100), one("naive, http", 190),
			one("brs-exec, http", http), one("naive, https", 600), one("brs-exec, https", https), one(keysInHome, http+10),
		}
	}
	count := func(s []*subject) (n int) {
		for _, l := range limits(s) {
			if l.broken() {
				n++
			}
		}
		return n
	}
	if got := count(all(240, 320, 16*1024, 14e6)); got != 0 {
		t.Errorf("at the limits: got %d broken; want none", got)
	}
	if got := count(all(241, 320, 16*1024, 14e6)); got != 3 {
		t.Errorf("http too slow: got %d broken; want wall, CPU and with keys", got)
	}
	if got := count(all(250, 321, 16*1024+1, 14e6+1)); got != 6 {
		t.Errorf("all too much: got %d broken; want 6", got)
	}
	if got := table(all(240, 320, 16*1024, 14e6)); strings.Count(got, "\n") != 9 || !strings.Contains(got, "| 2.40 |") || !strings.Contains(got, "| 16.0 | 14.0 |") {
		t.Errorf("got\n%s", got)
	}
}

func TestVmRSS(t *testing.T) {
	if got, err := vmRSS("Name:\tx\nVmHWM:\t  9 kB\nVmRSS:\t    1234 kB\nRssAnon:\t 5 kB\n"); got != 1234 || err != nil {
		t.Errorf("got %d, %v; want 1234", got, err)
	}
	if _, err := vmRSS("Name:\tx\n"); err == nil {
		t.Error("without VmRSS: got no error")
	}
}

// TestStub: its https answers to whoever trusts its bundle, and to nobody else.
func TestStub(t *testing.T) {
	s, err := newStub(t.TempDir())
	need.That(t, err == nil, "openssl", "apt-get install openssl")
	defer s.close()
	roots, err := os.ReadFile(s.bundle)
	if err != nil {
		t.Fatal(err)
	}
	trusting := x509.NewCertPool()
	trusting.AppendCertsFromPEM(roots)
	get := func(url string, pool *x509.CertPool) error {
		tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}
		resp, err := (&http.Client{Transport: tr}).Get(url)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if !strings.Contains(string(body), "<AccessKeyId>ASIABENCH</AccessKeyId>") {
			t.Errorf("%s: got %s", url, body)
		}
		return err
	}
	if err := get(s.plain, nil); err != nil {
		t.Error(err)
	}
	if err := get(s.secure, trusting); err != nil {
		t.Error(err)
	}
	if err := get(s.secure, x509.NewCertPool()); err == nil {
		t.Error("trusted without its CA")
	}
}
