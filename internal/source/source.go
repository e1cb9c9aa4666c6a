// Package source turns options, variables and ~/.aws/config into one uncached
// aws.CredentialsProvider; no secret is asked for yet.
//
// People check with `aws sts get-caller-identity`, so the base credentials are those that aws would
// take. This package reads the variables and the two files as botocore does (package awsconfig) and
// chooses in its order; e2e's TestBaseIsAws compares the two. Of the variables, config.NewEnvConfig
// reads those that are settings. The providers are built here from the SDK's parts. The SDK's
// finished provider won't do: it is always wrapped in a CredentialsCache, which hides deadlines and
// falsifies expiry, asks an MFA code at every refresh, names every session itself and takes no
// parameters for each hop. Nor does it call config.LoadDefaultConfig, which also parses
// AWS_CA_BUNDLE (5 ms).
//
// A chain is base credentials, then any number of AssumeRole hops. Between two calls of Retrieve
// only what a person or a clock has told is kept. Nothing is retried here: the caller does that,
// and asks Permanent and Throttled about each error. A context's deadline reaches the network.
//
// Errors are one line without anything secret; *problem.Error carries hints, and the input that is
// wrong. Everything a user can write wrong is found by New, before any network.
//
// # Where things are
//
// choice.go says where the chain begins, and a file each how: variablekeys, profilekeys, process,
// container, share, instance, sso, login, webidentity, github, iot. build.go puts the roles on top
// (hop.go) or none (session.go). Inside are rooms for a user's commands (command), the terminal
// (prompt), the client of STS (stsapi), what AWS's errors mean (awserr), and this package's own
// errors (problem).
package source

import (
	"cmp"
	"context"
	"log/slog"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec/internal/source/awserr"
	"brs-exec/internal/source/command"
	"brs-exec/internal/source/problem"
	"brs-exec/internal/source/stsapi"
)

// A Source is an aws.CredentialsProvider. Only one call of Retrieve or Prepare may run at a time;
// the other methods may be called at any time. Close ends what both have begun.
type Source struct {
	chain       chain
	sts         *stsapi.Client
	region      string
	regionTold  atomic.Pointer[string] // by the base, if it tells one
	servedBy    atomic.Pointer[string] // see ServedBy
	names       problem.Names
	log         *slog.Logger
	trace       func(Step) // nil: nobody wants to know
	baseStep    Step       // the first that it is told of
	mfas        []*mfa
	untils      []func() time.Time
	doubts      []func(end time.Time) string
	sessionLife time.Duration // of the session that keys without a role become; 0: an hour
	hasWorked   atomic.Bool   // Retrieve has brought credentials: every host of the chain exists
	owned       atomic.Pointer[owned]
	told        atomic.Pointer[told]
	tasks       *command.Group
}

// New chooses the credentials' source and checks everything that can be known without asking
// anybody.
func New(ctx context.Context, o Options) (*Source, error) { return newBuilder(&o).build(ctx) }

// Close ends the commands and prompts that are under way, and returns when they have ended.
func (s *Source) Close() { s.tasks.Close() }

// Retrieve asks for new credentials, through the whole chain.
func (s *Source) Retrieve(ctx context.Context) (aws.Credentials, error) {
	creds, err := s.chain.provider.Retrieve(ctx)
	if err == nil {
		s.hasWorked.Store(true)
	}
	return creds, err
}

// owned are the keys of the last role that was assumed, and the ARN that STS gave with them.
type owned struct {
	keyID, token, owner string
}

func (s *Source) note(creds aws.Credentials, owner string) {
	s.owned.Store(&owned{creds.AccessKeyID, creds.SessionToken, owner})
}

// Owner is the ARN that STS gave along with creds, if a role of the chain has just yielded them;
// else "".
func (s *Source) Owner(creds aws.Credentials) string {
	if o := s.owned.Load(); o != nil && o.keyID == creds.AccessKeyID && o.token == creds.SessionToken {
		return o.owner
	}
	return ""
}

// ServedBy is the process that served a share when it was last asked, and whose it is; "" before
// that, and for other sources.
func (s *Source) ServedBy() string {
	if by := s.servedBy.Load(); by != nil {
		return *by
	}
	return ""
}

// told is the last answer of CallerIdentity.
type told struct {
	keyID, token, account, arn, userID string
}

