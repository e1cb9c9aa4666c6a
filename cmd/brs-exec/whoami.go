package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"

	"brs-exec/internal/explain"
	"brs-exec/internal/sandbox"
)

// identity is the JSON of --whoami; the first three are those of `aws sts get-caller-identity`.
type identity struct {
	Account, Arn, UserId string //nolint:revive // AWS's spelling
	Source               string
	ServedBy             string     `json:",omitempty"` // who serves the share that is the source
	Sandbox              bool       `json:",omitempty"` // it is no AWS account
	Expiration           *time.Time `json:",omitempty"` // absent: never, as far as is known
	RenewableUntil       *time.Time `json:",omitempty"` // without a person's help; absent: no end is known

	Profiles []explain.Profile `json:",omitempty"` // of --with-profile; STS was asked about none
}

// whoami tells who the command would be.
func (s *session) whoami(ctx context.Context, w io.Writer) error {
	if err := s.firstCredentials(ctx); err != nil {
		return err
	}
	creds, err := s.creds.Retrieve(ctx)
	if err != nil {
		return err
	}
	id := identity{Source: s.src.Describe()}
	if id.Account, id.Arn, id.UserId, err = s.src.CallerIdentity(ctx, creds); err != nil {
		return err
	}
	id.ServedBy, id.Sandbox = s.src.ServedBy(), inSandbox(id.Account)
	if creds.CanExpire {
		id.Expiration = toSeconds(creds.Expires)
	}
	id.RenewableUntil, id.Profiles = toSeconds(s.src.RenewableUntil()), s.further.facts(ctx)
	return printJSON(w, id)
}

// inSandbox tells whether an account is --sandbox's, whoever hands its credentials on: AWS has none
// of this number.
func inSandbox(account string) bool { return account == sandbox.Account }

// toSeconds is t as AWS writes times; nil if there is none.
func toSeconds(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Second)
	return &t
}

// printJSON escapes what could drive a terminal, such as U+009B, and what hides in a text, such as
// U+202E: parts of v may be others' words.
func printJSON(w io.Writer, v any) error {
	var encoded, out strings.Builder
	e := json.NewEncoder(&encoded)
	e.SetEscapeHTML(false)
	e.SetIndent("", "    ")
	if err := e.Encode(v); err != nil {
		return err
	}
	for _, r := range encoded.String() {
		switch {
		case r < 0x7f || unicode.IsPrint(r):
			out.WriteRune(r)
		default:
			for _, unit := range utf16.AppendRune(nil, r) {
				fmt.Fprintf(&out, `\u%04x`, unit)
			}
		}
	}
	_, err := io.WriteString(w, out.String())
	return err
}
