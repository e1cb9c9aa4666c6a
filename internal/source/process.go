package source

import (
	"context"
	"encoding/json"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec/internal/source/command"
	"brs-exec/internal/source/problem"
)

// A process is a profile's credential_process, or the command that Options name. The SDK's own
// would put what it printed into errors, and let it read our stdin.
// https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html
type process struct {
	s       *Source
	what    string // for people
	running *command.Task[[]byte]
}

// newProcess makes a process. It is given the keys in the environment, as aws gives them: it may
// ask AWS with them.
func (b *builder) newProcess(from problem.Input, line string) *process {
	runner := b.commands
	runner.Keys = true
	return &process{b.s, from.String(), b.newCommand(&runner, line)}
}

// newCommand makes a task that runs the command line.
func (b *builder) newCommand(runner *command.Runner, line string) *command.Task[[]byte] {
	return command.NewTask(b.s.tasks, func(ctx context.Context) ([]byte, error) { return runner.Run(ctx, line) })
}

func (p *process) Retrieve(ctx context.Context) (aws.Credentials, error) {
	out, err := p.running.Wait(ctx)
	if err != nil {
		return aws.Credentials{}, p.s.explain(call{op: p.what, hint: command.WaitsHint}, err)
	}
	creds, err := parseProcess(out, time.Now())
	if err != nil {
		return aws.Credentials{}, p.s.explain(call{op: p.what}, err)
	}
	return creds, nil
}

// parseProcess reads the JSON of a credential_process. Its errors show nothing of it.
func parseProcess(out []byte, now time.Time) (c aws.Credentials, err error) {
	var a struct {
		Version                                                int
		AccessKeyID, SecretAccessKey, SessionToken, Expiration string
		AccountID                                              string
	}
	const hint = `it must print {"Version":1,"AccessKeyId":"…","SecretAccessKey":"…","SessionToken":"…",` +
		`"Expiration":"2030-01-02T15:04:05Z"}`
	switch err := json.Unmarshal(out, &a); {
	case len(out) == 0:
		return c, problem.Bad(hint, "it printed nothing")
	case err != nil:
		return c, problem.Bad(hint, "what it printed is no JSON of credentials")
	case a.Version != 1:
		return c, problem.Bad(hint, "its answer has Version %d, not 1", a.Version)
	case a.AccessKeyID == "" || a.SecretAccessKey == "":
		return c, problem.Bad(hint, "its answer lacks AccessKeyId or SecretAccessKey")
	}
	if a.Expiration != "" {
		end, ok := parseTime(a.Expiration)
		switch {
		case !ok:
			return c, problem.Bad(`"Expiration":"2030-01-02T15:04:05Z"`,
				"the Expiration of its answer is no ISO 8601 time with a zone")
		case !end.After(now):
			ago := now.Sub(end).Round(time.Second)
			return c, problem.Bad("does it answer from a cache of its own?", "its answer has expired, %v ago", ago)
		}
		c.CanExpire, c.Expires = true, end
	}
	c.AccessKeyID, c.SecretAccessKey, c.SessionToken = a.AccessKeyID, a.SecretAccessKey, a.SessionToken
	c.AccountID, c.Source = a.AccountID, "credential_process"
	return c, nil
}
