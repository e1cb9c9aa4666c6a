package source

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
)

// maxToken is what AssumeRoleWithWebIdentity takes.
const maxToken = 20000

// webIdentity buys a role with an OIDC token, a new one at every Retrieve: whoever issues it renews it.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
type webIdentity struct {
	s       *Source
	file    string
	arn     string
	arnFrom string

	name       string
	duration   time.Duration // 0: an hour
	policy     string
	policyARNs []types.PolicyDescriptorType
}

func (b *builder) fromTokenFile(c chain, w *webIdentity) (chain, error) {
	if w.arn == "" {
		return c, badInput("export "+w.arnFrom+"=arn:aws:iam::ACCOUNT:role/NAME", "AWS_WEB_IDENTITY_TOKEN_FILE is set, but not %s", w.arnFrom)
	}
	if err := checkRoleARN(w.arnFrom, w.arn); err != nil {
		return c, err
	}
	if _, err := w.token(); err != nil {
		return c, err
	}
	w.s = b.s
	c.provider, c.web, c.role = w, w, yes
	c.steps = append(c.steps, w.arn)
	return c, nil
}

func (w *webIdentity) Retrieve(ctx context.Context) (aws.Credentials, error) {
	token, err := w.token()
	if err != nil {
		return aws.Credentials{}, err
	}
	creds, err := stscreds.NewWebIdentityRoleProvider(w.s.sts, w.arn, token, func(o *stscreds.WebIdentityRoleOptions) {
		o.RoleSessionName, o.Duration = w.name, orDefault(w.duration, defaultDuration)
		o.Policy, o.PolicyARNs = optional(w.policy), w.policyARNs
	}).Retrieve(ctx)
	if err != nil {
		return aws.Credentials{}, w.s.explain(call{op: "assume role " + w.arn + " with the token of " + w.file, role: w.arn, web: true}, err)
	}
	return creds, nil
}

// A jwt is a token that was got already: stscreds asks for it without a context.
type jwt string

func (t jwt) GetIdentityToken() ([]byte, error) { return []byte(t), nil }

// token reads the file, as EKS and CI systems rewrite it.
func (w *webIdentity) token() (jwt, error) {
	data, err := os.ReadFile(w.file)
	if err != nil {
		return "", badInput("", "web identity token: %v", err)
	}
	return checkToken(string(data), "web identity token file "+w.file)
}

// checkToken never shows any of it. STS judges more than the size, but an empty token is somebody's mistake here.
func checkToken(s, from string) (jwt, error) {
	s = strings.TrimSpace(s)
	switch {
	case s == "":
		return "", badInput("", "%s is empty", from)
	case len(s) > maxToken || strings.ContainsAny(s, " \t\r\n"):
		return "", badInput(fmt.Sprintf("a token is one word of at most %d characters", maxToken), "%s holds no token", from)
	}
	return jwt(s), nil
}
