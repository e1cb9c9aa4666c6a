package awsconfig

import (
	"strings"
	"unicode"
)

// Files is what both files say, merged as the SDKs do it: what the credentials file says of a
// profile wins, key by key.
type Files struct {
	Profiles []*Profile          // in the order in which they are first mentioned, the config file before the other
	Services map[string]Settings // the [services NAME] sections

	byName map[string]*Profile
}

// A Profile is [default], in the config file [profile NAME], in the credentials file [NAME].
type Profile struct {
	Name string
	Settings
}

// Parse reads the contents of the two files.
func Parse(config, credentials []byte) *Files {
	f := &Files{Services: map[string]Settings{}, byName: map[string]*Profile{}}
	prefixed := false // [profile default] was seen: it beats [default], wherever it stands
	for _, s := range sections(config) {
		kind, name := cutName(s.Header)
		switch {
		case s.Header == Default && !prefixed:
			f.add(name).Settings = s.Settings
		case kind == "profile" && name != "":
			prefixed = prefixed || name == Default
			f.add(name).Settings = s.Settings
		case kind == "services" && name != "":
			f.Services[name] = s.Settings
		}
	}
	for _, s := range sections(credentials) {
		if !SafeName(s.Header) {
			continue
		}
		p := f.add(s.Header)
		for _, setting := range s.List {
			p.put(setting)
		}
	}
	return f
}

// Profile returns the profile of that name, nil if there is none.
func (f *Files) Profile(name string) *Profile { return f.byName[name] }

// add returns the profile of that name, made if need be.
func (f *Files) add(name string) *Profile {
	if f.byName[name] == nil {
		f.byName[name] = &Profile{Name: name}
		f.Profiles = append(f.Profiles, f.byName[name])
	}
	return f.byName[name]
}

// cutName takes a header of the config file apart. Quotes around a name are Python's.
func cutName(header string) (kind, name string) {
	kind, name, ok := strings.Cut(header, " ")
	if !ok {
		kind, name = "", header
	}
	if name = unquote(name); !SafeName(name) {
		return "", ""
	}
	return kind, name
}

// SafeName refuses names that readers take apart differently (quotes, comments, brackets, odd
// spaces), and those that would pass for another kind of section once Go has removed "profile ".
func SafeName(name string) bool {
	first, _, spaced := strings.Cut(name, " ")
	if spaced && (first == "profile" || first == "services" || first == "sso-session") {
		return false
	}
	oddSpace := func(r rune) bool { return unicode.IsSpace(r) && r != ' ' }
	return name != "" && name == strings.TrimSpace(name) && Printable(name) &&
		!strings.ContainsAny(name, "\"'`\\[]#;") && !strings.ContainsFunc(name, oddSpace)
}
