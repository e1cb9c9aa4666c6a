// Package gate lets credentials pass only if they are whose they should be.
//
// A [Gate] is a decorator: an aws.CredentialsProvider over the source, below the refresher. What it
// has not passed is neither published nor served, at the start and at every refresh. It refuses
//
//   - credentials without keys, with a control character in them, and those that have expired;
//   - credentials of another account than the one that was asked for. The account is what STS says
//     of the keys (GetCallerIdentity), never what a profile, a process or an endpoint claims;
//   - credentials of another principal than the first ones were of.
//
// A principal is an account and a role or user. A new session name is no new principal.
//
// # Errors
//
// A refusal is an [*AccountError], a [*PrincipalError] or an [*UnusableError]. [Permanent] tells
// those that no retry heals. Any other error is the source's, or comes from the question
// to STS, and is passed on as it is.
//
// # Concurrency
//
// Retrieve may be called by any number of goroutines. It holds no lock while it asks the source or
// STS.
package gate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
)

// Options say what passes. The zero value refuses what is unusable, and a change of an account that
// a source names.
type Options struct {
	// Account is the 12-digit account that credentials must be of. "": any.
	Account string

	// AllowChange lets later credentials be of another principal than the first.
	AllowChange bool

	// Said tells the ARN that STS gave along with these very credentials. "": it gave none. A nil
	// Said never has one.
	Said func(aws.Credentials) (arn string)

	// Ask asks STS for the ARN of whoever owns the credentials. It is called only with Account,
	// once for each new access key of which STS has not said it already.
	Ask func(context.Context, aws.Credentials) (arn string, err error)

	// Refused tells whether an error of Ask is STS's judgement of the keys: then they don't wait
	// for another. nil: none is.
	Refused func(error) bool

	// Now is the time by the clock that Expires is meant by, STS's. nil: time.Now.
	Now func() time.Time
}

// Gate is an aws.CredentialsProvider that refuses what is not whose it should be.
type Gate struct {
	src aws.CredentialsProvider
	o   Options

	mu     sync.Mutex       // guards the rest
	asking *aws.Credentials // they wait for STS's answer; nil: none do
	asked  string           // the access key that STS was asked about last
	owner  string           // what it said
	first  principal        // of the first credentials that passed, as far as is known
}

// New puts a gate before src.
func New(src aws.CredentialsProvider, o Options) *Gate {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Said == nil {
		o.Said = func(aws.Credentials) string { return "" }
	}
	if o.Refused == nil {
		o.Refused = func(error) bool { return false }
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
	owner, err := g.identify(ctx, creds)
	if err == nil {
		err = g.judge(creds, owner)
	}
	if err != nil {
		return aws.Credentials{}, err
	}
	return creds, nil
}

// next is what waits, if it is still good, or else what the source gives.
func (g *Gate) next(ctx context.Context) (aws.Credentials, error) {
	g.mu.Lock()
	waiting := g.asking
	g.asking = nil
	g.mu.Unlock()
	if waiting != nil && g.usable(*waiting) == nil {
		return *waiting, nil
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
	case strings.ContainsFunc(creds.AccessKeyID+creds.SecretAccessKey+creds.SessionToken, unicode.IsControl):
		return &UnusableError{Control: true} // a line of another file or variable may begin there
	case creds.CanExpire && !creds.Expires.After(g.o.Now().Round(0)):
		return &UnusableError{Expired: creds.Expires}
	}
	return nil
}

// identify finds out whose the credentials are, by STS's word; "": it has not said it. It is asked
// only where the account matters.
func (g *Gate) identify(ctx context.Context, creds aws.Credentials) (owner string, err error) {
	if owner = g.o.Said(creds); owner != "" || g.o.Account == "" {
		return owner, nil
	}
	g.mu.Lock()
	known, owner := g.asked == creds.AccessKeyID, g.owner
	g.mu.Unlock()
	if known {
		return owner, nil
	}
	owner, err = g.o.Ask(ctx, creds)
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case err == nil:
		g.asked, g.owner = creds.AccessKeyID, owner
	case !g.o.Refused(err):
		g.asking = &creds
	}
	return owner, err
}

// judge compares the owner with the account that was asked for, and with the owner of the first
// credentials. What a source claims of itself is good enough to tell a change, but not to tell the
// account.
func (g *Gate) judge(creds aws.Credentials, owner string) error {
	p := principalOf(owner)
	if g.o.Account != "" && p.account != g.o.Account {
		return &AccountError{Got: p.account, Want: g.o.Account}
	}
	p.account = cmp.Or(p.account, creds.AccountID)
	g.mu.Lock()
	defer g.mu.Unlock()
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
	p.account, p.name = cmp.Or(p.account, q.account), cmp.Or(p.name, q.name)
}

func (p principal) String() string {
	if p.name == "" {
		return "account " + p.account
	}
	return p.name + " of account " + p.account
}

// AccountError refuses credentials of another account than the one that was asked for. Its text
// leaves Want to whoever knows how that was asked.
type AccountError struct {
	Got  string // "": STS did not say
	Want string
}

func (e *AccountError) Error() string {
	if e.Got == "" {
		return "STS does not say which account the credentials are of"
	}
	return "the credentials are of account " + e.Got
}

// PrincipalError refuses credentials of another principal than the first ones were of.
type PrincipalError struct{ First, Now string }

func (e *PrincipalError) Error() string {
	return fmt.Sprintf("the new credentials are of %s; those before were of %s", e.Now, e.First)
}

// UnusableError refuses credentials that nobody could use.
type UnusableError struct {
	Control bool      // there is a control character in them
	Expired time.Time // zero, and no Control: they have no keys
}

func (e *UnusableError) Error() string {
	switch {
	case e.Control:
		return "the keys hold a line break or another control character"
	case e.Expired.IsZero():
		return "the answer holds no keys"
	}
	return "the answer holds credentials that have expired, at " + e.Expired.UTC().Format(time.RFC3339)
}

// Permanent reports whether err is a refusal that no retry heals.
func Permanent(err error) bool {
	_, account := errors.AsType[*AccountError](err)
	_, changed := errors.AsType[*PrincipalError](err)
	unusable, ok := errors.AsType[*UnusableError](err)
	return account || changed || ok && unusable.Control
}
