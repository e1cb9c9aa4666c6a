package childenv

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"brs-exec/internal/awsconfig"
)

// kept are the settings of a profile that are known to be no credentials. An allow list: a deny
// list would leak the key of the next kind of credentials. From botocore/configprovider.py,
// config/shared_config.go of aws-sdk-go-v2 and
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
	use_dualstack_endpoint use_arn_region endpoint_url us_east_1_regional_endpoint s3_disable_multiregion_access_points
	max_concurrent_requests max_queue_size multipart_threshold multipart_chunksize max_bandwidth io_chunksize
	preferred_transfer_client target_bandwidth target_throughput should_stream disk_throughput direct_io`)

// keptService is what may stand below a service's name in a services section.
var keptService = set(`endpoint_url`)

// keptRole are further settings of a carried-over profile: what the SDK needs to assume its role
// from the endpoint. No mfa_serial: brs-exec has asked for the code already.
var keptRole = set(`role_arn external_id role_session_name duration_seconds`)

// Chosen is the profile that the child is to have.
type Chosen struct {
	Name      string // "" is default
	Unnamed   bool   // only as the default: under its own name it would be somebody else
	CarryOver bool   // with the profiles that are assumed from it
	Process   string // its credential_process; "": none
	InFile    bool   // its keys are in the child's credentials file, and the child has no endpoint
	InEnv     bool   // they are in the child's variables, and nowhere else

	Further []Further // other profiles that the child may use
}

// Further is a profile whose credentials come from a process, whatever its own say.
type Further struct{ Name, Process string }

// ChildConfig writes the child's AWS_CONFIG_FILE from the parent's two shared files: the settings of
// the chosen profile, as [default] and (but for Unnamed) its own name, and services that they name.
// They are what botocore reads, comments and quotes included. Nothing in it can yield a
// credential but our endpoint.
//
// With CarryOver, profiles whose source_profile chain starts at the chosen one come along, with
// credential_source = EcsContainer at the start of the chain: the SDK assumes their role itself,
// from the endpoint. (Where the chosen profile has credentials, by Process or in a file,
// source_profile stays.) That is right only when the endpoint's identity is exactly the chosen
// profile's: no further role on top, and no credentials from elsewhere. Other profiles are absent:
// asking for one fails instead of running as someone else.
func ChildConfig(id *awsconfig.Identity, c Chosen) []byte {
	c.Name = cmp.Or(c.Name, awsconfig.Default)
	w := writer{chosen: c}
	w.profile(awsconfig.Default, id.Profiles[c.Name], c.Process, false)
	if c.Name != awsconfig.Default && !c.Unnamed {
		w.profile(c.Name, id.Profiles[c.Name], c.Process, false)
	}
	named := map[string]bool{c.Name: true}
	for _, f := range c.Further {
		named[f.Name] = true
		w.profile(f.Name, id.Profiles[f.Name], f.Process, false)
	}
	if c.CarryOver {
		for _, name := range slices.Sorted(maps.Keys(assumedFrom(c.Name, id))) {
			if !named[name] {
				w.profile(name, id.Profiles[name], "", true)
			}
		}
	}
	for _, name := range w.services {
		w.servicesSection(name, id.Services[name])
	}
	return []byte(w.out.String())
}

// assumedFrom returns the names of the profiles whose chain of source_profile starts at the chosen
// one, directly or through others. A profile on the way that has keys of its own is where the
// chain starts instead, in botocore and Go alike. There are none if [DEFAULT] gives profiles a
// role or a source: to all SDKs but botocore they are somebody else.
func assumedFrom(chosen string, id *awsconfig.Identity) map[string]bool {
	found := map[string]bool{}
	if id.Everywhere["role_arn"]+id.Everywhere["source_profile"] != "" || keysAreOutranked(id.Profiles[chosen]) {
		return found
	}
	next := map[string][]string{}
	for name, p := range id.Profiles {
		ours := strings.EqualFold(name, awsconfig.Default)
		if source := roleSource(p); source != "" && awsconfig.SafeName(name) && !ours {
			next[source] = append(next[source], name)
		}
	}
	for todo := []string{chosen}; len(todo) > 0; todo = todo[1:] {
		for _, name := range next[todo[0]] {
			if found[name] {
				continue
			}
			found[name] = true
			if !id.Profiles[name].HasKeys() {
				todo = append(todo, name)
			}
		}
	}
	return found
}

// keysAreOutranked says whether a profile is a role that its own keys don't have: with those begin
// the profiles that name it as source_profile.
func keysAreOutranked(p awsconfig.Values) bool { return p.HasKeys() && p.AssumesRole() }

// roleSource is the profile from which p's role is assumed: "" if it has no role, or perhaps other
// credentials (several kinds in one profile are an error in Go, and a matter of rank in botocore;
// a line that goes on with a value in botocore is a key in Go).
func roleSource(p awsconfig.Values) string {
	for key, value := range p {
		switch key {
		case "web_identity_token_file", "credential_process", "credential_source", "login_session":
			return ""
		}
		if strings.HasPrefix(key, "sso_") || strings.Index(value, "\n") > 0 {
			return ""
		}
	}
	if awsconfig.Plain(p["role_arn"]) == "" {
		return ""
	}
	return awsconfig.Plain(p["source_profile"])
}

// writer writes sections that every reader reads alike: no indentation but for nested settings, no
// key or section twice, LF.
type writer struct {
	out      strings.Builder
	chosen   Chosen
	services []string // the services sections that profiles name
}

// profile writes p, which may be nil for one without settings, under the given name. process is its
// credential_process; "": none. One that is carried over comes with its role instead.
func (w *writer) profile(name string, p awsconfig.Values, process string, carried bool) {
	for _, header := range headers("profile", name) {
		w.line("[" + header + "]")
		for _, key := range slices.Sorted(maps.Keys(p)) {
			w.setting(key, p[key], carried)
		}
		if process != "" {
			w.line("credential_process = " + process)
		}
	}
}

func (w *writer) setting(key, value string, carried bool) {
	switch {
	case key == "services":
		w.service(awsconfig.Plain(value))
		w.keep(key, value)
	case key == "s3":
		w.nest(key, value, keptS3)
	case kept[key], strings.HasPrefix(key, keptPrefix), carried && keptRole[key]:
		w.keep(key, value)
	case carried && key == "source_profile":
		w.source(value)
	}
}

// source says where a carried-over profile gets the credentials that assume its role: where the
// child has the chosen profile's, or from the next profile of the chain.
func (w *writer) source(value string) {
	switch {
	case awsconfig.Plain(value) == w.chosen.Name && w.chosen.InEnv:
		w.line("credential_source = Environment")
	case awsconfig.Plain(value) == w.chosen.Name && w.chosen.Process == "" && !w.chosen.InFile:
		w.line("credential_source = EcsContainer")
	default:
		w.keep("source_profile", value)
	}
}

// service notes that a services section is named, and is to be written.
func (w *writer) service(name string) {
	if awsconfig.SafeName(name) && !slices.Contains(w.services, name) {
		w.services = append(w.services, name)
	}
}

func (w *writer) servicesSection(name string, services awsconfig.Values) {
	for _, header := range headers("services", name) {
		w.line("[" + header + "]")
		for _, key := range slices.Sorted(maps.Keys(services)) {
			if strings.Trim(key, "abcdefghijklmnopqrstuvwxyz0123456789_-") == "" {
				w.nest(key, services[key], keptService)
			}
		}
	}
}

// nest writes the nested settings that are on the list, if there are any.
func (w *writer) nest(key, value string, list map[string]bool) {
	lines, nested := key+" =", awsconfig.Nested(value)
	for _, name := range slices.Sorted(maps.Keys(nested)) {
		line := strings.TrimSpace(name + " = " + nested[name])
		if list[strings.ToLower(name)] && awsconfig.Printable(line) {
			lines += "\n  " + line
		}
	}
	if strings.Contains(lines, "\n") {
		w.line(lines)
	}
}

// keep writes a setting, the first line of one that goes on below its key in botocore alone.
func (w *writer) keep(key, value string) {
	value, _, _ = strings.Cut(value, "\n")
	if line := strings.TrimSpace(key + " = " + value); awsconfig.Printable(line) {
		w.line(line)
	}
}

func (w *writer) line(text string) {
	w.out.WriteString(text)
	w.out.WriteByte('\n')
}

// headers are the spellings of a section's header: a name with spaces is found by Python only in
// quotes, by Go only without.
func headers(kind, name string) []string {
	switch {
	case kind == "profile" && name == awsconfig.Default:
		return []string{awsconfig.Default}
	case !awsconfig.SafeName(name):
		return nil
	case strings.Contains(name, " "):
		return []string{kind + ` "` + name + `"`, kind + " " + name}
	}
	return []string{kind + " " + name}
}

func set(words string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(words) {
		m[w] = true
	}
	return m
}
