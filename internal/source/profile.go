package source

import (
	"cmp"
	"errors"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"

	"brs-exec/internal/awsconfig"
	"brs-exec/internal/source/problem"
)

// loadProfile reads the profile that the options, or else the environment, choose. What it says of
// credentials is what botocore reads there, since people check with `aws sts get-caller-identity`;
// the SDK gets it in its own type. One that was named must exist; the default one need not. What
// is wrong with its credentials is kept for when they are needed.
func (b *builder) loadProfile() error {
	variable, _ := awsconfig.ChosenProfile(b.o.Env)
	if older, other := b.vars["AWS_DEFAULT_PROFILE"], b.vars["AWS_PROFILE"]; b.o.Profile == "" && older != "" &&
		other != "" && older != other {
		b.o.Log.Warn("AWS_DEFAULT_PROFILE and AWS_PROFILE name two profiles: the former counts, as it does for aws",
			"AWS_DEFAULT_PROFILE", older, "AWS_PROFILE", other)
	}
	name, named := cmp.Or(b.o.Profile, variable, awsconfig.Default), b.o.Profile+variable != ""
	var err error
	if b.identity, err = b.o.Shared.ReadIdentity(b.files); err != nil {
		return fileError(err)
	}
	v := b.identity.Profiles[name]
	switch {
	case v == nil && named:
		return b.missingProfile("profile ", name)
	case v == nil:
		return nil
	}
	if session, is := v["sso_session"]; is && b.identity.Sessions[session] == nil {
		return b.noSession(name, session) // aws makes no client then, whoever it would be
	}
	b.shared, b.profileErr = b.readProfile(name, nil)
	b.profileAssumes = v.AssumesRole()
	if b.o.Profile == "" {
		b.addWebIdentity(&b.shared)
	} else if b.profileErr == nil && settingOf(&b.shared) == "" {
		b.profileErr = b.emptyProfile(name, v)
	}
	return nil
}

// emptyProfile is the error of a profile that the user has named and that holds no credentials. aws
// goes on to the container endpoint and the instance: as whoever runs there, not as the profile.
func (b *builder) emptyProfile(name string, v awsconfig.Values) error {
	if _, is := v["source_profile"]; is {
		return problem.Bad("add role_arn = arn:aws:iam::ACCOUNT:role/NAME to the profile",
			"profile %s has source_profile, but no role_arn", name)
	}
	if p := &b.shared; p.SSOStartURL+p.SSORegion+p.SSOSessionName != "" {
		return checkSSO(p)
	}
	hint := "aws configure sso --profile " + name
	if b.vars["AWS_ACCESS_KEY_ID"] != "" || b.hasContainer() {
		hint = b.names.Hint("drop %v, and set AWS_PROFILE=%s, to begin with the environment's credentials "+
			"and the profile's settings",
			problem.Profile, name)
	}
	return problem.Bad(hint, "no AWS credentials in profile %s of %s", name, b.where("or"))
}

// addWebIdentity puts the variables of a web identity over a profile's settings of the same
// meaning. One that is empty counts, too: that is how botocore reads them.
func (b *builder) addWebIdentity(p *config.SharedConfig) {
	if file, is := b.vars["AWS_WEB_IDENTITY_TOKEN_FILE"]; is && file == "" && p.WebIdentityTokenFile != "" {
		p.WebIdentityTokenFile, p.RoleARN = "", ""
		b.profileErr = cmp.Or(b.profileErr, b.readSSO(p), readKeys(b.identity, p))
	}
	if role, is := b.vars["AWS_ROLE_ARN"]; is && p.WebIdentityTokenFile != "" {
		b.roleOfVariable = role != p.RoleARN
		p.RoleARN = role
	}
}

// fileError explains a file that aws refuses, too.
func fileError(err error) error {
	hint := "a line is [section], or key = value, each of them once, in UTF-8 without a byte order mark"
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		hint = "make it readable for you (ls -l " + e.Path + "), or move it away"
	}
	if errors.Is(err, awsconfig.ErrTooLarge) {
		hint = "look what it is: a file of settings takes kilobytes"
	}
	return problem.Bad(hint, "%v", err)
}

