package source

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"strings"

	"github.com/aws/aws-sdk-go-v2/config"

	"brs-exec/internal/awsconfig"
	"brs-exec/internal/nearest"
	"brs-exec/internal/source/problem"
)

// loadProfile lets the SDK parse the profile that the options, or else the environment, choose;
// zero if there is none. One that was named must exist; the default one need not. (The SDK alone
// forgives a missing AWS_DEFAULT_PROFILE, and goes on as someone else.)
func (b *builder) loadProfile(ctx context.Context) (config.SharedConfig, error) {
	variable, _ := awsconfig.ChosenProfile(b.o.Env)
	name := cmp.Or(b.o.Profile, variable)
	p, err := readProfile(ctx, cmp.Or(name, awsconfig.Default), b.files)
	if err == nil {
		return p, nil
	}
	if _, ok := err.(config.SharedConfigProfileNotExistError); ok && name == "" {
		return config.SharedConfig{}, nil
	}
	return config.SharedConfig{}, b.profileError(err, cmp.Or(name, awsconfig.Default))
}

func readProfile(ctx context.Context, name string, files awsconfig.Paths) (config.SharedConfig, error) {
	return config.LoadSharedConfigProfile(ctx, name, func(l *config.LoadSharedConfigOptions) {
		l.ConfigFiles, l.CredentialsFiles = []string{files.Config}, []string{files.Credentials}
	})
}

// parseFiles reads what the SDK's parser doesn't tell. A file that is there, but can't be read, is
// an error; then what the other one says is returned with it.
func parseFiles(files awsconfig.Paths) (parsed *awsconfig.Files, unread error) {
	var contents [2][]byte
	for i, file := range []string{files.Config, files.Credentials} {
		content, err := awsconfig.Read(file)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			unread = err
		}
		contents[i] = content
	}
	return awsconfig.Parse(contents[0], contents[1]), unread
}

// profileError words anew what the SDK says of the profile name and those that it leads to.
func (b *builder) profileError(err error, name string) error {
	if e, ok := errors.AsType[config.SharedConfigAssumeRoleError](err); ok {
		if _, ok := e.Err.(config.SharedConfigProfileNotExistError); ok {
			return b.missingProfile("source_profile ", "source_profile = ", e.Profile)
		}
		return problem.Bad("give it credentials of its own: source_profile must not lead in a circle",
			"profile %s: source_profile %s leads to no credentials", name, e.Profile)
	}
	if e, ok := errors.AsType[config.SharedConfigProfileNotExistError](err); ok {
		return b.missingProfile("profile ", b.names.Hint("%v ", problem.Profile), e.Profile)
	}
	if e, ok := errors.AsType[config.CredentialRequiresARNError](err); ok {
		return problem.Bad("add role_arn = arn:aws:iam::ACCOUNT:role/NAME to the profile",
			"profile %s has %s, but no role_arn", e.Profile, e.Type)
	}
	if e, ok := errors.AsType[config.SharedConfigLoadError](err); ok {
		why := problem.FirstLine(e.Err.Error())
		return problem.Bad("a line is [section], or key = value", "%s: %s", e.Filename, why)
	}
	return b.parserError(strings.Join(strings.Fields(err.Error()), " "), name)
}

// parserError has the SDK's text alone to go by: its parser has no types for these errors.
func (b *builder) parserError(said, name string) error {
	if strings.Contains(said, "partial credentials found") {
		return problem.Bad("aws configure --profile "+name+" asks for both",
			"profile %s: aws_access_key_id and aws_secret_access_key belong together, one is missing", name)
	}
	if session, ok := strings.CutPrefix(said, "failed to find SSO session section, "); ok {
		return problem.Bad("aws configure sso-session makes one",
			"profile %s: there is no [sso-session %s]", name, session)
	}
	return problem.Bad("look at "+b.files.Config+" and "+b.files.Credentials,
		"profile %s: %s", name, strings.TrimPrefix(said, "failed to "))
}

// missingProfile names the files that were read, those that could not be, and the profile that was
// perhaps meant. what and write stand before its name in a sentence and where it is written.
func (b *builder) missingProfile(what, write, name string) error {
	what += problem.Clip(name)
	names, unread := b.profileNames()
	where := b.files.Config + " and " + b.files.Credentials
	if unread != nil {
		return problem.Bad("make it readable", "no %s: %v", what, unread)
	}
	if near := nearest.To(name, names); near != "" {
		return problem.Bad("did you mean "+write+near+"?", "no %s in %s", what, where)
	}
	if len(names) == 0 {
		return problem.Bad("aws configure sso, or aws configure, makes one", "no %s: %s hold none at all", what, where)
	}
	if len(names) > 8 {
		names = append(names[:8], "…")
	}
	return problem.Bad("there are: "+strings.Join(names, ", "), "no %s in %s", what, where)
}

// profileNames lists the profiles that the files hold.
func (b *builder) profileNames() (names []string, unread error) {
	parsed, unread := parseFiles(b.files)
	for _, p := range parsed.Profiles {
		names = append(names, p.Name)
	}
	return names, unread
}
