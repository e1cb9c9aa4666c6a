package source

import (
	"context"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"

	"brs-exec/internal/awsconfig"
)

// A Candidate is one place where the chain could have begun, and why it does or doesn't.
type Candidate struct {
	Name  string // "AWS_ACCESS_KEY_ID", "profile dev (AWS_PROFILE)"
	State string // Chosen, Outranked, Absent or Broken
	Why   string // one reason; never a value that may be secret
}

// What becomes of a candidate.
const (
	Chosen    = "chosen"
	Outranked = "outranked" // it is there, but another one comes first
	Absent    = "absent"    // it isn't there, or has no credentials
	Broken    = "broken"    // it is there, and ends the search with an error
)

// Candidates says what New chooses among, in its order, from the same flags, variables and files; it asks nobody. At most
// one is Chosen: none if one is Broken.
func Candidates(ctx context.Context, o Options) []Candidate {
	if o.Base != nil {
		return []Candidate{{o.BaseName, Chosen, "it has keys of its own: the environment and the files don't count"}}
	}
	env, err := config.NewEnvConfig()
	if err != nil {
		return []Candidate{{"environment", Broken, describe(err)}}
	}
	shared, err := loadProfile(ctx, &o)
	return candidates(&o, &env, &shared, err)
}

// A place is where the chain begins, unless a profile says more.
type place int

const (
	tokenFlags place = iota
	commandFlag
	iotFlags
	profileFlag
	orphan // a role in the environment that nothing buys
	environment
	tokenFile
	anyProfile
	lastResort // never begun with: no profile has credentials
)

// placeOf takes what a flag names; else it chooses as config.resolveCredentialChain does: a profile that was asked for, the
// environment's keys, its token file, then AWS_PROFILE or the default profile, the container endpoint, the instance.
func placeOf(o *Options, env *config.EnvConfig) place {
	switch {
	case o.WebIdentityTokenFile != "" || o.WebIdentityTokenCommand != "" || o.WebIdentity != "":
		return tokenFlags
	case o.CredentialCommand != "":
		return commandFlag
	case o.usesIoT():
		return iotFlags
	case o.Profile != "":
		return profileFlag
	case env.RoleARN != "" && env.WebIdentityTokenFilePath == "" && len(o.RoleARNs) == 0:
		return orphan
	case env.Credentials.HasKeys():
		return environment
	case env.WebIdentityTokenFilePath != "":
		return tokenFile
	}
	return anyProfile
}

// A part is what a profile's credentials come from: the key of it that counts, for people, too.
type part string

const (
	sourceProfile    part = "source_profile"
	profileKeys      part = "aws_access_key_id"
	credentialSource part = "credential_source"
	profileTokenFile part = "web_identity_token_file"
	ssoSession       part = "sso_session"
	legacySSO        part = "sso_start_url"
	loginSession     part = "login_session"
	processOf        part = "credential_process"
	noPart           part = ""
)

// partOf is the one that counts.
func partOf(p *config.SharedConfig) part {
	if there := partsOf(p); len(there) > 0 {
		return there[0]
	}
	return noPart
}

// partsOf follows config.resolveCredsFromProfile, case for case: the first counts, the others are outranked by it.
func partsOf(p *config.SharedConfig) (there []part) {
	for _, c := range []struct {
		part part
		set  bool
	}{
		{sourceProfile, p.Source != nil},
		{profileKeys, p.Credentials.HasKeys()},
		{credentialSource, p.CredentialSource != ""},
		{profileTokenFile, p.WebIdentityTokenFile != ""},
		{ssoSession, p.SSOSessionName != ""},
		{legacySSO, p.SSOSessionName == "" && hasLegacySSO(p)},
		{loginSession, p.LoginSession != ""},
		{processOf, p.CredentialProcess != ""},
	} {
		if c.set {
			there = append(there, c.part)
		}
	}
	return there
}

// row is a candidate before the choice.
type row struct {
	name  string
	place place
	there bool
	why   string
}

func candidates(o *Options, env *config.EnvConfig, shared *config.SharedConfig, broken error) []Candidate {
	begin, profile := placeOf(o, env), partOf(shared)
	rows := append(flagRows(o, shared, profile), environmentRows(o, env, shared, profile)...)
	var out []Candidate
	chosen := ""
	for _, r := range rows {
		c := Candidate{r.name, Absent, r.why}
		ours := r.place == begin || r.place == lastResort && profile == noPart && (begin == anyProfile || begin == profileFlag)
		switch {
		case broken != nil && (r.place == anyProfile || r.place == profileFlag && o.Profile != ""):
			c.State, c.Why = Broken, broken.Error()
		case !r.there:
		case r.place == orphan:
			c.State = Broken
		case broken != nil || begin == orphan:
			c.State, c.Why = Outranked, "the search has ended with an error"
		case ours && chosen == "":
			c.State, chosen = Chosen, r.name
		case chosen != "":
			c.State, c.Why = Outranked, "outranked by "+chosen
		default:
			c.State, c.Why = Outranked, "left out: --profile is given"
		}
		out = append(out, c)
	}
	return out
}

