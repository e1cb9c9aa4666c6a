package awsconfig

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
)

// Identity is what the two files say of who the user is, as botocore and the aws cli read them. It
// decides whose the base credentials are, since people check with `aws sts get-caller-identity`.
type Identity struct {
	// Profiles are those of both files; a key of the credentials file outranks the same key of the
	// config file.
	Profiles map[string]Values

	// Config and Credentials are the profiles of each file alone: for botocore it matters in which
	// file keys stand.
	Config, Credentials map[string]Values

	// Sessions are the sso-session sections, Services the services sections.
	Sessions, Services map[string]Values

	// Everywhere is what stands in [DEFAULT], which for botocore alone is in all sections.
	Everywhere Values
}

// Names lists the profiles whose names all readers read alike.
func (id *Identity) Names() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(id.Profiles)), func(name string) bool { return !SafeName(name) })
}

// AsksCode says whether a profile, or one that it begins with, names an MFA device.
func (id *Identity) AsksCode(profile string) bool {
	for seen := map[string]bool{}; !seen[profile]; {
		seen[profile] = true
		v := id.Profiles[profile]
		if v["mfa_serial"] != "" {
			return true
		}
		if profile = v["source_profile"]; profile == "" {
			break
		}
	}
	return false
}

// ReadIdentity reads both files. One that isn't there counts as empty.
func (p Paths) ReadIdentity() (*Identity, error) {
	var files [2][]byte
	for i, path := range []string{p.Config, p.Credentials} {
		content, err := Read(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		files[i] = content
	}
	return p.ParseIdentity(files[0], files[1])
}

// ParseIdentity reads the contents of both files. An error names the file.
func (p Paths) ParseIdentity(config, credentials []byte) (*Identity, error) {
	c, err := readSections(config)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.Config, err)
	}
	s, err := readSections(credentials)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.Credentials, err)
	}
	return newIdentity(c, s), nil
}

// readSections reads one file as botocore does, which wants more of what is nested than Python.
func readSections(file []byte) ([]sectionOf, error) {
	sections, err := readINI(file)
	if err != nil {
		return nil, err
	}
	for _, s := range sections[1:] { // if there are no others, nobody reads [DEFAULT]
		for key, value := range s.Values {
			if !nestedOK(value) {
				return nil, fmt.Errorf("a line below %s has no equals sign", key)
			}
		}
	}
	return sections, nil
}

// newIdentity sorts the sections as botocore.configloader.build_profile_map does.
func newIdentity(config, credentials []sectionOf) *Identity {
	id := &Identity{Profiles: map[string]Values{}, Config: map[string]Values{}, Credentials: map[string]Values{},
		Sessions: map[string]Values{}, Services: map[string]Values{}, Everywhere: Values{}}
	for _, s := range config {
		kinds := id.Config
		switch {
		case s.header == everywhere:
			maps.Copy(id.Everywhere, s.Values)
			continue
		case s.header == Default:
			id.Config[Default] = s.Values
			continue
		case strings.HasPrefix(s.header, "profile"):
		case strings.HasPrefix(s.header, "sso-session"):
			kinds = id.Sessions
		case strings.HasPrefix(s.header, "services"):
			kinds = id.Services
		default:
			continue
		}
		if words, ok := splitWords(s.header); ok && len(words) == 2 {
			kinds[words[1]] = s.Values
		}
	}
	for name, values := range id.Config {
		id.Profiles[name] = maps.Clone(values)
	}
	for _, s := range credentials {
		if s.header == everywhere {
			maps.Copy(id.Everywhere, s.Values)
			continue
		}
		id.Credentials[s.header] = s.Values
		if id.Profiles[s.header] == nil {
			id.Profiles[s.header] = Values{}
		}
		maps.Copy(id.Profiles[s.header], s.Values)
	}
	return id
}
