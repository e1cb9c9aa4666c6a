package source

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// iot gets the credentials of a device from AWS IoT Core: its certificate speaks for it, a role alias says which role.
// https://docs.aws.amazon.com/iot/latest/developerguide/authorizing-direct-aws.html
type iot struct {
	s        *Source
	base     *httpClient // timeouts, and the roots unless ca names others
	endpoint string      // host[:port]
	alias    string
	thing    string
	cert     string
	key      string
	ca       string
	until    *deadline // the certificate's
}

const describeEndpoint = "aws iot describe-endpoint --endpoint-type iot:CredentialProvider"

func (b *builder) fromIoT() (chain, error) {
	o := b.o
	for _, f := range []struct{ flag, value string }{
		{"--iot-endpoint", o.IoTEndpoint}, {"--iot-role-alias", o.IoTRoleAlias}, {"--iot-certificate", o.IoTCertificate}, {"--iot-private-key", o.IoTPrivateKey},
	} {
		if f.value == "" {
			return chain{}, badInput("--iot-endpoint, --iot-role-alias, --iot-certificate and --iot-private-key belong together", "IoT credentials need %s", f.flag)
		}
	}
	host := strings.TrimSuffix(strings.TrimPrefix(o.IoTEndpoint, "https://"), "/")
	if host == "" || strings.ContainsAny(host, "/?#@ ") {
		return chain{}, badInput(describeEndpoint, "--iot-endpoint %q is no host", clip(redact(o.IoTEndpoint)))
	}
	if strings.Contains(host, ".iot.") && !strings.Contains(host, ".credentials.iot.") {
		return chain{}, badInput(describeEndpoint, "--iot-endpoint %s is the one for data, not for credentials", host)
	}
	if err := checkAlias(o.IoTRoleAlias); err != nil {
		return chain{}, err
	}
	i := &iot{b.s, b.http, host, o.IoTRoleAlias, o.IoTThingName, o.IoTCertificate, o.IoTPrivateKey, o.IoTCA, b.ends()}
	if _, err := i.tls(); err != nil {
		return chain{}, err
	}
	step := "IoT role alias " + i.alias
	if i.thing != "" {
		step = "IoT thing " + i.thing + ", role alias " + i.alias
	}
	return chain{provider: i, steps: []string{step}, role: yes}, nil
}

// checkAlias holds AWS's [\w=,@-]{1,128}: the alias is part of the URL.
func checkAlias(s string) error {
	if err := checkName("--iot-role-alias", s, 1, 128, ""); err != nil || strings.ContainsAny(s, "+.") {
		return badInput("letters, digits and _=,@- are allowed", "--iot-role-alias %q is no role alias", clip(s))
	}
	return nil
}

func (i *iot) Retrieve(ctx context.Context) (aws.Credentials, error) {
	creds, err := i.ask(ctx)
	if err != nil {
		return aws.Credentials{}, i.s.explain(call{op: "IoT credentials", ca: "--iot-ca", hint: "is --iot-endpoint right? " + describeEndpoint + " shows it"}, err)
	}
	return creds, nil
}

func (i *iot) ask(ctx context.Context) (aws.Credentials, error) {
	c, err := i.tls() // anew: certificates rotate
	if err != nil {
		return aws.Credentials{}, err
	}
	client := i.base.over(c)
	defer client.CloseIdleConnections()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+i.endpoint+"/role-aliases/"+i.alias+"/credentials", nil)
	if err != nil {
		return aws.Credentials{}, badInput(describeEndpoint, "--iot-endpoint %q is no host", clip(i.endpoint))
	}
	if i.thing != "" {
		r.Header.Set("x-amzn-iot-thingname", i.thing)
	}
	resp, err := client.Do(r)
	if err != nil {
		return aws.Credentials{}, plainly("the credential endpoint", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return aws.Credentials{}, plainly("the credential endpoint", err)
	}
	return i.parse(resp.StatusCode, body)
}

