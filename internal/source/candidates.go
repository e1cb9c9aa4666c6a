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
	ShareOption                   // Options.FromShare
	IoTOptions                    //
	ProfileOption                 // Options.Profile
	RoleVariable                  // AWS_ROLE_ARN, for which there is no token
	KeyVariables                  // AWS_ACCESS_KEY_ID
	TokenVariable                 // AWS_WEB_IDENTITY_TOKEN_FILE
	ChosenProfile                 // of AWS_PROFILE, or the default one
	OlderFile                     // boto 2's, which is never read
	ContainerEndpoint             // a last resort: no profile has credentials
	InstanceMetadata              // the very last
	Environment                   // AWS_* variables that can't be read
)

// Candidates says what New chooses among, in its order, from the same options, variables and
// files; it asks nobody. At most one is Chosen: none if one is Broken.
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
	if err = b.loadProfile(); err == nil && (b.place() == ChosenProfile || b.place() == ProfileOption) {
		err = b.profileErr
	}
	return b.candidates(err)
}

// candidates decides about each candidate. broken is why the profile can't be read; nil if it can.
func (b *builder) candidates(broken error) (all []Candidate) {
	begin, chosen, ended := b.place(), "", false
	noSetting := settingOf(&b.shared) == "" && (begin == ChosenProfile || begin == ProfileOption)
	for _, c := range append(b.optionCandidates(), b.foundCandidates()...) {
		ofProfile := c.Kind == ChosenProfile || c.Kind == ProfileOption && c.Profile != ""
		lastResort := c.Kind == ContainerEndpoint || c.Kind == InstanceMetadata
		switch {
		case broken != nil && ofProfile:
			c.State, c.Why = Broken, broken.Error()
		case c.State == Absent:
		case c.Kind == RoleVariable, c.Kind == KeyVariables && c.Kind == begin && b.vars["AWS_SECRET_ACCESS_KEY"] == "":
			c.State, ended = Broken, true
		case broken != nil || ended:
			c.State, c.Why = Outranked, "the search has ended with an error"
		case chosen == "" && (c.Kind == begin || lastResort && noSetting):
			c.State, chosen = Chosen, c.Name
		case chosen != "":
			c.State, c.Why = Outranked, "outranked by "+chosen
		default:
			c.State, c.Why = Outranked, b.names.Hint("left out: %v is given", problem.Profile)
		}
		c.Why += b.differsFromAWS(&c)
		all = append(all, c)
	}
	return all
}

// differsFromAWS tells where aws makes something else of a candidate, "" if it doesn't. It does so
// in the places that docs/SOURCES.md lists.
func (b *builder) differsFromAWS(c *Candidate) string {
	if b.identity == nil {
		return "" // the files can't be read, which aws refuses, too
	}
	v := b.identity.Profiles[c.Profile]
	switch secret, hasSecret := v["aws_secret_access_key"]; {
	case c.Kind == RoleVariable:
		return "; aws leaves it out"
	case c.Kind == ProfileOption && c.State == Broken && v != nil && settingOf(&b.shared) == "" && !hasSecret:
		return "; aws goes on to the container endpoint and the instance, as whoever runs there"
	case c.State == Broken && hasSecret && secret == "":
		return "; aws signs with the empty secret, and is refused"
	case c.Kind == ChosenProfile && c.Variable == "" && b.hasEmptyProfile():
		return "; AWS_PROFILE is empty: aws looks for a profile without a name, and fails"
	case c.State == Chosen && settingOf(&b.shared) == processCommand &&
		strings.ContainsAny(b.shared.CredentialProcess, "#$`|&;<>*"):
		return "; it runs by a shell, which aws does without"
	}
	return ""
}

// hasEmptyProfile says that a variable names a profile, and no name is in it.
func (b *builder) hasEmptyProfile() bool {
	name, is := b.vars["AWS_PROFILE"]
	older, isOlder := b.vars["AWS_DEFAULT_PROFILE"]
	return is && name == "" || isOlder && older == ""
}

