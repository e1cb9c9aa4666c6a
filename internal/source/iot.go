package source

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec/internal/source/awserr"
	"brs-exec/internal/source/problem"
	"brs-exec/internal/source/stsapi"
	"brs-exec/internal/source/userfile"
)

// iot gets the credentials of a device from AWS IoT Core: its certificate speaks for it, a role
// alias says which role.
// https://docs.aws.amazon.com/iot/latest/developerguide/authorizing-direct-aws.html
type iot struct {
	s       *Source
	o       *Options
	client  *stsapi.HTTP // timeouts, and the roots unless Options.IoTCA names others
	host    string       // with a port, if it has one
	expires *deadline    // of the certificate
}

const describeEndpoint = "aws iot describe-endpoint --endpoint-type iot:CredentialProvider"

func (o *Options) usesIoT() bool {
	return o.IoTEndpoint+o.IoTRoleAlias+o.IoTCertificate+o.IoTPrivateKey+o.IoTThingName+o.IoTCA != ""
}

func (b *builder) fromIoT(ctx context.Context, c *chain) error {
	o, in := b.o, b.names.Input(problem.IoTEndpoint)
	if err := checkIoTOptions(o); err != nil {
		return err
	}
	host := strings.TrimSuffix(strings.TrimPrefix(o.IoTEndpoint, "https://"), "/")
	if host == "" || strings.ContainsAny(host, "/?#@ ") {
		return problem.Bad(describeEndpoint, "%s %q is no host", in, problem.Clip(stsapi.Redact(o.IoTEndpoint)))
	}
	if strings.Contains(host, ".iot.") && !strings.Contains(host, ".credentials.iot.") {
		return problem.Bad(describeEndpoint, "%s %s is the one for data, not for credentials", in, host)
	}
	step := "IoT role alias " + o.IoTRoleAlias
	if o.IoTThingName != "" {
		step = "IoT thing " + o.IoTThingName + ", role alias " + o.IoTRoleAlias
	}
	i := &iot{b.s, o, b.http, host, b.newDeadline()}
	c.add(step, true)
	c.provider = i
	_, err := i.secure(ctx)
	return err
}

// checkIoTOptions wants all four, and an alias of AWS's [\w=,@-]{1,128}: it is part of the URL.
func checkIoTOptions(o *Options) error {
	needed := []any{problem.IoTEndpoint, problem.IoTRoleAlias, problem.IoTCertificate, problem.IoTPrivateKey}
	for i, value := range []string{o.IoTEndpoint, o.IoTRoleAlias, o.IoTCertificate, o.IoTPrivateKey} {
		if value == "" {
			return problem.Bad(o.Names.Hint("%v, %v, %v and %v belong together", needed...),
				"IoT credentials need %s", o.Names.Input(needed[i].(problem.Option)))
		}
	}
	in := o.Names.Input(problem.IoTRoleAlias)
	if stsapi.CheckName(in, o.IoTRoleAlias, 1, 128, "") != nil || strings.ContainsAny(o.IoTRoleAlias, "+.") {
		return problem.Bad("letters, digits and _=,@- are allowed",
			"%s %q is no role alias", in, problem.Clip(o.IoTRoleAlias))
	}
	return nil
}

func (i *iot) Retrieve(ctx context.Context) (aws.Credentials, error) {
	creds, err := i.ask(ctx)
	if err != nil {
		hint := i.o.Names.Hint("is %v right? %s shows it", problem.IoTEndpoint, describeEndpoint)
		return aws.Credentials{}, i.s.explain(
			call{op: "IoT credentials", roots: problem.IoTCA, hint: hint, host: hint}, err)
	}
	return creds, nil
}

