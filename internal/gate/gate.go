// Package gate lets credentials pass only if they are whose they should be.
//
// A [Gate] is a decorator: an aws.CredentialsProvider over the source, below the refresher. What it
// has not passed is neither published nor served, at the start and at every refresh. It refuses
//
//   - credentials without keys, and those that have expired;
//   - credentials of another account than the one that was asked for. The account is what STS says of the keys
//     (GetCallerIdentity), never what a profile, a process or an endpoint claims of itself;
//   - credentials of another principal than the first ones were of.
//
// A principal is an account and a role or user. A new session name is no new principal.
//
// # Errors
//
// A refusal is an [*AccountError], a [*PrincipalError] or an [*UnusableError]. [Permanent] tells
// the first two, which no retry heals. Any other error is the source's, or comes from the question
// to STS, and is passed on as it is.
//
// # Concurrency
//
// Retrieve may be called by one goroutine at a time.
package gate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
)

// Identity is whose credentials are, as far as is known.
type Identity struct {
	ARN string // "": not known
	STS bool   // STS itself said so; otherwise another service of AWS that gave them (Identity Center)
}

// Options say what passes. The zero value refuses what is unusable, and a change of an account that
// a source names.
type Options struct {
	// Account is the 12-digit account that credentials must be of. "": any.
	Account string

	// AllowChange lets later credentials be of another principal than the first.
	AllowChange bool

	// Said tells the identity that came with the credentials. nil: none ever does.
	Said func(aws.Credentials) Identity

	// Ask asks STS for the ARN of whoever owns the credentials. It is called only with Account,
	// once for each new access key of which STS has not said it already.
	Ask func(context.Context, aws.Credentials) (arn string, err error)

	// Now is the time by the clock that Expires is meant by, STS's. nil: time.Now.
	Now func() time.Time
}

// Gate is an aws.CredentialsProvider that refuses what is not whose it should be.
type Gate struct {
	src aws.CredentialsProvider
	o   Options

	asking  *aws.Credentials // they wait for STS's answer; nil: none do
	asked   string           // the access key that STS was asked about last
	askedID Identity         // what it said
	first   principal        // of the first credentials that passed, as far as is known
}

// New puts a gate before src.
func New(src aws.CredentialsProvider, o Options) *Gate {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Said == nil {
		o.Said = func(aws.Credentials) Identity { return Identity{} }
	}
	return &Gate{src: src, o: o}
}

// Retrieve returns the source's credentials if they pass. Those about which STS could not be asked
// are kept: the next call asks about them again before it asks the source for others.
func (g *Gate) Retrieve(ctx context.Context) (aws.Credentials, error) {
	creds, err := g.next(ctx)
	if err != nil {
		return aws.Credentials{}, err
	}
	id, err := g.identify(ctx, creds)
	if err == nil {
		err = g.judge(creds, id)
	}
	if err != nil {
		return aws.Credentials{}, err
	}
	return creds, nil
}

// next is what waits, if it is still good, or else what the source gives.
func (g *Gate) next(ctx context.Context) (aws.Credentials, error) {
	if waiting := g.asking; waiting != nil {
		g.asking = nil
		if g.usable(*waiting) == nil {
			return *waiting, nil
		}
	}
	creds, err := g.src.Retrieve(ctx)
	if err != nil {
		return aws.Credentials{}, err
	}
	return creds, g.usable(creds)
}

func (g *Gate) usable(creds aws.Credentials) error {
	switch {
	case !creds.HasKeys():
		return &UnusableError{}
	case creds.CanExpire && !creds.Expires.After(g.o.Now().Round(0)):
		return &UnusableError{Expired: creds.Expires}
	}
	return nil
}

// identify finds out whose the credentials are. STS is asked only where the account matters and STS
// has not told it.
func (g *Gate) identify(ctx context.Context, creds aws.Credentials) (Identity, error) {
	id := g.o.Said(creds)
	switch {
	case g.o.Account == "" || id.STS:
		return id, nil
	case g.asked == creds.AccessKeyID:
		return g.askedID, nil
	}
	owner, err := g.o.Ask(ctx, creds)
	if err != nil {
		g.asking = &creds
		return Identity{}, err
	}
	g.asked, g.askedID = creds.AccessKeyID, Identity{ARN: owner, STS: true}
	return g.askedID, nil
}

// judge compares the owner with the account that was asked for, and with the owner of the first
// credentials.
func (g *Gate) judge(creds aws.Credentials, id Identity) error {
	p := principalOf(id.ARN)
	if p.account == "" {
		p.account = creds.AccountID // a claim: good enough to tell a change, not to tell the account
	}
	if g.o.Account != "" && (p.account != g.o.Account || !id.STS) {
		return &AccountError{Got: p.account, Want: g.o.Account}
	}
	if !g.o.AllowChange && g.first.differs(p) {
		return &PrincipalError{First: g.first.String(), Now: p.String()}
	}
	g.first.learn(p)
	return nil
}

// principal is who owns credentials. What is not known is empty.
type principal struct {
	account string
	name    string // "assumed-role/etl", "user/me"
}

// principalOf reads an ARN as STS writes it.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
func principalOf(owner string) principal {
	a, err := arn.Parse(owner)
	if err != nil {
		return principal{}
	}
	name := a.Resource
	if role, ok := strings.CutPrefix(name, "assumed-role/"); ok {
		role, _, _ = strings.Cut(role, "/") // the rest is the session's name
		name = "assumed-role/" + role
	}
	return principal{account: a.AccountID, name: name}
}

// differs reports whether both are known and not the same.
func (p principal) differs(q principal) bool {
	return p.account != "" && q.account != "" && p.account != q.account ||
		p.name != "" && q.name != "" && p.name != q.name
}

// learn fills in what was not known.
func (p *principal) learn(q principal) {
	if p.account == "" {
		p.account = q.account
	}
	if p.name == "" {
		p.name = q.name
	}
}

func (p principal) String() string {
	if p.name == "" {
		return "account " + p.account
	}
	return p.name + " of account " + p.account
}

// AccountError refuses credentials of another account than the one that was asked for.
type AccountError struct{ Got, Want string }

func (e *AccountError) Error() string {
	return fmt.Sprintf("the credentials are of account %s, not %s", e.Got, e.Want)
}

// PrincipalError refuses credentials of another principal than the first ones were of.
type PrincipalError struct{ First, Now string }

func (e *PrincipalError) Error() string {
	return fmt.Sprintf("the new credentials are of %s; those before were of %s", e.Now, e.First)
}

// UnusableError refuses credentials that nobody could use.
type UnusableError struct {
	Expired time.Time // zero: they have no keys
}

func (e *UnusableError) Error() string {
	if e.Expired.IsZero() {
		return "the answer holds no keys"
	}
	return "the answer holds credentials that have expired, at " + e.Expired.UTC().Format(time.RFC3339)
}

// Permanent reports whether err is a refusal that no retry heals.
func Permanent(err error) bool {
	_, account := errors.AsType[*AccountError](err)
	_, changed := errors.AsType[*PrincipalError](err)
	return account || changed
}
