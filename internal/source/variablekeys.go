package source

import (
	"cmp"
	"context"
	"strings"
	"time"
	"unicode"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"

	"brs-exec/internal/source/problem"
)

// variableKeys are AWS_ACCESS_KEY_ID and its like. They can't change while brs-exec runs.
type variableKeys struct {
	keys  aws.Credentials
	names problem.Names
}

// fromVariables makes them the base. Half a pair is an error, as it is with aws: perhaps a CI
// system held the secret back, and nobody wants the next identity in the chain instead.
// AWS_CREDENTIAL_EXPIRATION comes with a session's keys from `aws configure export-credentials`.
func (b *builder) fromVariables(c *chain) error {
	c.add("environment variables", false)
	secret, is := b.vars["AWS_SECRET_ACCESS_KEY"]
	if secret == "" {
		what := map[bool]string{true: "empty", false: "not set"}[is]
		return problem.Bad("look where it comes from: CI systems keep secrets from forks",
			"AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY is %s", what)
	}
	v := variableKeys{aws.Credentials{
		AccessKeyID: b.vars["AWS_ACCESS_KEY_ID"], SecretAccessKey: secret, SessionToken: b.sessionToken(),
		AccountID: b.vars["AWS_ACCOUNT_ID"], Source: config.CredentialsSourceName,
	}, b.names}
	if err := checkKeys(v.keys, func(name string) string { return name }); err != nil {
		return err
	}
	switch end, ok := parseTime(b.vars["AWS_CREDENTIAL_EXPIRATION"]); {
	case v.keys.SessionToken == "":
	case ok:
		v.keys.CanExpire, v.keys.Expires = true, end
		b.newDeadline().set(end)
	default:
		b.s.doubts = append(b.s.doubts, func(time.Time) string {
			return "the keys in the environment don't say when they end (AWS_CREDENTIAL_EXPIRATION)"
		})
	}
	c.provider = v
	_, err := v.Retrieve(context.Background()) // asks nobody
	return err
}

// sessionToken returns the session token of the key variables. botocore looks for the older name
// first.
func (b *builder) sessionToken() string {
	return cmp.Or(b.vars["AWS_SECURITY_TOKEN"], b.vars["AWS_SESSION_TOKEN"])
}

// checkKeys refuses keys with which no signature can be made; base64 of an echo leaves a line break
// at the end. STS would answer as if it were down. name returns what a variable is called here.
func checkKeys(keys aws.Credentials, name func(variable string) string) error {
	for _, k := range []struct{ variable, value string }{
		{"AWS_ACCESS_KEY_ID", keys.AccessKeyID}, {"AWS_SECRET_ACCESS_KEY",
			keys.SecretAccessKey}, {"AWS_SESSION_TOKEN", keys.SessionToken},
	} {
		if strings.ContainsFunc(k.value, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
			return problem.Bad("take it out where the value comes from; in a file, a comment takes a line of its own",
				"%s holds a space or a line break", name(k.variable))
		}
	}
	return nil
}

func (v variableKeys) Retrieve(context.Context) (aws.Credentials, error) {
	if end := v.keys.Expires; v.keys.CanExpire && !end.After(time.Now()) {
		hint := v.names.Hint("export new keys, or use %v, which is refreshed by itself", problem.Profile)
		return aws.Credentials{}, problem.Bad(hint, "the keys in the environment have expired, at %s "+
			"(AWS_CREDENTIAL_EXPIRATION)", end.UTC().Format(time.RFC3339))
	}
	return v.keys, nil
}