func (i *iot) parse(status int, body []byte) (aws.Credentials, error) {
	var a struct {
		Message     string
		Credentials struct {
			AccessKeyID, SecretAccessKey, SessionToken string
			Expiration                                 time.Time
		}
	}
	err := json.Unmarshal(body, &a)
	if status != http.StatusOK {
		return aws.Credentials{}, &statusError{i.endpoint, status, clip(a.Message), i.hint(status)}
	}
	c := a.Credentials
	if err != nil || c.AccessKeyID == "" || c.SecretAccessKey == "" || c.SessionToken == "" || c.Expiration.IsZero() {
		return aws.Credentials{}, errors.New("an answer without credentials")
	}
	return aws.Credentials{
		AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken,
		CanExpire: true, Expires: c.Expiration, Source: "IoT",
	}, nil
}

func (i *iot) hint(status int) string {
	switch status {
	case http.StatusForbidden, http.StatusUnauthorized:
		return "is the certificate active, does its policy allow iot:AssumeRoleWithCertificate on the role alias, and is the thing attached?"
	case http.StatusNotFound:
		return "is there a role alias " + i.alias + " in this account and region? aws iot list-role-aliases"
	}
	return ""
}

// tls reads certificate, key and roots.
func (i *iot) tls() (*tls.Config, error) {
	cert, err := i.certificate()
	if err != nil {
		return nil, err
	}
	host := (&url.URL{Host: i.endpoint}).Hostname()
	c, err := i.base.tlsFor(host, cmp.Or(i.ca, i.base.bundle))
	if err != nil {
		return nil, err
	}
	c = c.Clone()
	c.Certificates = []tls.Certificate{cert}
	return c, nil
}

func (i *iot) certificate() (tls.Certificate, error) {
	cert, err := os.ReadFile(i.cert)
	if err != nil {
		return tls.Certificate{}, badInput("a PEM file, as AWS IoT hands it out", "--iot-certificate: %v", err)
	}
	key, err := os.ReadFile(i.key)
	if err != nil {
		return tls.Certificate{}, badInput("a PEM file, as AWS IoT hands it out", "--iot-private-key: %v", err)
	}
	if err := checkKey(key, i.key); err != nil {
		return tls.Certificate{}, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	switch {
	case err != nil && !bytes.Contains(cert, []byte("-----BEGIN CERTIFICATE")):
		return pair, badInput("-----BEGIN CERTIFICATE----- begins one", "--iot-certificate %s is no PEM file of a certificate", i.cert)
	case err != nil && strings.Contains(err.Error(), "does not match"):
		return pair, badInput("take both files of one certificate", "--iot-private-key %s is not the key of --iot-certificate %s", i.key, i.cert)
	case err != nil:
		return pair, badInput("both are PEM files, as AWS IoT hands them out", "--iot-certificate %s: %s", i.cert, strings.TrimPrefix(err.Error(), "tls: "))
	}
	i.until.set(pair.Leaf.NotAfter)
	if now := time.Now(); now.After(pair.Leaf.NotAfter) {
		return pair, badInput("aws iot create-keys-and-certificate makes a new one", "--iot-certificate %s has expired, on %s", i.cert, pair.Leaf.NotAfter.UTC().Format(time.DateOnly))
	}
	return pair, nil
}

// checkKey refuses encrypted keys in words: there is nobody to ask for the passphrase at a refresh.
func checkKey(data []byte, file string) error {
	block, _ := pem.Decode(data)
	if block == nil {
		return badInput("-----BEGIN … PRIVATE KEY----- begins one", "--iot-private-key %s is no PEM file", file)
	}
	if block.Type == "ENCRYPTED PRIVATE KEY" || bytes.Contains(data, []byte("Proc-Type: 4,ENCRYPTED")) {
		return badInput("openssl pkey -in "+file+" -out plain.key; chmod 600 plain.key", "--iot-private-key %s is encrypted, and nobody can be asked for its passphrase", file)
	}
	return nil
}
