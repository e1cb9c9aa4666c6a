package source

import (
	"context"
	"encoding/base64"
	"encoding/json"
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
	s     *Source
	arn   string
	from  string // where the token is from, for people
	token func(context.Context) (jwt, error)
	until *deadline // of a token in a file that may not be written again

	name       string
	duration   time.Duration // 0: an hour
	policy     string
	policyARNs []types.PolicyDescriptorType
}

// A jwt is a token that was got already: stscreds asks for it without a context.
type jwt string

func (t jwt) GetIdentityToken() ([]byte, error) { return []byte(t), nil }

// fromTokenFile is web identity by variables (IRSA) or by profile.
func (b *builder) fromTokenFile(c chain, file, arn, arnFrom, arnHow, name string) (chain, error) {
	if arn == "" {
		return c, badInput("export AWS_ROLE_ARN=arn:aws:iam::ACCOUNT:role/NAME", "AWS_WEB_IDENTITY_TOKEN_FILE is set, but not AWS_ROLE_ARN")
	}
	if err := checkRoleARN(arnFrom, arnHow, arn); err != nil {
		return c, err
	}
	w := &webIdentity{arn: arn, name: name, from: file, until: b.ends()}
	w.token = func(context.Context) (jwt, error) { return w.read(file) }
	if _, err := w.read(file); err != nil {
		return c, err
	}
	return b.buys(c, w), nil
}

// buys makes w the chain's base.
func (b *builder) buys(c chain, w *webIdentity) chain {
	w.s = b.s
	c.provider, c.web, c.role = w, w, yes
	c.steps = append(c.steps, w.arn)
	return c
}

// fromWebIdentityFlags: the first --role-arn is what the token buys.
func (b *builder) fromWebIdentityFlags() (chain, error) {
	o := b.o
	if len(o.RoleARNs) == 0 {
		hint := "--role-arn arn:aws:iam::ACCOUNT:role/NAME"
		if b.env.RoleARN != "" {
			hint = `--role-arn "$AWS_ROLE_ARN"`
		}
		return chain{}, badInput(hint, "a web identity token needs a role to buy")
	}
	w := &webIdentity{arn: o.RoleARNs[0]}
	b.roles = o.RoleARNs[1:]
	c := chain{}
	switch {
	case o.WebIdentityTokenFile != "":
		w.from, w.until = o.WebIdentityTokenFile, b.ends()
		w.token = func(context.Context) (jwt, error) { return w.read(o.WebIdentityTokenFile) }
		c.steps = []string{"token of " + o.WebIdentityTokenFile}
		if _, err := w.read(o.WebIdentityTokenFile); err != nil {
			return c, err
		}
	case o.WebIdentityTokenCommand != "":
		w.from = "--web-identity-token-command"
		w.token = b.tokenCommand(w.from, o.WebIdentityTokenCommand)
		c.steps = []string{"token command"}
	default:
		w.from, c.steps = "GitHub Actions", []string{"GitHub Actions"}
		g, err := newGitHub(b)
		if err != nil {
			return c, err
		}
		w.token = g.token
	}
	return b.buys(c, w), nil
}

func (b *builder) tokenCommand(what, command string) func(context.Context) (jwt, error) {
	e := &errand[[]byte]{s: b.s, do: func(ctx context.Context) ([]byte, error) { return b.s.run(ctx, what, command) }}
	return func(ctx context.Context) (jwt, error) {
		out, err := e.wait(ctx)
		if err != nil {
			return "", err
		}
		return checkToken(string(out), "what "+what+" printed")
	}
}

func (w *webIdentity) Retrieve(ctx context.Context) (aws.Credentials, error) {
	ends := w.s.begins(w.step())
	creds, err := w.retrieve(ctx)
	ends(err)
	return creds, err
}

func (w *webIdentity) retrieve(ctx context.Context) (aws.Credentials, error) {
	token, err := w.token(ctx)
	if err != nil {
		return aws.Credentials{}, w.s.explain(call{op: "web identity", hint: slowHint}, err)
	}
	creds, err := stscreds.NewWebIdentityRoleProvider(w.s.sts, w.arn, token, func(o *stscreds.WebIdentityRoleOptions) {
		o.RoleSessionName, o.Duration = w.name, orDefault(w.duration, defaultDuration)
		o.Policy, o.PolicyARNs = optional(w.policy), w.policyARNs
	}).Retrieve(ctx)
	if err == nil {
		err = whole(creds)
	}
	if err != nil {
		return aws.Credentials{}, w.s.explain(call{op: "assume role " + w.arn + " with the token of " + w.from, role: w.arn, web: true}, err)
	}
	return creds, nil
}

// read reads the file anew, as EKS and CI systems rewrite it.
func (w *webIdentity) read(file string) (jwt, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return "", badInput("whoever issues the token writes it there: is the path right?", "web identity token: %v", err)
	}
	t, err := checkToken(string(data), "web identity token file "+file)
	w.until.set(t.until())
	return t, err
}

// checkToken never shows any of it. STS judges more than the size, but an empty token is somebody's mistake here.
func checkToken(s, from string) (jwt, error) {
	s = strings.TrimSpace(s)
	switch {
	case s == "":
		return "", badInput("a token is one word, as the provider issued it", "%s is empty", from)
	case len(s) > maxToken || strings.ContainsAny(s, " \t\r\n"):
		return "", badInput(fmt.Sprintf("a token is one word of at most %d characters", maxToken), "%s holds no token", from)
	}
	return jwt(s), nil
}

// until is when a token in a file ends, if whoever wrote it may not write another. The kubelet does (IRSA).
func (t jwt) until() time.Time {
	parts := strings.Split(string(t), ".")
	if len(parts) != 3 {
		return time.Time{}
	}
	data, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return time.Time{}
	}
	var claims struct {
		Exp        float64         `json:"exp"`
		Kubernetes json.RawMessage `json:"kubernetes.io"`
	}
	if json.Unmarshal(data, &claims) != nil || claims.Kubernetes != nil || claims.Exp < 1 || claims.Exp > 1<<40 {
		return time.Time{}
	}
	return time.Unix(int64(claims.Exp), 0)
}
