package source

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/config"

	"brs-exec/internal/awsconfig"
	"brs-exec/internal/nearest"
)

// loadProfile lets the SDK parse the profile that the flag, or else the environment, chooses. One that was named must
// exist; the default one need not. (The SDK alone forgives a missing AWS_DEFAULT_PROFILE, and goes on as someone else.)
func loadProfile(ctx context.Context, o *Options) (config.SharedConfig, error) {
	fromEnv, _ := awsconfig.ChosenProfile(os.Environ())
	name := firstOf(o.Profile, fromEnv)
	files := profileFiles()
	shared, err := readProfile(ctx, firstOf(name, config.DefaultSharedConfigProfile), files)
	if err == nil {
		return shared, nil
	}
	if _, ok := err.(config.SharedConfigProfileNotExistError); ok && name == "" {
		return config.SharedConfig{}, nil
	}
	return config.SharedConfig{}, profileError(err, name, files)
}

func readProfile(ctx context.Context, name string, files []string) (config.SharedConfig, error) {
	return config.LoadSharedConfigProfile(ctx, name, func(l *config.LoadSharedConfigOptions) {
		l.ConfigFiles, l.CredentialsFiles = files[:1], files[1:]
	})
}

// profileFiles are ~/.aws/config and ~/.aws/credentials, or what the variables name instead.
func profileFiles() []string {
	paths := awsconfig.Locate(os.Environ())
	return []string{paths.Config, paths.Credentials}
}

// parseFiles reads what the SDK's parser doesn't tell. A file that is there, but can't be read, is an error; then what
// the other one says is returned with it.
func parseFiles(files []string) (parsed *awsconfig.Files, unread error) {
	var contents [2][]byte
	for i, file := range files {
		content, err := awsconfig.Read(file)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			unread = err
		}
		contents[i] = content
	}
	return awsconfig.Parse(contents[0], contents[1]), unread
}

func profileError(err error, name string, files []string) error {
	if e, ok := errors.AsType[config.SharedConfigAssumeRoleError](err); ok {
		if _, ok := e.Err.(config.SharedConfigProfileNotExistError); ok {
			return missingProfile("source_profile "+clip(e.Profile), "source_profile = ", e.Profile, files)
		}
		return badInput("give it credentials of its own: source_profile must not lead in a circle", "profile %s: source_profile %s leads to no credentials", firstOf(name, "default"), e.Profile)
	}
	if e, ok := errors.AsType[config.SharedConfigProfileNotExistError](err); ok {
		return missingProfile("profile "+clip(e.Profile), "--profile ", e.Profile, files)
	}
	if e, ok := errors.AsType[config.CredentialRequiresARNError](err); ok {
		return badInput("add role_arn = arn:aws:iam::ACCOUNT:role/NAME to the profile", "profile %s has %s, but no role_arn", e.Profile, e.Type)
	}
	if e, ok := errors.AsType[config.SharedConfigLoadError](err); ok {
		return badInput("a line is [section], or key = value", "%s: %s", e.Filename, firstLine(e.Err.Error()))
	}
	return parserError(strings.Join(strings.Fields(err.Error()), " "), firstOf(name, "default"), files)
}

// parserError words anew what the SDK's parser says awkwardly.
func parserError(s, name string, files []string) error {
	if strings.Contains(s, "partial credentials found") {
		return badInput("aws configure --profile "+name+" asks for both", "profile %s: aws_access_key_id and aws_secret_access_key belong together, one is missing", name)
	}
	if session, ok := strings.CutPrefix(s, "failed to find SSO session section, "); ok {
		return badInput("aws configure sso-session makes one", "profile %s: there is no [sso-session %s]", name, session)
	}
	return badInput("look at "+files[0]+" and "+files[1], "profile %s: %s", name, strings.TrimPrefix(s, "failed to "))
}

// missingProfile names the files that were read, those that could not be, and the profile that was perhaps meant.
func missingProfile(what, write, name string, files []string) error {
	names, unread := profileNames(files)
	where := strings.Join(files, " and ")
	if unread != nil {
		return badInput("make it readable", "no %s: %v", what, unread)
	}
	if near := nearest.To(name, names); near != "" {
		return badInput("did you mean "+write+near+"?", "no %s in %s", what, where)
	}
	if len(names) == 0 {
		return badInput("aws configure sso, or aws configure, makes one", "no %s: %s hold none at all", what, where)
	}
	if len(names) > 8 {
		names = append(names[:8], "…")
	}
	return badInput("there are: "+strings.Join(names, ", "), "no %s in %s", what, where)
}

// profileNames lists the profiles that the files hold.
func profileNames(files []string) (names []string, unread error) {
	parsed, unread := parseFiles(files)
	for _, p := range parsed.Profiles {
		names = append(names, p.Name)
	}
	return names, unread
}
