package roots

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/gob"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"brs-exec/need"
)

// attempt makes one request to a server of that certificate under the name that its URL has, and
// returns the error.
func attempt(t http.RoundTripper, l net.Listener, name string) error {
	if strings.Contains(name, ":") {
		name = "[" + strings.Replace(name, "%", "%25", 1) + "]"
	}
	r := must(http.NewRequest(http.MethodPost, fmt.Sprintf("https://%s:%d/", name, l.Addr().(*net.TCPAddr).Port), strings.NewReader("body")))
	resp, err := t.RoundTrip(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if body := must(io.ReadAll(resp.Body)); string(body) != "got body" {
		panic(fmt.Sprintf("the server answered %q", body))
	}
	return nil
}

// to is a transport whose every name is that of l.
func to(l net.Listener, c *tls.Config) *http.Transport {
	return &http.Transport{TLSClientConfig: c, DisableKeepAlives: true, DialContext: func(context.Context, string, string) (net.Conn, error) {
		return net.Dial("tcp", l.Addr().String())
	}}
}

// serve answers https with what it was sent, and closes every connection.
func serve(cert tls.Certificate) *httptest.Server {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "got %s", must(io.ReadAll(r.Body)))
	}))
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // failed handshakes are what is tested
	srv.StartTLS()
	return srv
}

// world is one environment, one server, and what crypto/tls says of it.
type world struct {
	name   string
	bundle []byte // the trusted file; nil: none
	dir    []byte // a file in SSL_CERT_DIR; nil: an empty directory
	server tls.Certificate
	host   string // as the URL has it; "" is localhost
	want   string // part of crypto/tls's error; "" none
}

