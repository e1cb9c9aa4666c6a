package source

import (
	"cmp"
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"

	"brs-exec/internal/awsconfig"
	"brs-exec/internal/source/problem"
	"brs-exec/internal/source/stsapi"
)

// A chain is what the builder makes step by step: a provider, and what is known of it beforehand.
type chain struct {
	provider aws.CredentialsProvider
	steps    []string // for people
	hops     []*hop
	web      *webIdentity // the role that a token buys, if the base is one
	profile  string       // whose credentials these are; "" if they are of none

	variables bool // it begins with variables that outrank the profile

	serial     string // the MFA device of the profile that the keys stand in; "": none, or it is for a role
	serialFrom problem.Input
	renames    bool // every session of it has another name
	isRole     bool // they are known to be a role's session: a role that they assume has an hour at most
}

func (c *chain) String() string { return strings.Join(c.steps, " → ") }

func (c *chain) add(step string, isRole bool) { c.steps, c.isRole = append(c.steps, step), isRole }

// place returns where the chain begins. An option decides. Without one the order is botocore's: the
// environment's keys, a role of AWS_PROFILE's or of the default profile, the environment's token
// file, what else the profile has, the container endpoint, the instance. In a profile fromProfile
// finds the rest of the way.
func (b *builder) place() Kind {
	o, env := b.o, &b.env
	switch {
	case o.Base != nil:
		return GivenBase
	case o.usesToken():
		return TokenOptions
	case o.CredentialCommand != "":
		return CommandOption
	case o.FromShare != "":
		return ShareOption
	case o.usesIoT():
		return IoTOptions
	case o.Profile != "":
		return ProfileOption
	case env.RoleARN != "" && env.WebIdentityTokenFilePath+b.shared.WebIdentityTokenFile == "" && len(o.RoleARNs) == 0:
		return RoleVariable
	case b.vars["AWS_ACCESS_KEY_ID"] != "":
		return KeyVariables
	case env.WebIdentityTokenFilePath != "" && !b.profileAssumes:
		return TokenVariable
	}
	return ChosenProfile
}

// base begins the chain c.
func (b *builder) base(ctx context.Context, c *chain) error {
	switch b.place() {
	case GivenBase:
		c.add(b.o.BaseName, false)
		c.provider = b.o.Base
	case TokenOptions:
		return b.fromWebIdentityOptions(ctx, c)
	case CommandOption:
		c.add("credential command", false)
		c.provider = b.newProcess(b.names.Input(problem.CredentialCommand), b.o.CredentialCommand)
	case ShareOption:
		return b.fromShare(c)
	case IoTOptions:
		return b.fromIoT(ctx, c)
	case RoleVariable: // someone expects to be that role, and no SDK will make it so
		hint := b.names.Hint(`%v "$AWS_ROLE_ARN"`, problem.RoleARN)
		return problem.Bad(hint, "AWS_ROLE_ARN is %s", b.onlyRoleVariable())
	case KeyVariables:
		c.variables = true
		return b.fromVariables(c)
	case TokenVariable:
		c.variables = true
		c.add("AWS_WEB_IDENTITY_TOKEN_FILE", true)
		role, is := b.vars["AWS_ROLE_ARN"]
		if !is {
			role = b.shared.RoleARN
		}
		from := problem.Input{Variable: "AWS_ROLE_ARN"}
		return b.fromTokenFile(ctx, c, b.env.WebIdentityTokenFilePath, stsapi.Role{ARN: role}, from)
	default:
		if b.profileErr != nil {
			return b.profileErr
		}
		err := b.fromProfile(ctx, c, &b.shared)
		if b.roleOfVariable {
			c.profile = "" // it would have another role
		}
		return err
	}
	return nil
}

func (b *builder) onlyRoleVariable() string {
	return b.names.Hint("set, but neither AWS_WEB_IDENTITY_TOKEN_FILE nor %v", problem.RoleARN)
}

// fromProfile begins with the setting of p that counts, and puts p's own role on top.
func (b *builder) fromProfile(ctx context.Context, c *chain, p *config.SharedConfig) (err error) {
	if p.Profile != "" {
		c.add("profile "+p.Profile, false)
	}
	profile := p.Profile
	switch settingOf(p) {
	case sourceProfile:
		err = b.fromProfile(ctx, c, p.Source)
		c.serial = ""
		b.shareBase(c, p.Source.Profile)
	case accessKey:
		c.provider, c.serialFrom = b.newProfileKeys(p), problem.Input{Key: "mfa_serial", Profile: p.Profile}
		c.serial = b.identity.Profiles[p.Profile]["mfa_serial"]
	case credentialSource:
		err = b.fromCredentialSource(c, p)
	case tokenFile:
		c.add("web_identity_token_file", true)
		c.profile = profile
		from := problem.Input{Key: "role_arn", Profile: profile}
		role := stsapi.Role{ARN: p.RoleARN, SessionName: p.RoleSessionName}
		return b.fromTokenFile(ctx, c, p.WebIdentityTokenFile, role, from)
	case ssoSession, legacySSO:
		err = b.fromSSO(c, p)
	case loginSession:
		err = b.fromLogin(c, p)
	case processCommand:
		c.add("credential_process", false)
		c.provider = b.newProcess(problem.Input{Key: "credential_process", Profile: p.Profile}, p.CredentialProcess)
	default:
		profile = "" // it says nothing of credentials
		err = b.fromLastResort(c)
	}
	c.profile = profile
	if err == nil && p.RoleARN != "" {
		b.traceBase(c)
		err = b.assumeProfileRole(c, p)
	}
	return err
}

