package childenv

import (
	"slices"
	"strings"
	"unicode"
)

// kept are the settings of a profile that are known to be no credentials. An allow list: a deny list would leak the
// key of the next kind of credentials. From botocore/configprovider.py, config/shared_config.go of aws-sdk-go-v2 and
// https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html.
var kept = set(`region output endpoint_url ignore_configured_endpoint_urls services ca_bundle
	retry_mode max_attempts defaults_mode use_fips_endpoint use_dualstack_endpoint sts_regional_endpoints
	s3_use_arn_region s3_us_east_1_regional_endpoint s3_disable_multiregion_access_points
	s3_disable_express_session_auth endpoint_discovery_enabled parameter_validation tcp_keepalive
	ec2_metadata_service_endpoint ec2_metadata_service_endpoint_mode ec2_metadata_v1_disabled imds_use_ipv6
	metadata_service_timeout metadata_service_num_attempts sdk_ua_app_id
	request_min_compression_size_bytes disable_request_compression disable_clock_skew_correction
	request_checksum_calculation response_checksum_validation account_id_endpoint_mode
	disable_host_prefix_injection auth_scheme_preference sigv4a_signing_region_set`)

// keptPrefix is how the aws cli names its own settings: pager, binary format, history …
const keptPrefix = "cli_"

// keptS3 are the settings nested below "s3 =", of botocore and of the aws cli's transfers.
var keptS3 = set(`addressing_style payload_signing_enabled signature_version use_accelerate_endpoint
	use_dualstack_endpoint use_arn_region us_east_1_regional_endpoint s3_disable_multiregion_access_points
	max_concurrent_requests max_queue_size multipart_threshold multipart_chunksize max_bandwidth io_chunksize
	preferred_transfer_client target_bandwidth target_throughput should_stream disk_throughput direct_io`)

// keptService is what may stand below a service's name in a services section.
var keptService = set(`endpoint_url`)

// keptRole are further settings of a carried-over profile: what the SDK needs to assume its role from the endpoint.
// No mfa_serial: whoever asked for the code was brs-exec.
var keptRole = set(`role_arn external_id role_session_name duration_seconds`)

// Chosen is the profile that the child is to have.
type Chosen struct {
	Name      string // "" is default
	CarryOver bool   // with the profiles that are assumed from it
	Process   string // its credential_process; "": none. See [ProcessCommand]
	InFile    bool   // its keys are in the child's credentials file, and the child has no endpoint
	InEnv     bool   // they are in the child's variables, and nowhere else
}

// ChildConfig writes the child's AWS_CONFIG_FILE from the contents of the parent's two shared files: the settings of
// the chosen profile ("" is default), as [default] and under its own name, with the services section they name. Lines
// are copied as they stand, but for indentation. Nothing in it can yield a credential but our endpoint.
//
// With CarryOver, profiles whose source_profile chain ends in the chosen one come along, with
// credential_source = EcsContainer at the end of the chain: the SDK assumes their role itself, from the endpoint. (Where
// the chosen profile has credentials, by Process or in a file, source_profile stays.) That
// is right only when the endpoint's identity is exactly the chosen profile's: no --role-arn on top, and no
// credentials from elsewhere. Other profiles are absent: asking for one fails instead of running as someone else.
func ChildConfig(config, credentials []byte, c Chosen) []byte {
	if c.Name == "" {
		c.Name = defaultProfile
	}
	f := readShared(config, credentials)
	var w writer
	w.chosen = c
	settings := f.profile(c.Name).settings
	w.profile(defaultProfile, settings, false)
	if c.Name != defaultProfile {
		w.profile(c.Name, settings, false)
	}
	for _, p := range f.profiles {
		if c.CarryOver && p.name != c.Name && f.endsIn(p, c.Name) {
			w.profile(p.name, p.settings, true)
		}
	}
	for _, name := range w.services {
		w.servicesSection(name, f.services[name])
	}
	return []byte(w.out.String())
}

// shared is both files, merged as the SDKs do it: what the credentials file says of a profile wins, key by key.
type shared struct {
	profiles []profile
	services map[string][]setting
}

type profile struct {
	name     string
	settings []setting
}

const defaultProfile = "default"

func readShared(config, credentials []byte) *shared {
	f := &shared{services: map[string][]setting{}}
	prefixed := false // [profile default] was seen: it beats [default], wherever it stands
	for _, s := range readSections(config) {
		kind, name := cutName(s.header)
		switch {
		case s.header == defaultProfile && !prefixed:
			f.at(name).settings = s.settings
		case kind == "profile" && name != "":
			prefixed = prefixed || name == defaultProfile
			f.at(name).settings = s.settings
		case kind == "services" && name != "":
			f.services[name] = s.settings
		}
	}
	for _, s := range readSections(credentials) {
		if safeName(s.header) {
			p := f.at(s.header)
			p.settings = slices.Clone(p.settings)
			for _, line := range s.settings {
				upsert(&p.settings, line)
			}
		}
	}
	return f
}

// cutName takes a header of the config file apart. Quotes around a name are Python's.
func cutName(header string) (kind, name string) {
	kind, name, ok := strings.Cut(header, " ")
	if !ok {
		kind, name = "", header
	}
	for _, q := range []string{`"`, `'`} {
		if len(name) > 2 && strings.HasPrefix(name, q) && strings.HasSuffix(name, q) {
			name = name[1 : len(name)-1]
			break
		}
	}
	if !safeName(name) {
		return "", ""
	}
	return kind, name
}

