package source

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec/internal/source/command"
	"brs-exec/internal/source/problem"
	"brs-exec/internal/source/prompt"
	"brs-exec/internal/source/stsapi"
)

// codeLife is how long a code that STS has not seen is tried again: AWS takes one for a little
// longer than the half minute it is shown.
const codeLife = time.Minute

// mfa asks for a code once. With long-term keys the code buys a session of 36 hours, from which
// roles are assumed without another. Any other credentials can't buy one: the code goes into
// AssumeRole.
//
// A person is asked by Prepare, and never again: once the command runs, the terminal is its own,
// and what is typed there is not for us.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_mfa_configure-api-require.html
type mfa struct {
	s        *Source
	serial   string
	given    string // Options.TokenCode, or what a person has typed: good for once
	command  string
	terminal string
	by       string // the keys, for people
	life     time.Duration

	commands *command.Runner
	turn     turn // of the sources that share it; guards the rest
	asking   *command.Task[string]
	code     string // asked for, not yet seen by STS
	asked    time.Time
	spent    bool // the given code is
	typed    bool // it is a person's
	session  aws.Credentials
	bought   time.Time
	until    *deadline // of what can't be had again without a person
	warned   bool
}

// newMFA makes one for the keys of base, or takes that of another source of the run.
func (b *builder) newMFA(
	serial string, from problem.Input, base aws.CredentialsProvider, by string, life time.Duration,
) (*mfa, error) {
	if n := len(serial); n < 9 || n > 256 || strings.ContainsAny(serial, " \t\r\n") {
		return nil, problem.Bad("arn:aws:iam::ACCOUNT:mfa/NAME; aws iam list-mfa-devices shows it",
			"%s %q is no MFA device", from, problem.Clip(serial))
	}
	key := mfaKey{serial, keysName(base, by)}
	m := sharedOr(b, func(s *Shared) map[mfaKey]*mfa { return s.mfas }, key, func() *mfa {
		return &mfa{
			s: b.s, until: new(deadline), serial: serial, given: b.o.TokenCode, command: b.o.MFACommand,
			terminal: b.terminal, by: by, life: life, commands: &b.commands, turn: newTurn(),
		}
	})
	if m.s == b.s { // it is new
		m.asking = command.NewTask(b.s.tasks, m.ask)
		if m.given == "" && m.command == "" && (b.o.Unattended || !prompt.Available(m.terminal)) {
			hint := b.names.Hint("%v 'COMMAND THAT PRINTS A CODE', or %v 123456", problem.MFACommand, problem.TokenCode)
			return nil, problem.Bad(hint, "%s asks for an MFA code, and there is no terminal to ask on", from)
		}
	}
	if m.command == "" { // a code takes a person
		b.s.untils = append(b.s.untils, m.until.get)
	}
	b.s.mfas = append(b.s.mfas, m)
	return m, nil
}

// checkCode refuses what is no code, and two ways to get one.
func checkCode(o *Options) error {
	in := o.Names.Input(problem.TokenCode)
	switch {
	case o.TokenCode != "" && !prompt.IsCode(o.TokenCode):
		return problem.Bad(in.With("123456"), "%s: a code is six digits", in)
	case o.TokenCode != "" && o.MFACommand != "":
		return problem.Bad("drop one", "%s and %s exclude each other", in, o.Names.Input(problem.MFACommand))
	}
	return nil
}

// Prepare asks the user for what only a person or a device can tell, before the time starts in
// which the first credentials must be there: it waits as long as the person takes.
func (s *Source) Prepare(ctx context.Context) error {
	for _, m := range s.mfas {
		done := s.startStep(Step{Kind: CodeStep, What: "MFA code"})
		err := m.prepare(ctx)
		done(err)
		if err != nil {
			return err
		}
	}
	return nil
}

// prepare has a code, or a session that one has bought.
func (m *mfa) prepare(ctx context.Context) error {
	if err := m.turn.take(ctx); err != nil {
		return err
	}
	defer m.turn.release()
	if m.session.HasKeys() {
		return nil
	}
	_, err := m.get(ctx)
	return err
}

