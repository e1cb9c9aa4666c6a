package source

import (
	"cmp"
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"

	"brs-exec/internal/awsconfig"
	"brs-exec/internal/source/awserr"
	"brs-exec/internal/source/problem"
)

// A Candidate is one place where the chain could have begun, and why it does or doesn't.
type Candidate struct {
	Name  string // "AWS_ACCESS_KEY_ID", "profile dev (AWS_PROFILE)"
	State State
	Why   string // one reason; never a value that may be secret

	Kind     Kind   `json:"-"`
	Profile  string `json:"-"` // that ProfileOption or ChosenProfile names, if it is there
	Variable string `json:"-"` // that names it: AWS_PROFILE or AWS_DEFAULT_PROFILE; "": none does
}

// A State is what becomes of a Candidate.
type State string

const (
	Chosen    State = "chosen"
	Outranked State = "outranked" // it is there, but another one comes first
	Absent    State = "absent"    // it isn't there, or has no credentials
	Broken    State = "broken"    // it is there, and ends the search with an error
)

// A Kind is a kind of place where credentials come from, in the order of the search.
type Kind int

const (
	GivenBase         Kind = iota // Options.Base
	TokenOptions                  // a web identity token
	CommandOption                 // Options.CredentialCommand
	IoTOptions                    //
	ProfileOption                 // Options.Profile
	RoleVariable                  // AWS_ROLE_ARN, for which there is no token
	KeyVariables                  // AWS_ACCESS_KEY_ID
	TokenVariable                 // AWS_WEB_IDENTITY_TOKEN_FILE
	ChosenProfile                 // of AWS_PROFILE, or the default one
	ContainerEndpoint             // a last resort: no profile has credentials
	InstanceMetadata              // the very last
	Environment                   // AWS_* variables that can't be read
)

// Candidates says what New chooses among, in its order, from the same options, variables and files;
// it asks nobody. At most one is Chosen: none if one is Broken.
func Candidates(ctx context.Context, o Options) []Candidate {
	b := newBuilder(&o)
	if o.Base != nil {
		const why = "it has keys of its own: the environment and the files don't count"
		return []Candidate{{Name: o.BaseName, State: Chosen, Why: why}}
	}
	env, err := config.NewEnvConfig()
	if err != nil {
		return []Candidate{{Name: "environment", State: Broken, Why: awserr.Describe(err), Kind: Environment}}
	}
	b.env = env
	b.shared, err = b.loadProfile(ctx)
	return b.candidates(err)
}

// A possible is a Candidate before the choice.
type possible struct {
	Candidate
	there bool
}

func (b *builder) candidates(broken error) (out []Candidate) {
	begin, noSetting := b.place(), settingOf(&b.shared) == ""
	chosen := ""
	for _, p := range append(b.optionCandidates(), b.foundCandidates()...) {
		c := p.Candidate
		fromProfile := c.Kind == ChosenProfile || c.Kind == ProfileOption && c.Profile != ""
		lastResort := c.Kind == ContainerEndpoint || c.Kind == InstanceMetadata
		begins := c.Kind == begin || lastResort && noSetting && (begin == ChosenProfile || begin == ProfileOption)
		switch {
		case broken != nil && fromProfile:
			c.State, c.Why = Broken, broken.Error()
		case !p.there:
			c.State = Absent
		case c.Kind == RoleVariable:
			c.State = Broken
		case broken != nil || begin == RoleVariable:
			c.State, c.Why = Outranked, "the search has ended with an error"
		case begins && chosen == "":
			c.State, chosen = Chosen, c.Name
		case chosen != "":
			c.State, c.Why = Outranked, "outranked by "+chosen
		default:
			c.State, c.Why = Outranked, b.names.Hint("left out: %v is given", problem.Profile)
		}
		out = append(out, c)
	}
	return out
}

func (b *builder) optionCandidates() []possible {
	o := b.o
	given := func(k Kind, option problem.Option, is bool) possible {
		why := "not given"
		if is {
			why = "given"
		}
		return possible{Candidate{Kind: k, Name: b.names.Hint("%v", option), Why: why}, is}
	}
	profile := given(ProfileOption, problem.Profile, o.Profile != "")
	if profile.there {
		profile.Profile = problem.Clip(o.Profile)
		profile.Name += " " + profile.Profile
		profile.there, profile.Why = settingOf(&b.shared) != "", describeProfile(&b.shared)
	}
	return []possible{
		given(TokenOptions, problem.AnyWebIdentity, o.usesToken()),
		given(CommandOption, problem.CredentialCommand, o.CredentialCommand != ""),
		given(IoTOptions, problem.AnyIoT, o.usesIoT()),
		profile,
	}
}