// safeName refuses names that readers take apart differently (quotes, comments, brackets, odd spaces), and those that
// would pass for another kind of section once Go has removed "profile ".
func safeName(name string) bool {
	first, _, spaced := strings.Cut(name, " ")
	if spaced && (first == "profile" || first == "services" || first == "sso-session") {
		return false
	}
	return name != "" && name == strings.TrimSpace(name) && printable(name) && !strings.ContainsAny(name, "\"'`\\[]#;\t") &&
		!strings.ContainsFunc(name, func(r rune) bool { return unicode.IsSpace(r) && r != ' ' })
}

// at returns the profile of that name, made if need be.
func (f *shared) at(name string) *profile {
	for i := range f.profiles {
		if f.profiles[i].name == name {
			return &f.profiles[i]
		}
	}
	f.profiles = append(f.profiles, profile{name: name})
	return &f.profiles[len(f.profiles)-1]
}

// profile returns the profile of that name, without settings if there is none.
func (f *shared) profile(name string) profile {
	for _, p := range f.profiles {
		if p.name == name {
			return p
		}
	}
	return profile{name: name}
}

// endsIn says whether p's role is assumed from the chosen profile, directly or through others. A profile on the way
// that has keys of its own ends the chain there, in botocore and Go alike.
func (f *shared) endsIn(p profile, chosen string) bool {
	for seen := map[string]bool{}; !seen[p.name]; {
		source := p.source()
		switch {
		case source == "" || strings.EqualFold(p.name, defaultProfile): // [default] is ours
			return false
		case len(seen) > 0 && p.value("aws_access_key_id") != "":
			return false
		case source == chosen:
			return true
		}
		seen[p.name] = true
		p = f.profile(source)
	}
	return false
}

// source is the profile from which p's role is assumed: "" if it has no role, or perhaps other credentials (several
// kinds in one profile are an error in Go, and a matter of rank in botocore).
func (p profile) source() string {
	for _, s := range p.settings {
		switch s.key {
		case "web_identity_token_file", "credential_process", "credential_source", "login_session":
			return ""
		}
		if strings.HasPrefix(s.key, "sso_") {
			return ""
		}
	}
	if p.value("role_arn") == "" {
		return ""
	}
	return p.value("source_profile")
}

func (p profile) value(key string) string {
	for _, s := range p.settings {
		if s.key == key {
			return s.value()
		}
	}
	return ""
}

// writer writes sections that every reader reads alike: no indentation but for nested settings, no key or section
// twice, LF.
type writer struct {
	out      strings.Builder
	chosen   Chosen
	services []string // the services sections that profiles name
}

// profile writes one profile. One that is carried over comes with its role.
func (w *writer) profile(name string, settings []setting, carried bool) {
	for _, header := range headers("profile", name) {
		w.out.WriteString("[" + header + "]\n")
		for _, s := range settings {
			w.setting(s, carried)
		}
		if w.chosen.Process != "" && !carried {
			w.line("credential_process = " + w.chosen.Process)
		}
	}
}

func (w *writer) setting(s setting, carried bool) {
	switch {
	case s.key == "services":
		w.service(s.value())
		w.line(s.text)
	case s.key == "s3":
		w.nest(s, keptS3)
	case kept[s.key], strings.HasPrefix(s.key, keptPrefix):
		w.line(s.text)
	case !carried:
	case keptRole[s.key]:
		w.line(s.text)
	case s.key == "source_profile" && s.value() == w.chosen.Name && w.chosen.InEnv:
		w.line("credential_source = Environment")
	case s.key == "source_profile" && s.value() == w.chosen.Name && w.chosen.Process == "" && !w.chosen.InFile:
		w.line("credential_source = EcsContainer")
	case s.key == "source_profile":
		w.line(s.text)
	}
}

func (w *writer) service(name string) {
	if safeName(name) && !slices.Contains(w.services, name) {
		w.services = append(w.services, name)
	}
}

func (w *writer) servicesSection(name string, settings []setting) {
	for _, header := range headers("services", name) {
		w.out.WriteString("[" + header + "]\n")
		for _, s := range settings {
			if !strings.ContainsFunc(s.key, notIdentifier) {
				w.nest(s, keptService)
			}
		}
	}
}

// nest writes the nested settings that are on the list, if there are any.
func (w *writer) nest(s setting, list map[string]bool) {
	first := true
	for _, sub := range s.sub {
		if !list[sub.key] {
			continue
		}
		if first {
			w.line(s.key + " =")
		}
		first = false
		w.line("  " + sub.text)
	}
}

func (w *writer) line(text string) {
	w.out.WriteString(text)
	w.out.WriteByte('\n')
}

// headers are the spellings of a section's header: a name with spaces is found by Python only in quotes, by Go only
// without.
func headers(kind, name string) []string {
	switch {
	case kind == "profile" && name == defaultProfile:
		return []string{defaultProfile}
	case !safeName(name):
		return nil
	case strings.Contains(name, " "):
		return []string{kind + ` "` + name + `"`, kind + " " + name}
	}
	return []string{kind + " " + name}
}

func notIdentifier(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '_' || r == '-')
}

func set(words string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(words) {
		m[w] = true
	}
	return m
}
