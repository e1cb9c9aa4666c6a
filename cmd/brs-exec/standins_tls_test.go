package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/rogpeppe/go-internal/testscript"
)

// authority signs the certificates of one script.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	n    int64
}

func newAuthority() (*authority, error) {
	a := new(authority)
	pair, err := a.sign("stand-in CA", time.Now().Add(time.Hour))
	if err != nil {
		return nil, err
	}
	a.cert, a.key = pair.Leaf, pair.PrivateKey.(*ecdsa.PrivateKey)
	return a, nil
}

// sign makes a certificate for names, and for 127.0.0.1; the first one signs itself.
func (a *authority) sign(name string, end time.Time) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	a.n++
	c := &x509.Certificate{
		SerialNumber: big.NewInt(a.n), Subject: pkix.Name{CommonName: name}, NotBefore: end.Add(-48 * time.Hour), NotAfter: end,
		DNSNames: []string{name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: a.cert == nil,
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer, c.DNSNames = c, key, nil
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf, err := x509.ParseCertificate(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, err
}

func writePEM(file, kind string, der []byte) error {
	return os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}

// write leaves a pair as NAME.pem and NAME.key.
func (a *authority) write(base string, pair tls.Certificate) error {
	der, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		return err
	}
	if err := writePEM(base+".key", "PRIVATE KEY", der); err != nil {
		return err
	}
	return writePEM(base+".pem", "CERTIFICATE", pair.Certificate[0])
}

// secure starts a TLS server and leaves the root that it is verified against in ca.pem.
func (s *stack) secure(ts *testscript.TestScript, a *authority, c *tls.Config, h http.HandlerFunc) *httptest.Server {
	srv := httptest.NewUnstartedServer(h)
	srv.TLS = c
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	ts.Defer(srv.Close)
	ts.Check(writePEM(ts.MkAbs("ca.pem"), "CERTIFICATE", a.cert.Raw))
	return srv
}

func mustAuthority(ts *testscript.TestScript) *authority {
	a, err := newAuthority()
	ts.Check(err)
	return a
}

// iot is the credential endpoint of AWS IoT: a client certificate speaks for the thing. It is
// another one, in device.pem and device.key, after each call.
// https://docs.aws.amazon.com/iot/latest/developerguide/authorizing-direct-aws.html
func standIoT(s *stack, ts *testscript.TestScript, _ []string) {
	a := mustAuthority(ts)
	server, err := a.sign("iot", time.Now().Add(time.Hour))
	ts.Check(err)
	var mu sync.Mutex // guards good
	var good *big.Int
	renew := func() error {
		pair, err := a.sign("thing", time.Now().Add(48*time.Hour))
		if err != nil {
			return err
		}
		good = pair.Leaf.SerialNumber
		return a.write(ts.MkAbs("device"), pair)
	}
	ts.Check(renew())
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	c := &tls.Config{Certificates: []tls.Certificate{server}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}
	srv := s.secure(ts, a, c, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		device := r.TLS.PeerCertificates[0]
		switch {
		case r.Method != http.MethodGet || r.URL.Path != "/role-aliases/etl/credentials":
			refuse(w, http.StatusNotFound, `{"message":"Role alias not found"}`)
		case device.SerialNumber.Cmp(good) != 0 || r.Header.Get("x-amzn-iot-thingname") != device.Subject.CommonName:
			refuse(w, http.StatusForbidden, `{"message":"Access Denied"}`)
		default:
			s.answer(w, func(c aws.Credentials) any {
				return map[string]any{"credentials": map[string]any{"accessKeyId": c.AccessKeyID, "secretAccessKey": c.SecretAccessKey, "sessionToken": c.SessionToken, "expiration": c.Expires}}
			})
			if err := renew(); err != nil {
				ts.Logf("%v", err)
			}
		}
	})
	ts.Setenv("IOT", hostOf(srv.URL))
}

// https is the script's STS by TLS, at $STS_HTTPS.
func standHTTPS(s *stack, ts *testscript.TestScript, _ []string) {
	a := mustAuthority(ts)
	ts.Setenv("STS_HTTPS", s.tlsSTS(ts, a).URL)
}

// tlsSTS has a certificate for every name that it is asked by.
func (s *stack) tlsSTS(ts *testscript.TestScript, a *authority) *httptest.Server {
	address, err := a.sign("sts", time.Now().Add(time.Hour)) // for who asks by address: there is no SNI then
	ts.Check(err)
	var mu sync.Mutex // guards a
	c := &tls.Config{Certificates: []tls.Certificate{address}, GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		mu.Lock()
		defer mu.Unlock()
		pair, err := a.sign(hello.ServerName, time.Now().Add(time.Hour))
		return &pair, err
	}}
	return s.secure(ts, a, c, func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		sts := s.sts
		s.mu.Unlock()
		sts.ServeHTTP(w, r)
	})
}

// proxy is an HTTPS_PROXY that asks a password, and all of AWS's STS endpoints behind it.
func standProxy(s *stack, ts *testscript.TestScript, _ []string) {
	sts := s.tlsSTS(ts, mustAuthority(ts))
	where := s.serve(ts, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Proxy-Authorization") != "Basic "+base64.StdEncoding.EncodeToString([]byte("me:proxy-hush")) {
			w.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		s.mu.Lock()
		s.connects = append(s.connects, r.Method+" "+r.Host)
		s.mu.Unlock()
		tunnel(w, hostOf(sts.URL))
	})
	ts.Setenv("HTTPS_PROXY", "http://me:proxy-hush@"+hostOf(where))
	ts.Setenv("AWS_ENDPOINT_URL_STS", "")
}

// tunnel answers CONNECT.
func tunnel(w http.ResponseWriter, to string) {
	far, err := net.Dial("tcp", to)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer far.Close()
	near, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer near.Close()
	fmt.Fprint(near, "HTTP/1.1 200 Connection established\r\n\r\n")
	var wg sync.WaitGroup
	wg.Go(func() { io.Copy(far, near); far.(*net.TCPConn).CloseWrite() })
	io.Copy(near, far)
	near.Close()
	wg.Wait()
}

// connects prints what the proxy was asked for, and forgets it.
func cmdConnects(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: connects")
	}
	s := stackOf(ts)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.connects {
		fmt.Fprintln(ts.Stdout(), c)
	}
	s.connects = nil
}