// foundCandidates are those of the environment and the files.
func (b *builder) foundCandidates() (all []possible) {
	if b.place() == RoleVariable {
		c := Candidate{Kind: RoleVariable, Name: "AWS_ROLE_ARN", Why: b.onlyRoleVariable()}
		all = append(all, possible{c, true})
	}
	keysWhy, tokenWhy := b.describeKeys(), "not set"
	if b.env.WebIdentityTokenFilePath != "" {
		tokenWhy = "set"
	}
	all = append(all,
		possible{Candidate{Kind: KeyVariables, Name: "AWS_ACCESS_KEY_ID", Why: keysWhy}, b.env.Credentials.HasKeys()},
		possible{Candidate{Kind: TokenVariable, Name: "AWS_WEB_IDENTITY_TOKEN_FILE", Why: tokenWhy}, tokenWhy == "set"})
	if b.o.Profile == "" {
		name, variable := awsconfig.ChosenProfile(b.o.Env)
		c := Candidate{
			Kind: ChosenProfile, Profile: problem.Clip(cmp.Or(name, awsconfig.Default)), Variable: variable,
			Why: describeProfile(&b.shared),
		}
		c.Name = "profile " + c.Profile
		if variable != "" {
			c.Name += " (" + variable + ")"
		}
		all = append(all, possible{c, settingOf(&b.shared) != ""})
	}
	return append(all, b.lastResorts()...)
}

func (b *builder) lastResorts() []possible {
	container := Candidate{Kind: ContainerEndpoint, Name: "container endpoint", Why: containerURI + " is set"}
	switch {
	case b.env.ContainerCredentialsRelativePath != "":
		container.Why = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is set"
	case !b.hasContainer():
		container.Why = "no AWS_CONTAINER_CREDENTIALS_* is set"
	}
	instance := Candidate{Kind: InstanceMetadata, Name: "instance metadata"}
	instance.Why = "the last resort: nothing else has credentials"
	off := b.env.EC2IMDSClientEnableState == imds.ClientDisabled
	if off {
		instance.Why = "switched off by AWS_EC2_METADATA_DISABLED"
	}
	return []possible{{container, b.hasContainer()}, {instance, !off}}
}

// describeKeys tells of half a pair, too, which the SDK takes for none.
func (b *builder) describeKeys() string {
	id := cmp.Or(b.vars["AWS_ACCESS_KEY_ID"], b.vars["AWS_ACCESS_KEY"])
	secret := cmp.Or(b.vars["AWS_SECRET_ACCESS_KEY"], b.vars["AWS_SECRET_KEY"])
	switch {
	case b.env.Credentials.HasKeys() && b.env.Credentials.SessionToken != "":
		return "set, with AWS_SESSION_TOKEN"
	case b.env.Credentials.HasKeys():
		return "set, with AWS_SECRET_ACCESS_KEY"
	case id != "":
		return "set, but AWS_SECRET_ACCESS_KEY is not"
	case secret != "":
		return "not set, though AWS_SECRET_ACCESS_KEY is"
	}
	return "not set"
}

// describeProfile is what a profile says of credentials, and each that it leads to. It does not
// tell the command of a credential_process.
func describeProfile(p *config.SharedConfig) string {
	if p.Profile == "" {
		return "there is no such profile"
	}
	var said []string
	for ; p != nil; p = p.Source {
		what := describeSettings(p)
		if p.RoleARN != "" && settingOf(p) != tokenFile {
			what += ", and a role_arn on top"
		}
		if len(said) > 0 {
			what = "profile " + problem.Clip(p.Profile) + " " + what
		}
		said = append(said, what)
	}
	return strings.Join(said, "; ")
}

func describeSettings(p *config.SharedConfig) string {
	all := settingsOf(p)
	if len(all) == 0 {
		return "has no credentials"
	}
	what := "has " + string(all[0])
	switch all[0] {
	case sourceProfile:
		what += " " + problem.Clip(p.Source.Profile)
	case ssoSession:
		what += " " + problem.Clip(p.SSOSessionName)
	case credentialSource:
		what += " " + problem.Clip(p.CredentialSource)
	}
	for _, outranked := range all[1:] {
		what += ", which outranks its " + string(outranked)
	}
	return what
}