// worlds are what may happen. Every CA bears family's name, which decides whether it is looked for
// first.
func worlds(family string) []world {
	newCA := func(name string) issuer { return newCA(family + name) }
	caTemplate := func(name string) *x509.Certificate { return caTemplate(family + name) }
	ca, other := newCA("CA"), newCA("Other CA")
	leaf := ca.issue(leafTemplate("localhost", "*.example.com", "127.0.0.1"))
	inter := ca.issue(caTemplate("Intermediate"))
	deep := inter.issue(leafTemplate("localhost"))

	edit := func(c *x509.Certificate, f func(*x509.Certificate)) *x509.Certificate { f(c); return c }
	old := func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }
	key := newKey()
	expiredCA := selfSigned(edit(caTemplate("CA"), old), key)
	renewedCA := selfSigned(caTemplate("CA"), key) // the same name and key
	sameName := newCA("CA")                        // the same name, another key
	notCA := selfSigned(edit(caTemplate("no CA"), func(c *x509.Certificate) { c.IsCA = false; c.KeyUsage = x509.KeyUsageDigitalSignature }), newKey())
	constrained := selfSigned(edit(caTemplate("Constrained"), func(c *x509.Certificate) {
		c.PermittedDNSDomainsCritical, c.PermittedDNSDomains = true, []string{"example.com"}
	}), newKey())
	clientCA := selfSigned(edit(caTemplate("Client CA"), func(c *x509.Certificate) {
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}), newKey())
	// New Root has signed the leaf; Old Root, which is what old clients trust, has signed New
	// Root's name and key.
	newRoot := newCA("New Root")
	crossed := other.sign(caTemplate("New Root"), newRoot.key)
	crossLeaf := newRoot.issue(leafTemplate("localhost"))

	withHeader := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Headers: map[string]string{"A": "b"}, Bytes: ca.cert.Raw})
	trusted := pem.EncodeToMemory(&pem.Block{Type: "TRUSTED CERTIFICATE", Bytes: ca.cert.Raw})
	broken := []byte("-----BEGIN CERTIFICATE-----\nMIIB!!!\n-----END CERTIFICATE-----\n")
	both := func(p ...[]byte) []byte { return slices.Concat(p...) }

	const unknown = "certificate signed by unknown authority"
	return []world{
		{"known CA", ca.pem(), nil, leaf.server(), "", ""},
		{"unknown CA", other.pem(), nil, leaf.server(), "", unknown},
		{"wrong name", ca.pem(), nil, leaf.server(), "evil.test", "not evil.test"},
		{"wildcard", ca.pem(), nil, leaf.server(), "sts.example.com", ""},
		{"wildcard two deep", ca.pem(), nil, leaf.server(), "a.b.example.com", "not a.b.example.com"},
		{"upper case, dot at the end", ca.pem(), nil, leaf.server(), "LocalHost.", ""},
		{"IP SAN", ca.pem(), nil, leaf.server(), "127.0.0.1", ""},
		{"wrong IP", ca.pem(), nil, leaf.server(), "127.0.0.2", "not 127.0.0.2"},
		{"IPv6 in a URL", ca.pem(), nil, leaf.server(), "::1", "not ::1"},
		{"IPv6 with a zone", ca.pem(), nil, leaf.server(), "fe80::1%eth0", "not fe80::1"},
		{"too short for an IP", ca.pem(), nil, leaf.server(), "1.2.3", "not 1.2.3"},
		{"IP, dot at the end", ca.pem(), nil, leaf.server(), "127.0.0.1.", "not 127.0.0.1."},
		{"unknown CA by IP", other.pem(), nil, leaf.server(), "127.0.0.1", unknown},
		{"expired leaf", ca.pem(), nil, ca.issue(edit(leafTemplate("localhost"), old)).server(), "", "certificate has expired"},
		{"leaf of tomorrow", ca.pem(), nil, ca.issue(edit(leafTemplate("localhost"), func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) })).server(), "", "certificate has expired or is not yet valid"},
		{"expired root", expiredCA.pem(), nil, renewedCA.issue(leafTemplate("localhost")).server(), "", "certificate has expired"},
		{"expired root and its renewal", both(expiredCA.pem(), renewedCA.pem()), nil, renewedCA.issue(leafTemplate("localhost")).server(), "", ""},
		{"intermediate sent", ca.pem(), nil, deep.server(inter), "", ""},
		{"intermediate missing", ca.pem(), nil, deep.server(), "", unknown},
		{"intermediate trusted itself", inter.pem(), nil, deep.server(), "", ""},
		{"intermediate trusted and sent", inter.pem(), nil, deep.server(inter), "", ""},
		{"root sent too", ca.pem(), nil, deep.server(inter, ca), "", ""},
		{"root sent, not trusted", other.pem(), nil, deep.server(inter, ca), "", unknown},
		{"cross-signed, new root known", newRoot.pem(), nil, crossLeaf.server(crossed), "", ""},
		{"cross-signed, old root known", other.pem(), nil, crossLeaf.server(crossed), "", ""},
		{"cross-signed, both", both(other.pem(), newRoot.pem()), nil, crossLeaf.server(crossed), "", ""},
		{"cross certificate in the bundle", crossed.pem(), nil, crossLeaf.server(), "", ""},
		{"leaf in the bundle", leaf.pem(), nil, leaf.server(), "", ""},
		{"same name, other key", sameName.pem(), nil, leaf.server(), "", unknown},
		{"same name, both keys", both(sameName.pem(), ca.pem()), nil, leaf.server(), "", ""},
		{"no CA", notCA.pem(), nil, notCA.issue(leafTemplate("localhost")).server(), "", unknown},
		{"constraint kept", constrained.pem(), nil, constrained.issue(leafTemplate("a.example.com")).server(), "a.example.com", ""},
		{"constraint broken", constrained.pem(), nil, constrained.issue(leafTemplate("localhost")).server(), "", "not permitted by any constraint"},
		{"CA for clients", clientCA.pem(), nil, clientCA.issue(leafTemplate("localhost")).server(), "", "incompatible key usage"},
		{"leaf for clients", ca.pem(), nil, ca.issue(edit(leafTemplate("localhost"), func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		})).server(), "", "incompatible key usage"},
		{"name in the common name only", ca.pem(), nil, ca.issue(leafTemplate()).server(), "leaf", "certificate relies on legacy Common Name field"},
		{"only in the directory", other.pem(), ca.pem(), leaf.server(), "", ""},
		{"only in the directory, by IP", other.pem(), ca.pem(), leaf.server(), "127.0.0.1", ""},
		{"in the directory, no file", nil, ca.pem(), leaf.server(), "", ""},
		{"nowhere", nil, nil, leaf.server(), "", unknown},
		{"empty bundle", []byte{}, nil, leaf.server(), "", unknown},
		{"empty bundle, CA in the directory", []byte{}, ca.pem(), leaf.server(), "", ""},
		{"garbage around it", both([]byte("# CN=x\nfoo\n-----END \n"), broken, []byte("a: b\n"), other.pem(), ca.pem(), []byte("-----BEGIN CERTIFICATE-----\n")), nil, leaf.server(), "", ""},
		{"CRLF", []byte(strings.ReplaceAll(string(ca.pem()), "\n", "\r\n")), nil, leaf.server(), "", ""},
		{"one long line", []byte("-----BEGIN CERTIFICATE-----\n" + strings.ReplaceAll(body(ca.pem()), "\n", "") + "\n-----END CERTIFICATE-----\n"), nil, leaf.server(), "", ""},
		{"indented", []byte(strings.ReplaceAll(string(ca.pem()), "\nM", "\n  M")), nil, leaf.server(), "", ""},
		{"a PEM header", withHeader, nil, leaf.server(), "", unknown},
		{"a PEM header, then a good one", both(withHeader, ca.pem()), nil, leaf.server(), "", ""},
		{"what ends encoding/pem", both([]byte("-----BEGIN X-----\n-----END X: y-----\n"), ca.pem()), nil, leaf.server(), "", unknown},
		{"a PEM type that only begins well", []byte(strings.ReplaceAll(string(ca.pem()), "CERTIFICATE-----", "CERTIFICATE-----X-----")), nil, leaf.server(), "", unknown},
		{"another PEM type", trusted, nil, leaf.server(), "", unknown},
	}
}