// caller turns what base yields into what signs: a session that a code has bought, or the
// credentials themselves and the code.
func (m *mfa) caller(ctx context.Context, base aws.CredentialsProvider) (stsapi.Caller, error) {
	if err := m.turn.take(ctx); err != nil {
		return stsapi.Caller{}, err
	}
	defer m.turn.release()
	if left := time.Until(m.session.Expires); left > m.margin() {
		return stsapi.Caller{Keys: m.session}, nil
	} else if left > 0 {
		return stsapi.Caller{Keys: m.renew(ctx, base)}, nil
	}
	keys, err := base.Retrieve(ctx)
	if err != nil {
		return stsapi.Caller{}, err
	}
	if keys.SessionToken == "" {
		keys, err = m.buy(ctx, keys)
		return stsapi.Caller{Keys: keys}, err
	}
	if !m.warned {
		m.warned = true
		text := "these credentials can't buy an MFA session: every refresh takes another code"
		if m.command == "" {
			text = m.s.names.Hint("these credentials can't buy an MFA session: the role can't be refreshed, since that "+
				"takes another code (%v makes them)", problem.MFACommand)
		}
		m.s.log.Warn(text, "base", m.by)
	}
	code, err := m.get(ctx)
	return stsapi.Caller{Keys: keys, Serial: m.serial, Code: code}, err
}

// margin is how long before its end a new session is sought. At most an hour: a role is refreshed
// at half its life, so the caller looks often enough. Where only a person could help, that is told
// while there is time to find one.
func (m *mfa) margin() time.Duration {
	quarter := m.session.Expires.Sub(m.bought) / 4
	if m.command == "" {
		return quarter
	}
	return min(time.Hour, quarter)
}

// renew tries for a new session while the old one holds.
func (m *mfa) renew(ctx context.Context, base aws.CredentialsProvider) aws.Credentials {
	if m.command == "" {
		if !m.warned {
			m.warned = true
			m.s.log.Warn("the MFA session can't be refreshed without a new code", "ends", m.session.Expires)
		}
		return m.session
	}
	// The command may take longer: the next look finds what it printed.
	short, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if keys, err := base.Retrieve(short); err == nil && keys.SessionToken == "" {
		if session, err := m.buy(short, keys); err == nil {
			return session
		}
	}
	return m.session
}

func (m *mfa) buy(ctx context.Context, keys aws.Credentials) (aws.Credentials, error) {
	code, err := m.get(ctx)
	if err != nil {
		return aws.Credentials{}, err
	}
	session, err := m.s.sessionToken(ctx, stsapi.Caller{Keys: keys, Serial: m.serial, Code: code}, m.by, m.life)
	m.seen(err)
	if err != nil {
		return aws.Credentials{}, err
	}
	m.session, m.bought = session, time.Now()
	m.until.set(session.Expires)
	return session, nil
}

// get returns a code that STS has not seen yet.
func (m *mfa) get(ctx context.Context) (string, error) {
	if m.code != "" && time.Since(m.asked) < codeLife {
		return m.code, nil
	}
	code, err := m.asking.Wait(ctx)
	if err != nil {
		return "", m.s.explain(call{op: "MFA", hint: command.WaitsHint}, err)
	}
	m.code, m.asked = code, time.Now()
	if m.command == "" && m.given == "" {
		m.given, m.typed = code, true
	}
	return code, nil
}

// seen forgets a code that STS has judged; one that did not get there can be sent again.
func (m *mfa) seen(err error) {
	if err == nil || Permanent(err) {
		m.code, m.spent = "", true
	}
}

// ask gets a new code: the given one, the command's, or a person's.
func (m *mfa) ask(ctx context.Context) (string, error) {
	names := m.s.names
	switch {
	case m.given != "" && m.spent:
		hint := names.Hint("start again with a new code, or let %v make them", problem.MFACommand)
		if m.typed {
			return "", problem.Bad(hint, "the code that was typed is used up")
		}
		return "", problem.Bad(hint, "the code of %s is used up", names.Input(problem.TokenCode))
	case m.given != "":
		return m.given, nil
	case m.command == "":
		return m.prompt(ctx)
	}
	in := names.Input(problem.MFACommand)
	out, err := m.commands.Run(ctx, m.command)
	if err != nil {
		return "", problem.Prefix(in, err)
	}
	if code := prompt.FindCode(string(out)); code != "" {
		return code, nil
	}
	return "", problem.Bad("run it by hand: its output must hold the code as a number by itself",
		"%s printed no six-digit code", in)
}

func (m *mfa) prompt(ctx context.Context) (string, error) {
	code, err := prompt.Code(ctx, m.terminal, m.serial)
	hint := m.s.names.Hint("%v, or %v", problem.MFACommand, problem.TokenCode)
	switch {
	case err == nil:
		return code, nil
	case ctx.Err() != nil:
		return "", command.ErrClosed
	case errors.Is(err, prompt.ErrBackground):
		hint = m.s.names.Hint("%v, or bring it to the foreground: fg", problem.MFACommand)
		return "", problem.Bad(hint, "the MFA code can't be asked for in the background")
	case errors.Is(err, io.EOF):
		return "", problem.Bad(hint, "no MFA code was entered")
	}
	return "", problem.Bad(hint, "no terminal to ask for the MFA code: %v", err)
}