// CallerIdentity asks STS whose creds are, once if it is called again about the same.
func (s *Source) CallerIdentity(ctx context.Context, creds aws.Credentials) (account, arn, userID string, err error) {
	if t := s.told.Load(); t != nil && t.keyID == creds.AccessKeyID && t.token == creds.SessionToken {
		return t.account, t.arn, t.userID, nil
	}
	done := s.startStep(Step{Kind: IdentityStep, What: "get caller identity"})
	account, arn, userID, err = s.sts.CallerIdentity(ctx, creds)
	if err != nil {
		err = s.explain(call{op: "get caller identity", by: s.Describe(), keys: creds}, err)
	} else {
		s.told.Store(&told{creds.AccessKeyID, creds.SessionToken, account, arn, userID})
	}
	done(err)
	return account, arn, userID, err
}

// Skew is the local clock minus STS's, from the last answer's Date; 0 if STS was not asked yet. It
// reads too large by up to a second and the time that the answer took, never too small.
func (s *Source) Skew() time.Duration { return s.sts.Skew() }

// Asked is the life that STS was asked for when it gave creds, which is the most that they have; 0:
// they are not of STS, or not asked for by us.
func (s *Source) Asked(creds aws.Credentials) time.Duration {
	switch n := len(s.chain.hops); {
	case n > 0 && creds.Source == stsapi.AssumeRole:
		return cmp.Or(s.chain.hops[n-1].role.Duration, stsapi.DefaultDuration)
	case n == 0 && s.chain.web != nil && creds.Source == stsapi.AssumeRoleWithToken:
		return cmp.Or(s.chain.web.role.Duration, stsapi.DefaultDuration)
	case n == 0 && creds.Source == stsapi.SessionToken:
		return cmp.Or(s.sessionLife, stsapi.DefaultDuration)
	}
	return 0
}

// Region is what the options, the environment or the profile say; if none does, what another
// brs-exec has said in whose share the chain begins; else "". (STS alone is asked in the role's
// partition then.)
func (s *Source) Region() string {
	if told := s.regionTold.Load(); s.region == "" && told != nil {
		return *told
	}
	return s.region
}

// Profile is the profile whose credentials Retrieve yields, or those of its own role, if it has
// one. The option names it, or the environment, or it is [default]. "": they are of no profile, or
// of a role on top of one.
func (s *Source) Profile() string { return s.chain.profile }

// OutranksProfile says whether the base stands in variables, so that AWS_PROFILE gives settings alone.
func (s *Source) OutranksProfile() bool { return s.chain.variables }

// RoleARN is the role whose session Retrieve yields, the options' or a profile's; "" if that is
// not known, or none.
func (s *Source) RoleARN() string {
	if n := len(s.chain.hops); n > 0 {
		return s.chain.hops[n-1].role.ARN
	}
	if s.chain.web != nil {
		return s.chain.web.role.ARN
	}
	return ""
}

// STS says which one is asked: its region, and its endpoint if that is not AWS's own for it.
func (s *Source) STS() string {
	if u, err := url.Parse(s.sts.Endpoint()); err == nil && u.Host != "" {
		return s.sts.Region + ", at " + u.Scheme + "://" + u.Host
	}
	return s.sts.Region
}

// Describe is the chain as a person understands it: "profile etl →
// arn:aws:iam::123456789012:role/etl".
func (s *Source) Describe() string { return s.chain.String() }

// RenewableUntil is until when credentials can be had without a person's help, as far as is known
// now; zero if no end is known. What was obtained last may live a little longer.
func (s *Source) RenewableUntil() time.Time {
	var first time.Time
	for _, until := range s.untils {
		if t := until(); !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}

// Doubt says why nobody knows whether credentials can be had until end, where RenewableUntil names
// no end; "" if nothing is known to stand against it.
func (s *Source) Doubt(end time.Time) string {
	for _, doubt := range s.doubts {
		if why := doubt(end); why != "" {
			return why
		}
	}
	return ""
}

// A deadline is an end that one part of the chain knows; Retrieve may move it while others look.
type deadline struct{ end atomic.Pointer[time.Time] }

// newDeadline makes one of the chain's, which RenewableUntil heeds.
func (b *builder) newDeadline() *deadline {
	d := new(deadline)
	d.set(time.Time{})
	b.s.untils = append(b.s.untils, d.get)
	return d
}

func (d *deadline) get() (end time.Time) {
	if t := d.end.Load(); t != nil {
		end = *t
	}
	return end
}

func (d *deadline) set(t time.Time) { d.end.Store(&t) }

// Permanent says that no retry will heal err: it was refused, or what the user wrote is wrong.
func Permanent(err error) bool { return awserr.Permanent(err) }

// Throttled says that err asks to be slower.
func Throttled(err error) bool { return awserr.Throttled(err) }

// Denied says that err is AWS's AccessDenied: what a role that was made seconds ago answers, too.
func Denied(err error) bool { return awserr.Denied(err) }