// found makes a Candidate: Absent, or one about which nothing is decided yet.
func found(k Kind, name string, is bool, why, whyNot string) Candidate {
	if is {
		return Candidate{Kind: k, Name: name, Why: why}
	}
	return Candidate{Kind: k, Name: name, Why: whyNot, State: Absent}
}

func (b *builder) optionCandidates() []Candidate {
	o := b.o
	given := func(k Kind, option problem.Option, is bool) Candidate {
		return found(k, b.names.Hint("%v", option), is, "given", "not given")
	}
	profile := given(ProfileOption, problem.Profile, o.Profile != "")
	if o.Profile != "" {
		profile = b.profileCandidate(ProfileOption, profile.Name+" ", o.Profile)
	}
	return []Candidate{
		given(TokenOptions, problem.AnyWebIdentity, o.usesToken()),
		given(CommandOption, problem.CredentialCommand, o.CredentialCommand != ""),
		given(ShareOption, problem.FromShare, o.FromShare != ""),
		given(IoTOptions, problem.AnyIoT, o.usesIoT()),
		profile,
	}
}

func (b *builder) profileCandidate(k Kind, before, profile string) Candidate {
	said := describeProfile(&b.shared)
	profile = problem.Clip(profile)
	c := found(k, before+profile, settingOf(&b.shared) != "", said, said)
	c.Profile = profile
	return c
}

// foundCandidates are those of the environment, of its profile, and the last resorts.
func (b *builder) foundCandidates() (all []Candidate) {
	env := &b.env
	if b.place() == RoleVariable {
		all = append(all, found(RoleVariable, "AWS_ROLE_ARN", true, b.onlyRoleVariable(), ""))
	}
	keys, token := b.describeKeys(), env.WebIdentityTokenFilePath != ""
	all = append(all,
		found(KeyVariables, "AWS_ACCESS_KEY_ID", b.vars["AWS_ACCESS_KEY_ID"] != "", keys, keys),
		found(TokenVariable, "AWS_WEB_IDENTITY_TOKEN_FILE", token, "set", "not set"))
	if b.o.Profile == "" {
		name, variable := awsconfig.ChosenProfile(b.o.Env)
		c := b.profileCandidate(ChosenProfile, "profile ", cmp.Or(name, awsconfig.Default))
		if c.Variable = variable; variable != "" {
			c.Name += " (" + variable + ")"
		}
		all = append(all, c)
	}
	if b.vars["AWS_CREDENTIAL_FILE"] != "" {
		const why = "boto 2's, which is not read; aws reads it"
		all = append(all, found(OlderFile, "AWS_CREDENTIAL_FILE", false, "", why))
	}
	endpoint := containerURI
	if env.ContainerCredentialsRelativePath != "" {
		endpoint = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
	}
	return append(all,
		found(ContainerEndpoint, "container endpoint", b.hasContainer(),
			endpoint+" is set", "no AWS_CONTAINER_CREDENTIALS_* is set"),
		found(InstanceMetadata, "instance metadata", env.EC2IMDSClientEnableState != imds.ClientDisabled,
			"the last resort: nothing else has credentials", "switched off by AWS_EC2_METADATA_DISABLED"))
}

// describeKeys tells of half a pair, too.
func (b *builder) describeKeys() string {
	id, secret := b.vars["AWS_ACCESS_KEY_ID"], b.vars["AWS_SECRET_ACCESS_KEY"]
	switch {
	case id != "" && secret == "":
		return "set, but AWS_SECRET_ACCESS_KEY is not"
	case id != "" && b.sessionToken() != "":
		return "set, with AWS_SESSION_TOKEN"
	case id != "":
		return "set, with AWS_SECRET_ACCESS_KEY"
	case secret != "":
		return "not set, though AWS_SECRET_ACCESS_KEY is"
	}
	return "not set"
}

// describeProfile tells what a profile says of credentials, and each profile that it leads to. It
// does not tell the command of a credential_process, which may hold a secret.
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
