// Package source turns flags, variables and ~/.aws/config into one uncached aws.CredentialsProvider; no secret is asked for yet.
//
// The SDK parses (config.NewEnvConfig, config.LoadSharedConfigProfile); this package chooses the base credentials in the
// order of the SDK's own chain (config/resolve_credentials.go; a test compares the two for every kind of profile) and
// builds the providers from the SDK's parts. It does not take the SDK's finished provider: that is always wrapped in a
// CredentialsCache, which hides deadlines and falsifies expiry, asks an MFA code at every refresh, names every session
// itself and takes no parameters for each hop. Nor config.LoadDefaultConfig, which besides parses AWS_CA_BUNDLE (5 ms).
//
// A chain is base credentials, then any number of AssumeRole hops. Nothing is kept between two calls of Retrieve but what
// a person or a clock has told. Nothing is retried: that is the caller's, who asks Permanent and Throttled what an error
// is worth. A deadline reaches the network.
//
// Errors are one line without anything secret; *problem carries hints. Everything a user can write wrong is found by New,
// before any network.
package source

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// Options has one field for each identity flag, named like it and as the user wrote it. The zero value is the SDK's
// default chain without a role.
type Options struct {
	RoleARNs          []string      // a chain, assumed in order, on top of the base credentials and their own role
	RoleSessionName   string        // of every hop; "": AWS_ROLE_SESSION_NAME, else brs-exec-USER-HOST
	Duration          time.Duration // of the last role, or of the session for long-term keys; 0: an hour
	ExternalID        string
	Policy            string   // JSON or file://PATH
	PolicyARNs        []string // ARN or arn=ARN
	Tags              []string // K=V or Key=K,Value=V
	TransitiveTagKeys []string // among Tags; given at the first hop, from which AWS hands them on
	SourceIdentity    string   // of every hop
	ProvidedContexts  []string // ProviderArn=…,ContextAssertion=…

	SerialNumber string // MFA device; "": mfa_serial of a profile, if any
	TokenCode    string // good once
	MFACommand   string // its output's last stand-alone six-digit number is the code

	// Where the chain begins: at most one of these. None: the SDK's default chain, AWS_PROFILE included.
	Profile                 string
	WebIdentityTokenFile    string // these three buy the first of RoleARNs
	WebIdentityTokenCommand string
	WebIdentity             string // "github-actions"
	CredentialCommand       string // prints credential_process JSON
	IoTEndpoint             string // these belong together
	IoTRoleAlias            string
	IoTCertificate          string // PEM file
	IoTPrivateKey           string // PEM file
	IoTThingName            string // optional
	IoTCA                   string // PEM file, optional

	Audience  string // of WebIdentity; "": sts.amazonaws.com
	NoSession bool   // without a role, long-term keys are handed out as they are
	Region    string

	STSEndpointURL       string
	CABundle             string // PEM file; "": AWS_CA_BUNDLE, else the profile's, else the system's roots
	UseFIPSEndpoint      bool
	UseDualstackEndpoint bool
	ConnectTimeout       time.Duration // 0: 5 s
	ReadTimeout          time.Duration // to the first byte of an answer; 0: 10 s

	// TLS makes the configuration for https, with the roots of the PEM file bundle ("": the system's), for the server at
	// an IP address or ("") any with a name. It is called when the first such request is made. nil: crypto/tls's own way.
	TLS     func(host, bundle string) (*tls.Config, error)
	Version string       // for the user agent
	Log     *slog.Logger // nil: silent

	Stderr io.Writer // of commands; nil: os.Stderr

	// Trace is told of every step as it ends, in the goroutine that Retrieve, Prepare or CallerIdentity was called in. nil:
	// nobody is.
	Trace func(Step)

	// Base, the sandbox's keys, stands in for the chain, and for all else that the user's environment and files say: of
	// those AWS_REGION or AWS_DEFAULT_REGION alone counts.
	Base     aws.CredentialsProvider
	BaseName string // of Base, for Describe

	base        aws.CredentialsProvider // a test's keys, in an environment that counts
	tty         string                  // a test's terminal; "": /dev/tty
	commandTime time.Duration           // a test's; 0: a minute
}

// A Source is an aws.CredentialsProvider. Retrieve and Prepare are not to be called at the same time as themselves or one
// another; the rest may be. Close ends what they have begun.
type Source struct {
	chain     chain
	sts       *sts.Client
	stsRegion string
	skew      skew
	region    string
	caught    string // AWS_ENDPOINT_URL, if that is where STS is asked
	log       *slog.Logger
	stderr    io.Writer
	patience  time.Duration // with a command
	trace     func(Step)    // nil: nobody wants to know
	baseStep  string        // what it calls the first
	mfas      []*mfa
	untils    []func() time.Time
	worked    atomic.Bool // Retrieve has brought credentials: every host of the chain exists

	life context.Context // of commands and prompts
	end  func()
	work sync.WaitGroup
}

// New chooses the credentials' source and checks everything that can be known without asking anybody.
func New(ctx context.Context, o Options) (*Source, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if err := checkText(&o); err != nil {
		return nil, err
	}
	p, err := parseParams(&o)
	if err != nil {
		return nil, err
	}
	for _, check := range []func(*Options) error{checkBase, checkCode} {
		if err := check(&o); err != nil {
			return nil, err
		}
	}
	for _, r := range o.RoleARNs {
		if err := checkRoleARN("--role-arn", "--role-arn ", r); err != nil {
			return nil, err
		}
	}
	b, err := newBuilder(ctx, &o, p)
	if err != nil {
		return nil, err
	}
	return b.build()
}

// Retrieve asks for new credentials, through the whole chain.
func (s *Source) Retrieve(ctx context.Context) (aws.Credentials, error) {
	creds, err := s.chain.provider.Retrieve(ctx)
	if err == nil {
		s.worked.Store(true)
	}
	return creds, err
}

// ProviderSources says in the SDK's terms where the credentials come from.
func (s *Source) ProviderSources() []aws.CredentialSource { return s.chain.sources }

// Skew is the local clock minus STS's, from the last answer's Date; 0 if STS was not asked yet. It reads too large by up
// to a second and the time that the answer took, never too small.
func (s *Source) Skew() time.Duration { return time.Duration(s.skew.ns.Load()) }

// Region is what the flags, the environment or the profile say; "" if none does. (STS alone is asked in the role's
// partition then.)
func (s *Source) Region() string { return s.region }

// Profile is the profile whose credentials, those of its own role if it has one, Retrieve yields: given by the flag, the
// environment, or as [default]. "" if they are of no profile, or of a role on top of one.
func (s *Source) Profile() string { return s.chain.profile }

// RoleARN is the role whose session Retrieve yields, the flags' or a profile's; "" if that is not known, or none.
func (s *Source) RoleARN() string {
	if n := len(s.chain.hops); n > 0 {
		return s.chain.hops[n-1].arn
	}
	if s.chain.web != nil {
		return s.chain.web.arn
	}
	return ""
}

// STS says which one is asked: its region, and its endpoint if that is not AWS's own for it.
func (s *Source) STS() string {
	where := s.stsRegion
	if e := s.sts.Options().BaseEndpoint; e != nil {
		if u, err := url.Parse(*e); err == nil {
			where += ", at " + u.Scheme + "://" + u.Host
		}
	}
	return where
}

// Describe is the chain as a person understands it: "profile etl → arn:aws:iam::123456789012:role/etl".
func (s *Source) Describe() string { return s.chain.String() }
