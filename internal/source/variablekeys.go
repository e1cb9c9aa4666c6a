package source

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec/internal/source/problem"
)

// variableKeys are AWS_ACCESS_KEY_ID and its like. They can't change while brs-exec runs.
type variableKeys struct {
	keys  aws.Credentials
	names problem.Names
}

// fromVariables begins with the keys in the environment. AWS_CREDENTIAL_EXPIRATION is what `aws
// configure export-credentials` adds to a session's keys.
func (b *builder) fromVariables(c *chain) error {
	c.add("environment variables", false)
	v := variableKeys{b.env.Credentials, b.names}
	end, err := time.Parse(time.RFC3339, b.vars["AWS_CREDENTIAL_EXPIRATION"])
	if err == nil && v.keys.SessionToken != "" {
		v.keys.CanExpire, v.keys.Expires = true, end
		b.newDeadline().set(end)
	}
	c.provider = v
	_, err = v.Retrieve(context.Background()) // asks nobody
	return err
}

func (v variableKeys) Retrieve(context.Context) (aws.Credentials, error) {
	if end := v.keys.Expires; v.keys.CanExpire && !end.After(time.Now()) {
		hint := v.names.Hint("export new keys, or use %v, which renews itself", problem.Profile)
		return aws.Credentials{}, problem.Bad(hint, "the keys in the environment have expired, at %s "+
			"(AWS_CREDENTIAL_EXPIRATION)", end.UTC().Format(time.RFC3339))
	}
	return v.keys, nil
}