// assumeProfileRole puts a profile's own role on top, with its own settings.
func (b *builder) assumeProfileRole(c *chain, p *config.SharedConfig) error {
	of := func(key string) problem.Input { return problem.Input{Key: key, Profile: p.Profile} }
	h := &hop{
		role:         stsapi.Role{ARN: p.RoleARN, SessionName: p.RoleSessionName, ExternalID: p.ExternalID},
		durationFrom: of("duration_seconds"), serial: p.MFASerial, serialFrom: of("mfa_serial"),
	}
	if err := stsapi.CheckRoleARN(of("role_arn"), p.RoleARN); err != nil {
		return err
	}
	if err := stsapi.CheckName(of("role_session_name"), p.RoleSessionName, 2, 64, ""); err != nil {
		return err
	}
	if d := p.RoleDurationSeconds; d != nil {
		if h.role.Duration = *d; *d == 0 { // the SDK reads a word as 0
			return problem.Bad("duration_seconds = 3600", "%s is no number of seconds", h.durationFrom)
		}
	}
	b.assume(c, h)
	return nil
}

func (b *builder) fromCredentialSource(c *chain, p *config.SharedConfig) error {
	switch strings.ToLower(p.CredentialSource) { // as for botocore
	case "ec2instancemetadata":
		return b.fromInstance(c)
	case "ecscontainer":
		if !b.hasContainer() {
			return problem.Bad("that works in ECS and EKS only: source_profile = NAME works elsewhere",
				"profile %s has credential_source = EcsContainer, but %s is not set", p.Profile, containerURI)
		}
		return b.fromContainer(c)
	case "environment":
		if b.vars["AWS_ACCESS_KEY_ID"] == "" {
			return problem.Bad("export AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
				"profile %s has credential_source = Environment, but no keys are there", p.Profile)
		}
		return b.fromVariables(c)
	}
	return problem.Bad("EcsContainer, Ec2InstanceMetadata or Environment",
		"profile %s: there is no credential_source %q", p.Profile, problem.Clip(p.CredentialSource))
}

// fromLastResort begins with the container endpoint, or else with the instance.
func (b *builder) fromLastResort(c *chain) error {
	if b.hasContainer() {
		return b.fromContainer(c)
	}
	return b.fromInstance(c)
}

// noCredentials is the error of a search that found nothing. It says where the search looked; last
// is what became of the last resort.
func (b *builder) noCredentials(last string) error {
	where := b.where("or")
	hint := b.names.Hint("aws configure sso, or export AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; %v needs none",
		problem.Sandbox)
	if names := b.identity.Names(); len(names) > 0 && b.shared.Profile == "" {
		hint = b.names.Hint("%v NAME; there are: %s", problem.Profile, strings.Join(names[:min(len(names), 8)], ", "))
		if b.o.Shared != nil { // another source of this run has a profile, by its name
			hint = b.names.Hint("%v needs a main identity, too: ", problem.WithProfile) + hint
		}
	}
	return problem.Bad(hint, "no AWS credentials: none in the environment, none in profile %s of %s, "+
		"no container endpoint, and %s", cmp.Or(b.shared.Profile, awsconfig.Default), where, last)
}

// A setting is the key of a profile that its credentials come from.
type setting string

const (
	sourceProfile    setting = "source_profile"
	accessKey        setting = "aws_access_key_id"
	credentialSource setting = "credential_source"
	tokenFile        setting = "web_identity_token_file"
	ssoSession       setting = "sso_session"
	legacySSO        setting = "sso_start_url"
	loginSession     setting = "login_session"
	processCommand   setting = "credential_process"
)

// settingOf returns the setting of p that counts; "" if p has none.
func settingOf(p *config.SharedConfig) setting {
	if all := settingsOf(p); len(all) > 0 {
		return all[0]
	}
	return ""
}

// settingsOf follows botocore.credentials.create_credential_resolver: the first counts, it
// outranks the others.
func settingsOf(p *config.SharedConfig) (all []setting) {
	for _, s := range []struct {
		setting setting
		is      bool
	}{
		{sourceProfile, p.Source != nil},
		{credentialSource, p.CredentialSource != ""},
		{tokenFile, p.WebIdentityTokenFile != ""},
		{ssoSession, p.SSOSessionName != "" && hasSSO(p)},
		{legacySSO, p.SSOSessionName == "" && hasSSO(p)},
		{accessKey, p.Credentials.HasKeys()},
		{loginSession, p.LoginSession != ""},
		{processCommand, p.CredentialProcess != ""},
	} {
		if s.is {
			all = append(all, s.setting)
		}
	}
	return all
}
