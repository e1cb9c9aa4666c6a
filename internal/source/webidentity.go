package source

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec/internal/source/command"
	"brs-exec/internal/source/problem"
	"brs-exec/internal/source/stsapi"
	"brs-exec/internal/source/userfile"
)

// maxToken is what AssumeRoleWithWebIdentity takes.
const maxToken = 20000

// webIdentity buys a role with an OIDC token, a new one at every Retrieve: whoever issues it
// renews it.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
type webIdentity struct {
	s     *Source
	role  stsapi.Role
	from  string // where the token is from, for people
	token func(context.Context) (jwt, error)
	until *deadline // of a token in a file that may not be written again
}

func (o *Options) usesToken() bool {
	return o.WebIdentityTokenFile+o.WebIdentityTokenCommand+o.WebIdentity != ""
}

// fromTokenFile begins with web identity by variables (IRSA) or by a profile. from is where role's
// ARN stands.
func (b *builder) fromTokenFile(ctx context.Context, c *chain, file string, role stsapi.Role,
	from problem.Input) error {
	if role.ARN == "" {
		return problem.Bad("export AWS_ROLE_ARN=arn:aws:iam::ACCOUNT:role/NAME",
			"AWS_WEB_IDENTITY_TOKEN_FILE is set, but not AWS_ROLE_ARN")
	}
	if err := stsapi.CheckRoleARN(from, role.ARN); err != nil {
		return err
	}
	w := &webIdentity{role: role}
	b.buy(c, w)
	return b.readFrom(ctx, w, file)
}

// readFrom makes w read its token from file, which must hold one now. What a pipe brought
// (<(command), a FIFO) is there once, and is used until it ends.
func (b *builder) readFrom(ctx context.Context, w *webIdentity, file string) error {
	w.from, w.until = file, b.newDeadline()
	w.token = func(ctx context.Context) (jwt, error) { return w.read(ctx, file) }
	again := userfile.ReadsAgain(file)
	token, err := w.read(ctx, file)
	if !again {
		w.until.set(instant(token.claims().Exp))
		w.token = func(context.Context) (jwt, error) { return token, nil }
	}
	return err
}

// buy makes w the chain's base.
func (b *builder) buy(c *chain, w *webIdentity) {
	w.s = b.s
	c.add(w.role.ARN, true)
	c.provider, c.web = w, w
}

// fromWebIdentityOptions begins with a token that buys the first of the roles that the options
// name.
func (b *builder) fromWebIdentityOptions(ctx context.Context, c *chain) (err error) {
	o := b.o
	if len(o.RoleARNs) == 0 {
		role := "arn:aws:iam::ACCOUNT:role/NAME"
		if b.env.RoleARN != "" {
			role = `"$AWS_ROLE_ARN"`
		}
		return problem.Bad(b.names.Hint("%v %s", problem.RoleARN, role), "a web identity token needs a role to buy")
	}
	w := &webIdentity{role: stsapi.Role{ARN: o.RoleARNs[0]}}
	b.roles = o.RoleARNs[1:]
	switch {
	case o.WebIdentityTokenFile != "":
		c.add("token of "+o.WebIdentityTokenFile, true)
		err = b.readFrom(ctx, w, o.WebIdentityTokenFile)
	case o.WebIdentityTokenCommand != "":
		c.add("token command", true)
		in := b.names.Input(problem.WebIdentityTokenCommand)
		w.from, w.token = in.String(), tokenCommand(in, b.newCommand(&b.commands, o.WebIdentityTokenCommand))
	default:
		c.add("GitHub Actions", true)
		w.from = "GitHub Actions"
		w.token, err = b.gitHubTokens()
	}
	b.buy(c, w)
	return err
}

func tokenCommand(in problem.Input, running *command.Task[[]byte]) func(context.Context) (jwt, error) {
	return func(ctx context.Context) (jwt, error) {
		out, err := running.Wait(ctx)
		if err != nil {
			return "", problem.Prefix(in, err)
		}
		return checkToken(string(out), "what "+in.String()+" printed")
	}
}

func (w *webIdentity) Retrieve(ctx context.Context) (aws.Credentials, error) {
	done := w.s.startStep(w.step())
	creds, err := w.retrieve(ctx)
	done(err)
	return creds, err
}

func (w *webIdentity) retrieve(ctx context.Context) (aws.Credentials, error) {
	token, err := w.token(ctx)
	if err != nil {
		return aws.Credentials{}, w.s.explain(call{op: "web identity", hint: command.WaitsHint}, err)
	}
	creds, owner, err := w.s.sts.AssumeRoleWithToken(ctx, &w.role, string(token))
	if err != nil {
		op := "assume role " + w.role.ARN + " with the token of " + w.from
		return aws.Credentials{}, w.s.explain(call{op: op, role: w.role.ARN, byToken: true}, err)
	}
	w.s.note(creds, owner)
	return creds, nil
}

// read reads the file anew, as EKS and CI systems rewrite it.
func (w *webIdentity) read(ctx context.Context, file string) (jwt, error) {
	data, err := userfile.Read(ctx, file)
	if err != nil {
		return "", problem.Bad("whoever issues the token writes it there: is the path right?",
			"web identity token: %v", err)
	}
	t, err := checkToken(string(data), "web identity token file "+file)
	w.until.set(t.end())
	return t, err
}

// A jwt is an OIDC token.
type jwt string

// checkToken takes the token out of s, and shows none of it in errors. STS judges more than the
// size; an empty token is somebody's mistake here.
func checkToken(s, from string) (jwt, error) {
	s = strings.TrimSpace(s)
	switch {
	case s == "":
		return "", problem.Bad("a token is one word, as the provider issued it", "%s is empty", from)
	case len(s) > maxToken || strings.ContainsAny(s, " \t\r\n"):
		hint := fmt.Sprintf("a token is one word of at most %d characters", maxToken)
		return "", problem.Bad(hint, "%s holds no token", from)
	}
	return jwt(s), nil
}

// claims are what the token says of itself. They are not checked: whoever takes the token does.
type claims struct {
	Exp        float64 `json:"exp"`
	Iat        float64 `json:"iat"`
	Kubernetes *struct {
		Pod json.RawMessage `json:"pod"`
	} `json:"kubernetes.io"`
}

// claims are zero if it can't be read.
func (t jwt) claims() (c claims) {
	parts := strings.Split(string(t), ".")
	if len(parts) != 3 {
		return c
	}
	data, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(data, &c) != nil {
		return claims{}
	}
	return c
}

// end returns when a token in a file ends; zero if that is unknown, or if the kubelet writes a new
// one in time, as it does for a pod (IRSA). One of `kubectl create token` is of no pod.
func (t jwt) end() time.Time {
	c := t.claims()
	if c.Kubernetes != nil && c.Kubernetes.Pod != nil {
		return time.Time{}
	}
	return instant(c.Exp)
}

// issued returns when the token was; zero if that is unknown.
func (t jwt) issued() time.Time { return instant(t.claims().Iat) }

// instant is a NumericDate of RFC 7519; zero if it is none.
func instant(seconds float64) time.Time {
	if seconds < 1 || seconds > 1<<40 {
		return time.Time{}
	}
	return time.Unix(int64(seconds), 0)
}