func body(p []byte) string {
	s := strings.TrimPrefix(string(p), "-----BEGIN CERTIFICATE-----\n")
	return strings.TrimSuffix(s, "-----END CERTIFICATE-----\n")
}

// TestBundleEqualsCryptoTLS: a bundle of the user's own, against RootCAs.
func TestBundleEqualsCryptoTLS(t *testing.T) {
	for _, w := range worlds("") {
		if w.bundle == nil || w.dir != nil || !strings.Contains(string(w.bundle), "BEGIN CERTIFICATE") {
			continue // there is no directory beside a bundle of one's own, and one without certificates is refused
		}
		t.Run(w.name, func(t *testing.T) {
			w := w.defaults()
			pool := x509.NewCertPool()
			pool.AppendCertsFromPEM(w.bundle)
			file := filepath.Join(t.TempDir(), "ca.pem")
			write(t, file, w.bundle)
			srv := serve(w.server)
			defer srv.Close()
			ours, err := Transport(to(srv.Listener, nil), file)
			if err != nil {
				t.Fatal(err)
			}
			std := to(srv.Listener, &tls.Config{RootCAs: pool})
			w.compare(t, attempt(std, srv.Listener, w.host), attempt(ours, srv.Listener, w.host))
		})
	}
}

// families are CAs that are looked for first, and others beside one such: there a first handshake
// fails, and a second decides. Where the bundle has none that is looked for, Transport returns what
// crypto/tls is compared with.
var families = []struct {
	name, prefix string
	beside       bool // the bundle begins with a root of Amazon's name
}{
	{"aws", "Amazon Root ", false}, {"beside aws", "", true},
}

// TestSystemEqualsCryptoTLS: the system's roots, as SSL_CERT_FILE and SSL_CERT_DIR name them.
// crypto/x509 reads them once in a process, so that each case is a process of its own.
func TestSystemEqualsCryptoTLS(t *testing.T) {
	need.Place(t, runtime.GOOS == "linux", "Linux: elsewhere the system's roots are crypto/x509's own business")
	for _, f := range families {
		for _, w := range worlds(f.prefix) {
			t.Run(f.name+"/"+w.name, func(t *testing.T) {
				t.Parallel()
				w := w.defaults()
				dir := t.TempDir()
				certs := filepath.Join(dir, "certs")
				if err := os.Mkdir(certs, 0o700); err != nil {
					t.Fatal(err)
				}
				if f.beside {
					w.bundle = slices.Concat(newCA("Amazon Root CA 1").pem(), w.bundle)
				}
				if w.bundle != nil {
					write(t, filepath.Join(dir, "ca.pem"), w.bundle)
				}
				if w.dir != nil {
					write(t, filepath.Join(certs, "ca.pem"), w.dir)
				}
				std, ours := inProcess(t, dir, w)
				w.compare(t, std, ours)
			})
		}
	}
}

func (w world) defaults() world {
	if w.host == "" {
		w.host = "localhost"
	}
	return w
}

