package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// stub is an STS that answers every call with the same credentials, at once: latency would hide what is measured.
type stub struct {
	plain, secure string // URLs
	bundle        string // the system's roots and the stub's CA behind them
	certs         string // for SSL_CERT_DIR
	servers       []*http.Server
}

// systemBundles and systemDirs are the first of crypto/x509's lists.
var (
	systemBundles = []string{"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"}
	systemDirs    = []string{"/etc/ssl/certs", "/etc/pki/tls/certs"}
)

func newStub(dir string) (*stub, error) {
	var roots []byte
	for _, file := range systemBundles {
		if data, err := os.ReadFile(file); err == nil {
			roots = data
			break
		}
	}
	if roots == nil {
		return nil, errors.New("no bundle of system roots is known here: what https costs can't be measured")
	}
	s := &stub{bundle: filepath.Join(dir, "roots.pem"), certs: filepath.Join(dir, "none")}
	for _, d := range systemDirs {
		if _, err := os.Stat(d); err == nil {
			s.certs = d
			break
		}
	}
	cert, ca, err := certificate()
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(s.bundle, append(roots, ca...), 0o600); err != nil {
		return nil, err
	}
	if s.plain, err = s.serve("http://127.0.0.1:%d", nil); err != nil {
		return nil, err
	}
	s.secure, err = s.serve("https://localhost:%d", &tls.Config{Certificates: []tls.Certificate{cert}})
	return s, err
}

func (s *stub) serve(url string, c *tls.Config) (string, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	port := l.Addr().(*net.TCPAddr).Port
	if c != nil {
		l = tls.NewListener(l, c)
	}
	srv := &http.Server{Handler: http.HandlerFunc(assumeRole)}
	s.servers = append(s.servers, srv)
	go srv.Serve(l) // ends with close
	return fmt.Sprintf(url, port), nil
}

func (s *stub) close() {
	for _, srv := range s.servers {
		srv.Close()
	}
}

func assumeRole(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/xml")
	fmt.Fprintf(w, `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>`+
		`<AssumedRoleUser><AssumedRoleId>AROABENCH:bench</AssumedRoleId><Arn>arn:aws:sts::111122223333:assumed-role/bench/bench</Arn></AssumedRoleUser>`+
		`<Credentials><AccessKeyId>ASIABENCH</AccessKeyId><SecretAccessKey>bench</SecretAccessKey><SessionToken>bench</SessionToken>`+
		`<Expiration>%s</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`,
		time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
}

// certificate returns a server's for localhost and the PEM of the CA that signed it.
func certificate() (server tls.Certificate, ca []byte, err error) {
	template := func(name string, serial int64) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		}
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return server, nil, err
	}
	root := template("Amazon Root CA 1", 1) // as what STS's chain ends in: brs-exec looks for roots of that name first
	root.IsCA, root.BasicConstraintsValid, root.KeyUsage = true, true, x509.KeyUsageCertSign
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, &caKey.PublicKey, caKey)
	if err != nil {
		return server, nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return server, nil, err
	}
	leaf := template("localhost", 2)
	leaf.DNSNames, leaf.ExtKeyUsage = []string{"localhost"}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, root, &key.PublicKey, caKey)
	if err != nil {
		return server, nil, err
	}
	server = tls.Certificate{Certificate: [][]byte{leafDER}, PrivateKey: key}
	return server, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: rootDER}), nil
}