// readProfile reads one profile and those below it. above are the profiles that led here. Its
// settings come with an error, too.
func (b *builder) readProfile(name string, above []string) (config.SharedConfig, error) {
	p, v := settingsOfProfile(b.identity, name), b.identity.Profiles[name]
	if v.AssumesRole() {
		return p, b.readRole(&p, v, append(above, name))
	}
	return p, b.readOwn(&p, v)
}

// readOwn reads what a profile has without the help of another one. What is outranked may be
// wrong.
func (b *builder) readOwn(p *config.SharedConfig, v awsconfig.Values) error {
	readTokenFile(p, v)
	if p.WebIdentityTokenFile != "" {
		return nil
	}
	return cmp.Or(b.readSSO(p), readKeys(b.identity, p))
}

// emptySetting is the error of a setting that stands there without a value, as where a template's
// variable was not set. To go on with another setting of the profile would be somebody else.
func emptySetting(profile string, v awsconfig.Values, keys ...string) error {
	for _, key := range keys {
		if value, is := v[key]; is && value == "" {
			return problem.Bad("give it a value, or take the line out", "%s is empty",
				problem.Input{Key: key, Profile: profile})
		}
	}
	return nil
}

func readTokenFile(p *config.SharedConfig, v awsconfig.Values) {
	if p.WebIdentityTokenFile = v["web_identity_token_file"]; p.WebIdentityTokenFile != "" {
		p.RoleARN, p.RoleSessionName = v["role_arn"], v["role_session_name"]
	}
}

// settingsOfProfile are the settings that need no look at another section.
func settingsOfProfile(identity *awsconfig.Identity, name string) config.SharedConfig {
	v := identity.Profiles[name]
	p := config.SharedConfig{
		Profile:                    name,
		CredentialProcess:          strings.ReplaceAll(v["credential_process"], "\n", " "), // as shlex.split takes it
		LoginSession:               v["login_session"],
		SSOSessionName:             v["sso_session"],
		SSORegion:                  v["sso_region"],
		SSOStartURL:                v["sso_start_url"],
		SSOAccountID:               v["sso_account_id"],
		SSORoleName:                v["sso_role_name"],
		Region:                     v["region"],
		CustomCABundle:             v["ca_bundle"],
		AppID:                      v["sdk_ua_app_id"],
		BaseEndpoint:               v["endpoint_url"],
		EC2IMDSEndpoint:            v["ec2_metadata_service_endpoint"],
		IgnoreConfiguredEndpoints:  boolean(v["ignore_configured_endpoint_urls"]),
		DisableClockSkewCorrection: boolean(v["disable_clock_skew_correction"]),
		EC2IMDSv1Disabled:          boolean(v["ec2_metadata_v1_disabled"]),
		ServicesSectionName:        v["services"],
	}
	if strings.EqualFold(v["use_fips_endpoint"], "true") {
		p.UseFIPSEndpoint = aws.FIPSEndpointStateEnabled
	}
	if strings.EqualFold(v["use_dualstack_endpoint"], "true") {
		p.UseDualStackEndpoint = aws.DualStackEndpointStateEnabled
	}
	if strings.EqualFold(v["ec2_metadata_service_endpoint_mode"], "ipv6") {
		p.EC2IMDSEndpointMode = imds.EndpointModeStateIPv6
	}
	if services := identity.Services[p.ServicesSectionName]; services != nil {
		p.Services.ServiceValues = map[string]map[string]string{}
		for service, lines := range services {
			p.Services.ServiceValues[service] = awsconfig.Nested(lines)
		}
	}
	return p
}

func boolean(value string) *bool {
	is := strings.EqualFold(value, "true")
	if !is && !strings.EqualFold(value, "false") {
		return nil
	}
	return &is
}