func (i *iot) ask(ctx context.Context) (aws.Credentials, error) {
	client, err := i.secure(ctx) // anew: certificates rotate
	if err != nil {
		return aws.Credentials{}, err
	}
	defer client.CloseIdleConnections()
	u := "https://" + i.host + "/role-aliases/" + i.o.IoTRoleAlias + "/credentials"
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		in := i.o.Names.Input(problem.IoTEndpoint)
		return aws.Credentials{}, problem.Bad(describeEndpoint, "%s %q is no host", in, problem.Clip(i.host))
	}
	if i.o.IoTThingName != "" {
		r.Header.Set("x-amzn-iot-thingname", i.o.IoTThingName)
	}
	status, body, err := stsapi.Get(client, r, "the credential endpoint")
	if err != nil {
		return aws.Credentials{}, err
	}
	return i.parse(status, body)
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
		message := problem.Clip(a.Message)
		return aws.Credentials{}, &awserr.StatusError{
			What: i.host, Status: status, Message: message, Hint: i.hint(status),
		}
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
		return "is the certificate active, does its policy allow iot:AssumeRoleWithCertificate on the role alias, " +
			"and is the thing attached?"
	case http.StatusNotFound:
		return "is there a role alias " + i.o.IoTRoleAlias + " in this account and region? aws iot list-role-aliases"
	}
	return ""
}

// secure makes a client of certificate, key and roots, which it reads.
func (i *iot) secure(ctx context.Context) (*http.Client, error) {
	cert, err := i.certificate(ctx)
	if err != nil {
		return nil, err
	}
	if ca := i.o.IoTCA; ca != "" {
		if err := userfile.Check(ca); err != nil {
			return nil, problem.Bad("a PEM file of root certificates", "%s: %v", i.o.Names.Input(problem.IoTCA), err)
		}
	}
	return i.client.Secure(cmp.Or(i.o.IoTCA, i.client.Bundle), cert)
}

func (i *iot) certificate(ctx context.Context) (none tls.Certificate, err error) {
	certIn, keyIn := i.o.Names.Input(problem.IoTCertificate), i.o.Names.Input(problem.IoTPrivateKey)
	certFile, keyFile := i.o.IoTCertificate, i.o.IoTPrivateKey
	cert, err := userfile.Read(ctx, certFile)
	if err != nil {
		return none, problem.Bad("a PEM file, as AWS IoT hands it out", "%s: %v", certIn, err)
	}
	key, err := userfile.Read(ctx, keyFile)
	if err != nil {
		return none, problem.Bad("a PEM file, as AWS IoT hands it out", "%s: %v", keyIn, err)
	}
	if err := checkKey(keyIn, key, keyFile); err != nil {
		return none, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	switch {
	case err != nil && !bytes.Contains(cert, []byte("-----BEGIN CERTIFICATE")):
		return none, problem.Bad("-----BEGIN CERTIFICATE----- begins one",
			"%s %s is no PEM file of a certificate", certIn, certFile)
	case err != nil && strings.Contains(err.Error(), "does not match"): // crypto/tls has no type for it
		return none, problem.Bad("take both files of one certificate",
			"%s %s is not the key of %s %s", keyIn, keyFile, certIn, certFile)
	case err != nil:
		why := strings.TrimPrefix(err.Error(), "tls: ")
		return none, problem.Bad("both are PEM files, as AWS IoT hands them out", "%s %s: %s", certIn, certFile, why)
	}
	end := pair.Leaf.NotAfter
	i.expires.set(end)
	if time.Now().After(end) {
		return none, problem.Bad("aws iot create-keys-and-certificate makes a new one",
			"%s %s has expired, on %s", certIn, certFile, end.UTC().Format(time.DateOnly))
	}
	return pair, nil
}

// checkKey refuses encrypted keys in words: there is nobody to ask for the passphrase at a
// refresh.
func checkKey(in problem.Input, data []byte, file string) error {
	block, _ := pem.Decode(data)
	if block == nil {
		return problem.Bad("-----BEGIN … PRIVATE KEY----- begins one", "%s %s is no PEM file", in, file)
	}
	if block.Type == "ENCRYPTED PRIVATE KEY" || bytes.Contains(data, []byte("Proc-Type: 4,ENCRYPTED")) {
		return problem.Bad("openssl pkey -in "+file+" -out plain.key; chmod 600 plain.key",
			"%s %s is encrypted, and nobody can be asked for its passphrase", in, file)
	}
	return nil
}