// compare holds both errors to the same text, but for the second in which they were made.
func (w world) compare(t *testing.T, std, ours error) {
	t.Helper()
	if w.want == "" && std != nil || w.want != "" && (std == nil || !strings.Contains(std.Error(), w.want)) {
		t.Fatalf("crypto/tls: got %v; want …%s…: the case is not what it says", std, w.want)
	}
	timeless := func(err error) string {
		before, rest, _ := strings.Cut(fmt.Sprint(err), "current time ")
		_, rest, _ = strings.Cut(rest, " ")
		return before + rest
	}
	if timeless(std) != timeless(ours) {
		t.Errorf("got %v; want crypto/tls's %v", ours, std)
	}
}

// order is what a process of TestSystemEqualsCryptoTLS is to do; verdicts are its answer.
type order struct {
	Host  string
	Chain [][]byte
	Key   []byte
}

type verdicts struct{ Std, Ours string }

func inProcess(t *testing.T, dir string, w world) (std, ours error) {
	t.Helper()
	key := must(x509.MarshalPKCS8PrivateKey(w.server.PrivateKey))
	var in, out bytes.Buffer
	if err := gob.NewEncoder(&in).Encode(order{w.host, w.server.Certificate, key}); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(must(os.Executable()))
	cmd.Env = []string{"ROOTS_TEST_CHILD=1", "SSL_CERT_FILE=" + filepath.Join(dir, "ca.pem"), "SSL_CERT_DIR=" + filepath.Join(dir, "certs")}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = &in, &out, os.Stderr
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	var v verdicts
	if err := gob.NewDecoder(&out).Decode(&v); err != nil {
		t.Fatal(err)
	}
	return verdict(v.Std), verdict(v.Ours)
}

func verdict(text string) error {
	if text == "<nil>" {
		return nil
	}
	return errors.New(text)
}

func TestMain(m *testing.M) {
	if os.Getenv("ROOTS_TEST_CHILD") == "1" {
		child()
		return
	}
	os.Exit(need.Run(m))
}

func child() {
	var o order
	if err := gob.NewDecoder(os.Stdin).Decode(&o); err != nil {
		panic(err)
	}
	server := tls.Certificate{Certificate: o.Chain, PrivateKey: must(x509.ParsePKCS8PrivateKey(o.Key))}
	srv := serve(server)
	defer srv.Close()
	// First: crypto/x509's pool must not be there yet.
	ours := attempt(must(Transport(to(srv.Listener, nil), "")), srv.Listener, o.Host)
	if _, ok := errors.AsType[*tls.CertificateVerificationError](ours); ours != nil && !ok {
		panic(fmt.Sprintf("got %T; want a CertificateVerificationError", ours))
	}
	std := attempt(to(srv.Listener, &tls.Config{}), srv.Listener, o.Host)
	if err := gob.NewEncoder(os.Stdout).Encode(verdicts{fmt.Sprint(std), fmt.Sprint(ours)}); err != nil {
		panic(err)
	}
}

// TestResumption: a session that was good once is verified again, by today's roots.
func TestResumption(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			ca, other := newCA("CA"), newCA("Other")
			srv := serve(ca.issue(leafTemplate("localhost")).server())
			defer srv.Close()
			file := filepath.Join(t.TempDir(), "ca.pem")
			cache := tls.NewLRUClientSessionCache(1)
			dial := func(bundle []byte) (resumed bool, err error) {
				write(t, file, bundle)
				c := &tls.Config{MaxVersion: version, ClientSessionCache: cache}
				rt := must(Transport(to(srv.Listener, c), file))
				resp, err := rt.RoundTrip(must(http.NewRequest(http.MethodGet, "https://localhost/", nil)))
				if err != nil {
					return false, err
				}
				io.Copy(io.Discard, resp.Body) // TLS 1.3's ticket arrives
				resp.Body.Close()
				return resp.TLS.DidResume, nil
			}
			if _, err := dial(ca.pem()); err != nil {
				t.Fatal(err)
			}
			if resumed, err := dial(ca.pem()); err != nil || !resumed {
				t.Fatalf("got resumed %v, %v; want a resumed session", resumed, err)
			}
			if _, err := dial(other.pem()); err == nil || !strings.Contains(err.Error(), "unknown authority") {
				t.Errorf("another CA: got %v; want unknown authority", err)
			}
		})
	}
}

// TestNoNameNoPass: without a name there is nothing to compare, and that is no pass.
func TestNoNameNoPass(t *testing.T) {
	ca := newCA("CA")
	srv := serve(ca.issue(leafTemplate("127.0.0.1")).server())
	defer srv.Close()
	file := filepath.Join(t.TempDir(), "ca.pem")
	write(t, file, ca.pem())
	rt := must(Transport(to(srv.Listener, nil), file))
	for name, want := range map[string]string{"127.0.0.2": "not 127.0.0.2", "": ""} {
		if err := attempt(rt, srv.Listener, name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v; want an error", name, err)
		}
	}
}

