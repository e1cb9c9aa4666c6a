package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// codeLife is how long a code that STS has not seen is tried again: AWS takes one for a little longer than the half
// minute it is shown.
const codeLife = time.Minute

// mfa asks for a code once. With long-term keys the code buys a session of 36 hours, from which roles are assumed without
// another; any other credentials can't buy one, and the code goes into AssumeRole itself.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_mfa_configure-api-require.html
type mfa struct {
	s       *Source
	serial  string
	given   string // --token-code: good for once
	command string
	tty     string
	by      string // the keys, for people
	life    time.Duration

	errand  errand[string]
	code    string // asked for, not yet seen by STS
	asked   time.Time
	spent   bool // the given code is
	session aws.Credentials
	bought  time.Time
	until   *deadline // of what can't be had again without a person
	told    bool
}

func (b *builder) newMFA(serial, from, by string) (*mfa, error) {
	if n := len(serial); n < 9 || n > 256 || strings.ContainsAny(serial, " \t\r\n") {
		return nil, badInput("arn:aws:iam::ACCOUNT:mfa/NAME; aws iam list-mfa-devices shows it", "%s %q is no MFA device", from, clip(serial))
	}
	m := &mfa{s: b.s, until: new(deadline), serial: serial, given: b.o.TokenCode, command: b.o.MFACommand, tty: firstOf(b.o.tty, ttyName), by: by, life: maxSessionDuration}
	m.errand = errand[string]{s: b.s, do: m.ask}
	if m.given == "" && m.command == "" && !hasTTY(m.tty) {
		return nil, badInput("--mfa-command 'COMMAND THAT PRINTS A CODE', or --token-code 123456", "%s asks for an MFA code, and there is no terminal to ask on", from)
	}
	if m.command == "" {
		m.until = b.ends()
	}
	b.s.mfas = append(b.s.mfas, m)
	return m, nil
}

// checkCode refuses codes without a device, and what is none.
func checkCode(o *Options) error {
	switch {
	case o.TokenCode != "" && !isCode(o.TokenCode):
		return badInput("--token-code 123456", "--token-code: a code is six digits")
	case o.TokenCode != "" && o.MFACommand != "":
		return badInput("drop one", "--token-code and --mfa-command exclude each other")
	}
	return nil
}

// Prepare asks the user for what only a person or a device can tell, before the time starts in which the first
// credentials must be there: it waits as long as the person takes.
func (s *Source) Prepare(ctx context.Context) error {
	for _, m := range s.mfas {
		ends := s.begins("MFA code")
		_, err := m.get(ctx)
		err = m.because(err)
		ends(err)
		if err != nil {
			return err
		}
	}
	return nil
}

// caller turns what base yields into what signs, and the code that goes along, if any.
func (m *mfa) caller(ctx context.Context, base aws.CredentialsProvider) (creds aws.Credentials, code string, err error) {
	if left := time.Until(m.session.Expires); left > m.margin() {
		return m.session, "", nil
	} else if left > 0 {
		return m.renew(ctx, base), "", nil
	}
	if creds, err = base.Retrieve(ctx); err != nil {
		return aws.Credentials{}, "", err
	}
	if creds.SessionToken == "" {
		creds, err = m.buy(ctx, creds)
		return creds, "", err
	}
	if !m.told {
		m.told = true
		m.s.log.Warn("these credentials can't buy an MFA session: every refresh takes another code", "base", m.by)
	}
	code, err = m.get(ctx)
	return creds, code, m.because(err)
}

// margin is how long before its end a new session is sought: the caller looks at half the life of a role.
func (m *mfa) margin() time.Duration {
	return min(time.Hour, m.session.Expires.Sub(m.bought)/4)
}

// renew tries for a new session while the old one holds.
func (m *mfa) renew(ctx context.Context, base aws.CredentialsProvider) aws.Credentials {
	if m.given != "" {
		if !m.told {
			m.told = true
			m.s.log.Warn("the MFA session can't be renewed without a new code", "ends", m.session.Expires)
		}
		return m.session
	}
	short, cancel := context.WithTimeout(ctx, 2*time.Second) // a person takes longer: the next look finds what was typed
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
		return aws.Credentials{}, m.because(err)
	}
	session, err := m.s.sessionToken(ctx, keys, m.by, m.life, m.serial, code)
	m.seen(err)
	if err != nil {
		return aws.Credentials{}, err
	}
	m.session, m.bought = session, time.Now()
	m.until.set(session.Expires)
	return session, nil
}

func (m *mfa) because(err error) error {
	if err == nil {
		return nil
	}
	return m.s.explain(call{op: "MFA"}, err)
}

// get is a code that STS has not seen.
func (m *mfa) get(ctx context.Context) (string, error) {
	if m.code != "" && time.Since(m.asked) < codeLife {
		return m.code, nil
	}
	code, err := m.errand.wait(ctx)
	if err == nil {
		m.code, m.asked = code, time.Now()
	}
	return code, err
}

// seen forgets a code that STS has judged; one that did not get there can be sent again.
func (m *mfa) seen(err error) {
	if err == nil || Permanent(err) {
		m.code, m.spent = "", true
	}
}

// ask gets a code: the flag's, the command's, or a person's.
func (m *mfa) ask(ctx context.Context) (string, error) {
	switch {
	case m.given != "" && m.spent:
		return "", badInput("start again with a new code, or let --mfa-command make them", "the code of --token-code is used up")
	case m.given != "":
		return m.given, nil
	case m.command == "":
		return m.prompt(ctx)
	}
	out, err := m.s.run(ctx, "--mfa-command", m.command)
	if err != nil {
		return "", err
	}
	if code := findCode(string(out)); code != "" {
		return code, nil
	}
	return "", badInput("run it by hand: its output must hold the code as a number by itself", "--mfa-command printed no six-digit code")
}

func (m *mfa) prompt(ctx context.Context) (string, error) {
	prompt := fmt.Sprintf("Enter MFA code for %s: ", m.serial)
	for range 3 {
		line, err := ask(ctx, m.tty, prompt)
		switch {
		case ctx.Err() != nil:
			return "", errClosed
		case errors.Is(err, errBackground):
			return "", badInput("--mfa-command, or bring it to the foreground: fg", "the MFA code can't be asked for in the background")
		case errors.Is(err, io.EOF):
			return "", badInput("--mfa-command, or --token-code", "no MFA code was entered")
		case err != nil:
			return "", badInput("--mfa-command, or --token-code", "no terminal to ask for the MFA code: %v", err)
		case isCode(line):
			return line, nil
		}
		prompt = "A code is six digits. Enter MFA code for " + m.serial + ": "
	}
	return "", badInput("--mfa-command, or --token-code", "no MFA code was entered")
}