// readSSO finds the section that an SSO profile refers to.
func (b *builder) readSSO(p *config.SharedConfig) error {
	v := b.identity.Profiles[p.Profile]
	if err := emptySetting(p.Profile, v, "sso_account_id", "sso_role_name"); err != nil {
		return err
	}
	name, is := v["sso_session"]
	session := b.identity.Sessions[name]
	switch {
	case is && session == nil && hasSSO(p):
		return b.noSession(p.Profile, name)
	case session == nil:
		return nil
	}
	for key, value := range session {
		if own, is := v[key]; is && own != value && hasSSO(p) {
			return problem.Bad("drop "+key+" from the profile", "profile %s and its sso-session %s differ in %s",
				p.Profile, problem.Clip(name), problem.Clip(key))
		}
	}
	p.SSOSession = &config.SSOSession{Name: name, SSORegion: session["sso_region"],
		SSOStartURL: session["sso_start_url"]}
	return nil
}

func (b *builder) noSession(profile, session string) error {
	hint := "aws configure sso-session makes one"
	if names := slices.Sorted(maps.Keys(b.identity.Sessions)); len(names) > 0 {
		hint = "there are: " + problem.Clip(strings.Join(names, ", ")) + "; " + hint
	}
	return problem.Bad(hint,
		"profile %s: there is no [sso-session %s]", profile, problem.Clip(session))
}

// readKeys finds a profile's keys. Those in the config file come last: a login or a process of the
// profile outranks them, but not those in the credentials file.
func readKeys(identity *awsconfig.Identity, p *config.SharedConfig) error {
	v := identity.Credentials[p.Profile]
	if !keysInCredentials(identity, p.Profile) {
		all := identity.Profiles[p.Profile]
		if err := emptySetting(p.Profile, all, "login_session", "credential_process"); err != nil && !hasSSO(p) {
			return err
		}
		if p.LoginSession+p.CredentialProcess == "" {
			v = identity.Config[p.Profile]
		}
	}
	id, is := v["aws_access_key_id"]
	secret := v["aws_secret_access_key"]
	if !is {
		return nil
	}
	token, old := v["aws_security_token"] // botocore looks for the older name first
	if !old {
		token = v["aws_session_token"]
	}
	p.Credentials = aws.Credentials{AccessKeyID: id, SecretAccessKey: secret, SessionToken: token,
		AccountID: v["aws_account_id"]}
	switch {
	case hasSSO(p): // what SSO outranks may be wrong
		return nil
	case id == "" || secret == "":
		return problem.Bad("aws configure --profile "+p.Profile+" asks for both",
			"profile %s: aws_access_key_id and aws_secret_access_key belong together, one is missing", p.Profile)
	}
	return checkKeys(p.Credentials, func(name string) string {
		return problem.Input{Key: strings.ToLower(name), Profile: p.Profile}.String()
	})
}

func keysInCredentials(identity *awsconfig.Identity, profile string) bool {
	_, is := identity.Credentials[profile]["aws_access_key_id"]
	return is
}

// readRole finds what a profile's role is assumed with.
func (b *builder) readRole(p *config.SharedConfig, v awsconfig.Values, way []string) error {
	source, hasSource := v["source_profile"]
	named, hasNamed := v["credential_source"]
	switch {
	case hasSource && hasNamed:
		return problem.Bad("drop one", "profile %s has both source_profile and credential_source", p.Profile)
	case !hasSource && !hasNamed:
		return problem.Bad("add source_profile = the profile that may assume it, or credential_source",
			"profile %s has role_arn, but neither source_profile nor credential_source", p.Profile)
	}
	if err := emptySetting(p.Profile, v, "role_arn", "credential_source"); err != nil {
		return err // aws fails, too: without the role it would be somebody else
	}
	p.RoleARN, p.RoleSessionName = v["role_arn"], v["role_session_name"]
	p.ExternalID, p.MFASerial = v["external_id"], v["mfa_serial"]
	if seconds, is := v["duration_seconds"]; is {
		n, _ := strconv.Atoi(seconds) // 0 is told as wrong where the role is assumed
		d := time.Duration(n) * time.Second
		p.RoleDurationSeconds = &d
	}
	if hasNamed {
		p.CredentialSource = named
		return nil
	}
	below, err := b.readSource(p, source, way)
	p.SourceProfileName, p.Source = source, &below
	return err
}