// TestCryptoTLSVerifies: no transport of ours has crypto/tls leave out its own verification.
func TestCryptoTLSVerifies(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ca.pem")
	write(t, file, newCA("Amazon Root CA 1").pem())
	t.Setenv("SSL_CERT_FILE", file)
	all := []*http.Transport{must(Transport(&http.Transport{}, file)).(*http.Transport)}
	switch rt := must(Transport(&http.Transport{}, "")).(type) {
	case *fallback:
		all = append(all, rt.first, rt.system)
	case *http.Transport:
		if runtime.GOOS == "linux" {
			t.Error("on Linux Amazon's roots are to be tried first")
		}
		all = append(all, rt)
	}
	for _, rt := range all {
		c := rt.TLSClientConfig
		if c.InsecureSkipVerify || c.VerifyConnection != nil || c.VerifyPeerCertificate != nil || c.MinVersion < tls.VersionTLS12 {
			t.Errorf("got %+v", c)
		}
	}
}

// TestFallback: the handshake is repeated once, with the whole request, and never again; through a
// proxy too.
func TestFallback(t *testing.T) {
	need.Place(t, runtime.GOOS == "linux", "Linux: elsewhere the system's roots are crypto/x509's own business")
	ca := newCA("CA")
	srv := serve(ca.issue(leafTemplate("localhost")).server())
	defer srv.Close()
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		far := must(net.Dial("tcp", srv.Listener.Addr().String()))
		w.WriteHeader(http.StatusOK)
		near, read, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		go func() { io.Copy(far, read); far.Close() }() // the server may have read the first bytes
		io.Copy(near, far)
		near.Close()
	}))
	defer proxy.Close()
	for name, proxyURL := range map[string]*url.URL{"direct": nil, "by a proxy": must(url.Parse(proxy.URL))} {
		t.Run(name, func(t *testing.T) {
			var dials atomic.Int32
			base := &http.Transport{Proxy: http.ProxyURL(proxyURL), DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
				dials.Add(1)
				return new(net.Dialer).DialContext(ctx, network, addr)
			}}
			pool := x509.NewCertPool()
			pool.AddCert(ca.cert)
			rt := &fallback{first: withRoots(base, x509.NewCertPool()), system: withRoots(base, pool)}
			defer rt.CloseIdleConnections()
			for i, want := range []int32{2, 2, 3} { // first and second try; the same connection; a new one
				if err := attempt(rt, srv.Listener, "localhost"); err != nil {
					t.Fatal(err)
				}
				if got := dials.Load(); got != want {
					t.Errorf("request %d: got %d connections so far; want %d", i+1, got, want)
				}
				if i == 1 {
					rt.CloseIdleConnections()
				}
			}
		})
	}
}

// TestNoFallback: what is no certificate's fault is told as it is, after one attempt.
func TestNoFallback(t *testing.T) {
	broken := errors.New("no route")
	base := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return nil, broken }}
	rt := &fallback{first: withRoots(base, nil), system: withRoots(&http.Transport{}, nil)}
	r := must(http.NewRequest(http.MethodPost, "https://localhost:1/", io.NopCloser(iotest.ErrReader(io.ErrUnexpectedEOF))))
	if _, err := rt.RoundTrip(r); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v; want the body's error", err)
	}
	r.Body = http.NoBody
	if _, err := rt.RoundTrip(r); !errors.Is(err, broken) || rt.failed.Load() {
		t.Errorf("got %v, remembered %v; want the dialer's error", err, rt.failed.Load())
	}
}

func TestBadBundles(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "empty"), nil)
	write(t, filepath.Join(dir, "key"), []byte("-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n"))
	folder := "is a directory"
	if runtime.GOOS == "windows" {
		folder = "CA bundle: read "
	}
	for name, want := range map[string]string{
		"missing": "CA bundle: open ", "empty": "no PEM certificate in it", "key": "no PEM certificate in it", ".": folder,
	} {
		if _, err := Transport(&http.Transport{}, filepath.Join(dir, name)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v; want …%s…", name, err, want)
		}
	}
}

func write(t *testing.T, file string, data []byte) {
	t.Helper()
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
