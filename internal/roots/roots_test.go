package roots

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/gob"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// handshake connects to a server of that certificate under the name that a URL would have, and returns the client's error.
func handshake(c *tls.Config, cert tls.Certificate, name string) error {
	c = c.Clone()
	c.ServerName = name // as net/http does
	_, err := exchange(c, &tls.Config{Certificates: []tls.Certificate{cert}})
	return err
}

// exchange makes a connection and reads a byte, which lets TLS 1.3's ticket arrive.
func exchange(c, server *tls.Config) (resumed bool, err error) {
	l := must(tls.Listen("tcp", "127.0.0.1:0", server))
	defer l.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		if s, err := l.Accept(); err == nil {
			s.Write([]byte("x")) // an error is the client's to tell
			s.Close()
		}
	}()
	conn := tls.Client(must(net.Dial("tcp", l.Addr().String())), c)
	defer func() { conn.Close(); <-done }()
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
		return false, err
	}
	return conn.ConnectionState().DidResume, nil
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

func worlds() []world {
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
	// New Root has signed the leaf; Old Root, which is what old clients trust, has signed New Root's name and key.
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
	for _, w := range worlds() {
		if w.bundle == nil || w.dir != nil || !strings.Contains(string(w.bundle), "BEGIN CERTIFICATE") {
			continue // there is no directory beside a bundle of one's own, and one without certificates is refused
		}
		t.Run(w.name, func(t *testing.T) {
			w := w.defaults()
			pool := x509.NewCertPool()
			pool.AppendCertsFromPEM(w.bundle)
			file := filepath.Join(t.TempDir(), "ca.pem")
			write(t, file, w.bundle)
			ours, err := Config(w.host, file)
			if err != nil {
				t.Fatal(err)
			}
			w.compare(t, handshake(&tls.Config{RootCAs: pool}, w.server, w.host), handshake(ours, w.server, w.host))
		})
	}
}

// TestSystemEqualsCryptoTLS: the system's roots, as SSL_CERT_FILE and SSL_CERT_DIR name them. crypto/x509 reads them once
// in a process, so that each case is a process of its own.
func TestSystemEqualsCryptoTLS(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("SKIPPED: elsewhere the system's roots are crypto/x509's own business")
	}
	for _, w := range worlds() {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			w := w.defaults()
			dir := t.TempDir()
			certs := filepath.Join(dir, "certs")
			if err := os.Mkdir(certs, 0o700); err != nil {
				t.Fatal(err)
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
	os.Exit(m.Run())
}

func child() {
	var o order
	if err := gob.NewDecoder(os.Stdin).Decode(&o); err != nil {
		panic(err)
	}
	server := tls.Certificate{Certificate: o.Chain, PrivateKey: must(x509.ParsePKCS8PrivateKey(o.Key))}
	c := must(Config(o.Host, ""))
	if lazy := c.InsecureSkipVerify; lazy == isIP(o.Host) {
		panic(fmt.Sprintf("%s: lazy is %v", o.Host, lazy))
	}
	ours := handshake(c, server, o.Host) // first: crypto/x509's pool must not be there yet
	if _, ok := errors.AsType[*tls.CertificateVerificationError](ours); ours != nil && !ok {
		panic(fmt.Sprintf("got %T; want a CertificateVerificationError", ours))
	}
	std := handshake(&tls.Config{}, server, o.Host)
	if err := gob.NewEncoder(os.Stdout).Encode(verdicts{fmt.Sprint(std), fmt.Sprint(ours)}); err != nil {
		panic(err)
	}
}

// TestResumption: a session that was good once is verified again, by today's roots.
func TestResumption(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			ca, other := newCA("CA"), newCA("Other")
			server := &tls.Config{Certificates: []tls.Certificate{ca.issue(leafTemplate("localhost")).server()}}
			file := filepath.Join(t.TempDir(), "ca.pem")
			cache := tls.NewLRUClientSessionCache(1)
			dial := func(bundle []byte, name string) (resumed bool, err error) {
				write(t, file, bundle)
				c := must(Config("", file))
				c.MaxVersion, c.ClientSessionCache, c.ServerName = version, cache, name
				return exchange(c, server)
			}
			if _, err := dial(ca.pem(), "localhost"); err != nil {
				t.Fatal(err)
			}
			if resumed, err := dial(ca.pem(), "localhost"); err != nil || !resumed {
				t.Fatalf("got resumed %v, %v; want a resumed session", resumed, err)
			}
			if _, err := dial(other.pem(), "localhost"); err == nil || !strings.Contains(err.Error(), "unknown authority") {
				t.Errorf("another CA: got %v; want unknown authority", err)
			}
		})
	}
}

// TestNoNameNoPass: without a name there is nothing to compare, and that is no pass.
func TestNoNameNoPass(t *testing.T) {
	ca := newCA("CA")
	server := ca.issue(leafTemplate("127.0.0.1")).server()
	file := filepath.Join(t.TempDir(), "ca.pem")
	write(t, file, ca.pem())
	c := must(Config("", file)) // the caller forgot to say that the host is an address
	for _, name := range []string{"127.0.0.1", ""} {
		if err := handshake(c, server, name); err == nil || !strings.Contains(err.Error(), "no name that could be verified") {
			t.Errorf("%q: got %v; want an error", name, err)
		}
	}
	if err := (verifier{}).verify(nil, "localhost"); err == nil {
		t.Error("no certificate: got nil; want an error")
	}
}

func TestBadBundles(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "empty"), nil)
	write(t, filepath.Join(dir, "key"), []byte("-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n"))
	for name, want := range map[string]string{
		"missing": "CA bundle: open ", "empty": "no PEM certificate in it", "key": "no PEM certificate in it", ".": "is a directory",
	} {
		if _, err := Config("localhost", filepath.Join(dir, name)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v; want …%s…", name, err, want)
		}
	}
}

func TestIsIP(t *testing.T) {
	for host, want := range map[string]bool{
		"127.0.0.1": true, "::1": true, "[::1]": true, "fe80::1%eth0": true, "[fe80::1%25eth0]": true,
		"": false, "localhost": false, "1.2.3": false, "127.0.0.1.": false, "sts.amazonaws.com": false,
	} {
		if got := isIP(host); got != want {
			t.Errorf("%q: got %v; want %v", host, got, want)
		}
	}
}

func write(t *testing.T, file string, data []byte) {
	t.Helper()
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