// readSource reads the profile that p's role is assumed with. One that has keys is taken for what
// it has without its role.
func (b *builder) readSource(p *config.SharedConfig, source string, way []string) (below config.SharedConfig,
	err error) {
	v := b.identity.Profiles[source]
	if v == nil {
		return below, b.missingProfile("source_profile ", source)
	}
	keys := v.HasKeys()
	if slices.Contains(way, source) && (source != p.Profile || !keys) {
		return below, noKeysBelow(way[0], source, "; source_profile must not lead in a circle")
	}
	if keys {
		below = settingsOfProfile(b.identity, source)
		err = b.readOwn(&below, v)
	} else {
		below, err = b.readProfile(source, way)
	}
	if err == nil && settingOf(&below) == "" {
		err = noKeysBelow(way[0], source, "")
	}
	return below, err
}

func noKeysBelow(profile, source, more string) error {
	return problem.Bad("give profile "+source+" credentials of its own"+more,
		"profile %s: source_profile %s leads to no credentials", profile, source)
}

// missingProfile names the files that were read, those that could not be, and the profiles that
// there are. It does not guess which was meant: acct-005 for acct-004 is another account. what
// stands before its name in a sentence.
func (b *builder) missingProfile(what, name string) error {
	misnamed := b.misnamed(name)
	what += problem.Clip(name)
	names, where := b.identity.Names(), b.where("and")
	switch {
	case misnamed != "":
		return problem.Bad(misnamed, "no %s in %s", what, where)
	case b.insideAnother():
		return problem.Bad(withoutOurFiles+b.names.Hint("brs-exec %v ", problem.Profile)+name+" …",
			"no %s: this is inside a brs-exec, which hides your profiles", what)
	case len(names) == 0 && b.vars["AWS_CONFIG_FILE"] != "":
		return problem.Bad("is AWS_CONFIG_FILE right? if it is, aws configure sso, or aws configure, makes a profile",
			"no %s: %s hold none at all", what, where)
	case len(names) == 0 && b.files.Config == "":
		return problem.Bad("unset AWS_CONFIG_FILE: without it, ~/.aws/config is read",
			"no %s: %s hold none at all", what, where)
	case len(names) == 0:
		return problem.Bad("aws configure sso, or aws configure, makes one", "no %s: %s hold none at all", what, where)
	case len(names) > 8:
		names = append(names[:8], "…; aws configure list-profiles shows all")
	}
	return problem.Bad("there are: "+strings.Join(names, ", "), "no %s in %s", what, where)
}

// misnamed is how a section that stands there must be called to be the profile name; "": there is
// none like it.
func (b *builder) misnamed(name string) string {
	if b.identity.Credentials["profile "+name] != nil {
		return "write [" + name + "] in " + b.files.Credentials + ", where names stand without \"profile\""
	}
	content, _ := awsconfig.Read(b.files.Config)
	for _, line := range awsconfig.Lines(content) {
		if strings.TrimSpace(line) == "["+name+"]" {
			return "write [profile " + name + "] in " + b.files.Config +
				", where only [default] stands without \"profile\""
		}
	}
	return ""
}

// withoutOurFiles begins a command that is to see the user's files inside a brs-exec.
const withoutOurFiles = "env -u AWS_CONFIG_FILE -u AWS_SHARED_CREDENTIALS_FILE "

// insideAnother says whether the config file is one that a brs-exec wrote for its command.
func (b *builder) insideAnother() bool {
	return strings.HasPrefix(filepath.Base(filepath.Dir(b.files.Config)), "brs-exec-")
}

// where names the two files. A variable that is set to nothing is no file.
func (b *builder) where(and string) string {
	config := cmp.Or(b.files.Config, "AWS_CONFIG_FILE (which is empty)")
	return config + " " + and + " " + cmp.Or(b.files.Credentials, "AWS_SHARED_CREDENTIALS_FILE (which is empty)")
}
