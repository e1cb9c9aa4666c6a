package source

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec/internal/source/problem"
	"brs-exec/internal/source/stsapi"
)

// An Option is an identity option, by the name that it has on the command line.
type Option = problem.Option

// Options has one field for each identity option, named like it and as the user wrote it. With Env
// alone it is the SDK's default chain without a role.
type Options struct {
	RoleARNs          []string      // a chain, assumed in order, on top of the base credentials and their own role
	RoleSessionName   string        // of every hop; "": AWS_ROLE_SESSION_NAME, else brs-exec-USER-HOST-JOB
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

	// Where the chain begins: at most one of these. None: the SDK's default chain, AWS_PROFILE
	// included.
	Profile                 string
	WebIdentityTokenFile    string // these three buy the first of RoleARNs
	WebIdentityTokenCommand string
	WebIdentity             string // "github-actions"
	CredentialCommand       string // prints credential_process JSON
	FromShare               string // the folder of another brs-exec's share, or its socket
	ShareID                 string // of one of its further profiles; "": its own identity
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

	// AnyServer lets a share, or a container endpoint on this machine, be another user's: whose its
	// keys are is asked of STS (gate).
	AnyServer bool

	// Base, the sandbox's keys, stands in for the chain, and for all else that the user's
	// environment and files say: of those AWS_REGION or AWS_DEFAULT_REGION alone counts.
	Base     aws.CredentialsProvider
	BaseName string // of Base, for Describe

	// Env is the environment. It must be the process's own: the SDK's parsers read AWS's variables
	// there.
	Env     []string
	Names   problem.Names // says how the user writes an option, in errors and hints
	Version string        // for the user agent
	Log     *slog.Logger  // nil: silent

	// Unattended never asks a person: where an MFA code is needed and nothing makes it, New fails.
	Unattended bool

	// Shared is what this source has in common with others of the same run; nil: nothing.
	Shared *Shared

	// Trace is told of every step as it ends, in the goroutine that Retrieve, Prepare or
	// CallerIdentity was called in. nil: nobody is.
	Trace func(Step)
}

// A givenOption is one that may be there.
type givenOption struct {
	option problem.Option
	is     bool
}

func given(all ...givenOption) (options []problem.Option) {
	for _, g := range all {
		if g.is {
			options = append(options, g.option)
		}
	}
	return options
}

// checkBase refuses two options that each name the base credentials.
func checkBase(o *Options) error {
	begin := given(
		givenOption{problem.Profile, o.Profile != ""},
		givenOption{problem.WebIdentityTokenFile, o.WebIdentityTokenFile != ""},
		givenOption{problem.WebIdentityTokenCommand, o.WebIdentityTokenCommand != ""},
		givenOption{problem.WebIdentity, o.WebIdentity != ""},
		givenOption{problem.CredentialCommand, o.CredentialCommand != ""},
		givenOption{problem.FromShare, o.FromShare != ""},
		givenOption{problem.IoTEndpoint, o.usesIoT()})
	in, gitHub := o.Names.Input, o.Names.Hint("%v github-actions", problem.WebIdentity)
	switch {
	case len(begin) > 1:
		return problem.Bad("drop one", "%s and %s each say whose credentials to begin with", in(begin[0]), in(begin[1]))
	case o.WebIdentity != "" && o.WebIdentity != "github-actions":
		hint := o.Names.Hint("%s, or %v for others", gitHub, problem.WebIdentityTokenCommand)
		return problem.Bad(hint, "%s: no provider %q", in(problem.WebIdentity), problem.Clip(o.WebIdentity))
	case o.Audience != "" && o.WebIdentity == "":
		return problem.Bad(gitHub, "%s is for %s", in(problem.Audience), in(problem.WebIdentity))
	}
	return nil
}

// parseRole is what the role options say of a role that none of them names. It reports the first
// thing that is wrong.
func parseRole(ctx context.Context, o *Options) (r stsapi.Role, err error) {
	in := o.Names.Input
	var errs [4]error
	r = stsapi.Role{
		SessionName: o.RoleSessionName, Duration: o.Duration, ExternalID: o.ExternalID,
		SourceIdentity: o.SourceIdentity, TransitiveTagKeys: o.TransitiveTagKeys,
	}
	r.Policy, errs[0] = stsapi.ParsePolicy(ctx, in(problem.Policy), o.Policy)
	r.PolicyARNs, errs[1] = stsapi.ParsePolicyARNs(in(problem.PolicyARNs), o.PolicyARNs)
	r.Tags, errs[2] = stsapi.ParseTags(in(problem.Tags), o.Tags)
	r.Contexts, errs[3] = stsapi.ParseContexts(in(problem.ProvidedContexts), o.ProvidedContexts)
	return r, cmp.Or(
		stsapi.CheckSessionDuration(in(problem.Duration), o.Duration),
		stsapi.CheckName(in(problem.RoleSessionName), o.RoleSessionName, 2, 64, ""),
		stsapi.CheckName(in(problem.SourceIdentity), o.SourceIdentity, 2, 64, ""),
		stsapi.CheckName(in(problem.ExternalID), o.ExternalID, 2, 1224, ":/"),
		errs[0], errs[1], errs[2],
		stsapi.CheckTransitive(in(problem.TransitiveTagKeys), o.TransitiveTagKeys, r.Tags),
		errs[3])
}

// forRoles are the options given that AssumeRole alone understands.
func forRoles(o *Options) []problem.Option {
	return given(
		givenOption{problem.ExternalID, o.ExternalID != ""},
		givenOption{problem.Tags, len(o.Tags) > 0},
		givenOption{problem.SourceIdentity, o.SourceIdentity != ""},
		givenOption{problem.ProvidedContexts, len(o.ProvidedContexts) > 0})
}

// forAnyRole are the options given that a role needs, whatever it is assumed with.
func forAnyRole(o *Options) []problem.Option {
	return given(
		givenOption{problem.Policy, o.Policy != ""},
		givenOption{problem.PolicyARNs, len(o.PolicyARNs) > 0},
		givenOption{problem.RoleSessionName, o.RoleSessionName != ""})
}

// forCodes are the options given that are of MFA.
func forCodes(o *Options) []problem.Option {
	return given(
		givenOption{problem.SerialNumber, o.SerialNumber != ""},
		givenOption{problem.TokenCode, o.TokenCode != ""},
		givenOption{problem.MFACommand, o.MFACommand != ""})
}
