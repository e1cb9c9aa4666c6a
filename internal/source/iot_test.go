package source

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"brs-exec/internal/sandbox"
)

// An authority signs the certificates of the server and of devices.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir()}
	a.cert, a.key = a.sign(t, "ca", time.Now().Add(time.Hour))
	return a
}

// sign makes NAME.pem and NAME.key.
func (a *authority) sign(t *testing.T, name string, end time.Time) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour * 48), NotAfter: end,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		IsCA: a.cert == nil, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	a.write(t, name+".pem", "CERTIFICATE", der)
	a.write(t, name+".key", "PRIVATE KEY", keyDER)
	if c, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return c, key
}

func (a *authority) write(t *testing.T, name, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(a.path(name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (a *authority) path(name string) string { return filepath.Join(a.dir, name) }

// credentialEndpoint is AWS IoT's: it demands a client certificate, of this authority and of this
// thing.
func (a *authority) credentialEndpoint(t *testing.T, sts *testSTS) string {
	t.Helper()
	next := sessions(t, sts)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch device := r.TLS.PeerCertificates[0].Subject.CommonName; {
		case r.Method != "GET" || r.URL.Path != "/role-aliases/alias/credentials":
			w.WriteHeader(http.StatusNotFound)
			io.WriteString(w, `{"message":"Role alias not found"}`)
		case r.Header.Get("x-amzn-iot-thingname") != device:
			w.WriteHeader(http.StatusForbidden)
			io.WriteString(w, `{"message":"Access Denied"}`)
		default:
			c := next()
			fmt.Fprintf(w, `{"credentials":{"accessKeyId":%q,"secretAccessKey":%q,"sessionToken":%q,"expiration":%q}}`, c.AccessKeyID, c.SecretAccessKey, c.SessionToken, c.Expires.Format(time.RFC3339))
		}
	}))
	a.sign(t, "server", time.Now().Add(time.Hour))
	pair, err := tls.LoadX509KeyPair(a.path("server.pem"), a.path("server.key"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return strings.TrimPrefix(srv.URL, "https://")
}

func (a *authority) options(endpoint string) Options {
	return Options{
		IoTEndpoint: endpoint, IoTRoleAlias: "alias", IoTThingName: "device", IoTCA: a.path("ca.pem"),
		IoTCertificate: a.path("device.pem"), IoTPrivateKey: a.path("device.key"),
	}
}

// The certificate is read at every refresh: devices rotate theirs.
func TestIoT(t *testing.T) {
	sts := newSandbox(t, sandbox.Options{})
	a := newAuthority(t)
	endpoint := a.credentialEndpoint(t, sts)
	rotate := func(i int) { a.sign(t, "device", time.Now().Add(time.Duration(i+1)*time.Hour)) }
	rotate(0)
	s := mustNew(t, a.options("https://"+endpoint+"/"))
	refreshThrice(t, s, hostARN, rotate)
	if d := time.Until(s.RenewableUntil()); d < 2*time.Hour || d > 3*time.Hour {
		t.Errorf("RenewableUntil is in %v; want the end of the certificate", d)
	}
	if want := "IoT thing device, role alias alias"; s.Describe() != want {
		t.Errorf("Describe() = %q; want %q", s.Describe(), want)
	}
	o := a.options(endpoint)
	o.RoleARNs, o.RoleSessionName = []string{testRole}, "me"
	refreshThrice(t, mustNew(t, o), meARN, rotate)
}

func TestIoTRefusals(t *testing.T) {
	sts := newSandbox(t, sandbox.Options{})
	a, stranger := newAuthority(t), newAuthority(t)
	endpoint := a.credentialEndpoint(t, sts)
	a.sign(t, "device", time.Now().Add(time.Hour))
	stranger.sign(t, "device", time.Now().Add(time.Hour))
	for _, c := range []struct {
		name       string
		change     func(*Options)
		text, hint string
		permanent  bool
	}{
		{"thing", func(o *Options) { o.IoTThingName = "other" }, "HTTP 403: Access Denied", "iot:AssumeRoleWithCertificate", true},
		{"alias", func(o *Options) { o.IoTRoleAlias = "none" }, "HTTP 404: Role alias not found", "list-role-aliases", true},
		{"server", func(o *Options) { o.IoTCA = stranger.path("ca.pem") }, "certificate signed by unknown authority", "--iot-ca", true},
		{"certificate", func(o *Options) {
			o.IoTCertificate, o.IoTPrivateKey = stranger.path("device.pem"), stranger.path("device.key")
		}, "tls: ", "registered", true},
		{"nobody", func(o *Options) { o.IoTEndpoint = "127.0.0.1:1" }, refused, "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := a.options(endpoint)
			c.change(&o)
			_, err := mustNew(t, o).Retrieve(t.Context())
			if err == nil || !strings.HasPrefix(err.Error(), "IoT credentials: ") || !strings.Contains(err.Error(), c.text) || !strings.Contains(hintOf(err), c.hint) || Permanent(err) != c.permanent {
				t.Errorf("%v; hint %q, permanent %v", err, hintOf(err), Permanent(err))
			}
		})
	}
}

func TestWrongIoT(t *testing.T) {
	a := newAuthority(t)
	a.sign(t, "device", time.Now().Add(time.Hour))
	a.sign(t, "other", time.Now().Add(time.Hour))
	a.sign(t, "old", time.Now().Add(-24*time.Hour))
	a.write(t, "encrypted.key", "ENCRYPTED PRIVATE KEY", []byte("x"))
	if err := os.WriteFile(a.path("legacy.key"), []byte("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name       string
		change     func(*Options)
		text, hint string
	}{
		{"half", func(o *Options) { o.IoTRoleAlias = "" }, "need --iot-role-alias", "belong together"},
		{"data endpoint", func(o *Options) { o.IoTEndpoint = "x-ats.iot.eu-west-1.amazonaws.com" }, "is the one for data", "iot:CredentialProvider"},
		{"no host", func(o *Options) { o.IoTEndpoint = "http://x/y" }, "is no host", "describe-endpoint"},
		{"alias", func(o *Options) { o.IoTRoleAlias = "a/b" }, `"a/b" is no role alias`, "letters"},
		{"no certificate", func(o *Options) { o.IoTCertificate = "/no/such" }, "--iot-certificate: open /no/such", ""},
		{"no key", func(o *Options) { o.IoTPrivateKey = "/no/such" }, "--iot-private-key: open /no/such", ""},
		{"no PEM", func(o *Options) { o.IoTPrivateKey = "/etc/hostname" }, "/etc/hostname is no PEM file", ""},
		{"another key", func(o *Options) { o.IoTPrivateKey = a.path("other.key") }, "is not the key of", "both files of one certificate"},
		{"swapped", func(o *Options) { o.IoTCertificate, o.IoTPrivateKey = o.IoTPrivateKey, o.IoTCertificate }, "is no PEM file of a certificate", "BEGIN CERTIFICATE"},
		{"encrypted", func(o *Options) { o.IoTPrivateKey = a.path("encrypted.key") }, "is encrypted", "openssl pkey"},
		{"encrypted, older", func(o *Options) { o.IoTPrivateKey = a.path("legacy.key") }, "is encrypted", "openssl pkey"},
		{"expired", func(o *Options) { o.IoTCertificate, o.IoTPrivateKey = a.path("old.pem"), a.path("old.key") }, "has expired, on", ""},
		{"no CA", func(o *Options) { o.IoTCA = a.path("device.key") }, "no PEM certificate in it", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := a.options("127.0.0.1:1")
			c.change(&o)
			_, err := newSource(t, o)
			if err == nil || !strings.Contains(err.Error(), c.text) || !strings.Contains(hintOf(err), c.hint) || hintOf(err) == "" || !Permanent(err) {
				t.Errorf("%v; hint %q", err, hintOf(err))
			}
		})
	}
}

func FuzzIoTAnswer(f *testing.F) {
	f.Add(200, []byte(`{"credentials":{"accessKeyId":"A","secretAccessKey":"S","sessionToken":"T","expiration":"2030-01-01T00:00:00Z"}}`))
	f.Add(403, []byte(`{"message":"Access Denied"}`))
	f.Add(200, []byte(`{"credentials":null}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		c, err := (&iot{o: &Options{}, host: "e"}).parse(status, body)
		if err == nil && (status != 200 || !c.HasKeys() || c.SessionToken == "" || !c.CanExpire) {
			t.Errorf("parse(%d, %q) = %s", status, body, c.AccessKeyID)
		}
	})
}