func flagRows(o *Options, shared *config.SharedConfig, profile part) []row {
	p := row{"--profile", profileFlag, o.Profile != "", "not given"}
	if p.there {
		p.name += " " + clip(o.Profile)
		p.there, p.why = profile != noPart, has(shared)
	}
	return []row{
		given("--web-identity*", tokenFlags, o.WebIdentityTokenFile+o.WebIdentityTokenCommand+o.WebIdentity != ""),
		given("--credential-command", commandFlag, o.CredentialCommand != ""),
		given("--iot-*", iotFlags, o.usesIoT()),
		p,
	}
}

func given(flag string, p place, there bool) row {
	if there {
		return row{flag, p, true, "given"}
	}
	return row{flag, p, false, "not given"}
}

func environmentRows(o *Options, env *config.EnvConfig, shared *config.SharedConfig, profile part) (rows []row) {
	if placeOf(o, env) == orphan {
		rows = append(rows, row{"AWS_ROLE_ARN", orphan, true, "set, but neither AWS_WEB_IDENTITY_TOKEN_FILE nor --role-arn"})
	}
	rows = append(rows,
		row{"AWS_ACCESS_KEY_ID", environment, env.Credentials.HasKeys(), keysWhy(env)},
		isSet("AWS_WEB_IDENTITY_TOKEN_FILE", tokenFile, env.WebIdentityTokenFilePath != ""))
	if o.Profile == "" {
		name := "profile default"
		if value, variable := awsconfig.ChosenProfile(os.Environ()); value != "" {
			name = "profile " + clip(value) + " (" + variable + ")"
		}
		rows = append(rows, row{name, anyProfile, profile != noPart, has(shared)})
	}
	return append(rows, containerRow(env), instanceRow(env))
}

func isSet(variable string, p place, there bool) row {
	if there {
		return row{variable, p, true, "set"}
	}
	return row{variable, p, false, "not set"}
}

// keysWhy tells of half a pair, which the SDK takes for none.
func keysWhy(env *config.EnvConfig) string {
	id := firstOf(os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_ACCESS_KEY"))
	secret := firstOf(os.Getenv("AWS_SECRET_ACCESS_KEY"), os.Getenv("AWS_SECRET_KEY"))
	switch {
	case env.Credentials.HasKeys() && env.Credentials.SessionToken != "":
		return "set, with AWS_SESSION_TOKEN"
	case env.Credentials.HasKeys():
		return "set, with AWS_SECRET_ACCESS_KEY"
	case id != "":
		return "set, but AWS_SECRET_ACCESS_KEY is not"
	case secret != "":
		return "not set, though AWS_SECRET_ACCESS_KEY is"
	}
	return "not set"
}

// has is what a profile says of credentials; the command of a credential_process is not told.
func has(p *config.SharedConfig) string {
	if p.Profile == "" {
		return "there is no such profile"
	}
	var words []string
	for ; p != nil; p = p.Source {
		what := "has no credentials"
		if part := partOf(p); part != noPart {
			what = "has " + string(part)
		}
		switch partOf(p) {
		case sourceProfile:
			if p.Source == p {
				return strings.Join(append(words, what), "; ")
			}
			what += " " + clip(p.Source.Profile)
		case ssoSession:
			what += " " + clip(p.SSOSessionName)
		case credentialSource:
			what += " " + clip(p.CredentialSource)
		}
		for i, less := range partsOf(p) {
			if i > 0 {
				what += ", which outranks its " + string(less)
			}
		}
		if p.RoleARN != "" && partOf(p) != profileTokenFile {
			what += ", and a role_arn on top"
		}
		if len(words) > 0 {
			what = "profile " + clip(p.Profile) + " " + what
		}
		words = append(words, what)
	}
	return strings.Join(words, "; ")
}

func containerRow(env *config.EnvConfig) row {
	r := row{"container endpoint", lastResort, true, "AWS_CONTAINER_CREDENTIALS_FULL_URI is set"}
	switch {
	case env.ContainerCredentialsRelativePath != "":
		r.why = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is set"
	case env.ContainerCredentialsEndpoint == "":
		r.there, r.why = false, "no AWS_CONTAINER_CREDENTIALS_* is set"
	}
	return r
}

func instanceRow(env *config.EnvConfig) row {
	if env.EC2IMDSClientEnableState == imds.ClientDisabled {
		return row{"instance metadata", lastResort, false, "switched off by AWS_EC2_METADATA_DISABLED"}
	}
	return row{"instance metadata", lastResort, true, "the last resort: nothing else has credentials"}
}
