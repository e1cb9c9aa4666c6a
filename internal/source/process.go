package source

import (
	"context"
	"encoding/json"
	"strconv"
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
	var answer map[string]json.RawMessage // names have a case, which fields of a struct don't
	err = json.Unmarshal(out, &answer)
	text := func(name string) (s string) {
		raw := answer[name]
		var number json.Number
		switch {
		case err != nil || len(raw) == 0:
		case raw[0] == '"':
			err = json.Unmarshal(raw, &s)
		default: // an AccountId may be one
			err = json.Unmarshal(raw, &number)
		}
		return s + number.String()
	}
	number, _ := strconv.ParseFloat(string(answer["Version"]), 64)
	id, secret, token := text("AccessKeyId"), text("SecretAccessKey"), text("SessionToken")
	expiration, account := text("Expiration"), text("AccountId")
	const hint = `it must print {"Version":1,"AccessKeyId":"…","SecretAccessKey":"…","SessionToken":"…",` +
		`"Expiration":"2030-01-02T15:04:05Z"}`
	switch {
	case len(out) == 0:
		return c, problem.Bad(hint, "it printed nothing")
	case err != nil:
		return c, problem.Bad(hint, "what it printed is no JSON of credentials")
	case number != 1:
		return c, problem.Bad(hint, "its answer has Version %v, not 1", number)
	case id == "" || secret == "":
		return c, problem.Bad(hint, "its answer lacks AccessKeyId or SecretAccessKey")
	}
	if expiration != "" {
		end, ok := parseTime(expiration)
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
	c.AccessKeyID, c.SecretAccessKey, c.SessionToken = id, secret, token
	c.AccountID, c.Source = account, "credential_process"
	return c, nil
}
