package source

import (
	"context"
	"encoding/json"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// A process is credential_process, or --credential-command. The SDK's own would put what it printed into errors, and let
// it read our stdin. https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html
type process struct {
	what   string
	errand errand[[]byte]
}

func (b *builder) process(what, command string) *process {
	return &process{what, errand[[]byte]{s: b.s, do: func(ctx context.Context) ([]byte, error) { return b.s.run(ctx, what, command) }}}
}

func (p *process) Retrieve(ctx context.Context) (aws.Credentials, error) {
	out, err := p.errand.wait(ctx)
	if err != nil {
		return aws.Credentials{}, p.errand.s.explain(call{op: p.what, hint: slowHint}, err)
	}
	creds, err := parseProcess(out, time.Now())
	if err != nil {
		return aws.Credentials{}, p.errand.s.explain(call{op: p.what}, err)
	}
	return creds, nil
}

// slowHint is for a command that was not done when somebody needed it.
const slowHint = "run it by hand to see what it waits for: it has no terminal to ask on, and its stdin is empty"

// parseProcess shows nothing of what it reads.
func parseProcess(out []byte, now time.Time) (aws.Credentials, error) {
	var a struct {
		Version                                                int
		AccessKeyID, SecretAccessKey, SessionToken, Expiration string
		AccountID                                              string
	}
	const hint = `it must print {"Version":1,"AccessKeyId":"…","SecretAccessKey":"…","SessionToken":"…","Expiration":"2030-01-02T15:04:05Z"}`
	if json.Unmarshal(out, &a) != nil {
		if len(out) == 0 {
			return aws.Credentials{}, badInput(hint, "it printed nothing")
		}
		return aws.Credentials{}, badInput(hint, "what it printed is no JSON of credentials")
	}
	switch {
	case a.Version != 1:
		return aws.Credentials{}, badInput(hint, "its answer has Version %d, not 1", a.Version)
	case a.AccessKeyID == "" || a.SecretAccessKey == "":
		return aws.Credentials{}, badInput(hint, "its answer lacks AccessKeyId or SecretAccessKey")
	}
	c := aws.Credentials{AccessKeyID: a.AccessKeyID, SecretAccessKey: a.SecretAccessKey, SessionToken: a.SessionToken, AccountID: a.AccountID, Source: "credential_process"}
	if a.Expiration == "" {
		return c, nil
	}
	end, err := time.Parse(time.RFC3339, a.Expiration)
	switch {
	case err != nil:
		return aws.Credentials{}, badInput(`"Expiration":"2030-01-02T15:04:05Z"`, "the Expiration of its answer is no RFC 3339 time")
	case !end.After(now):
		return aws.Credentials{}, badInput("does it answer from a cache of its own?", "its answer has expired, %v ago", now.Sub(end).Round(time.Second))
	}
	c.CanExpire, c.Expires = true, end
	return c, nil
}
