package childenv

import (
	"slices"
	"strings"
	"testing"

	"brs-exec/internal/awsconfig"
)

func TestChildConfig(t *testing.T) {
	tests := []struct {
		name, config, credentials, profile string
		carry                              bool
		want                               string
	}{
		{name: "nothing at all", want: "[default]\n"},
		{name: "settings only",
			config: "[default]\nregion=eu-west-1\naws_access_key_id = A\naws_secret_access_key = S\ncli_pager =\n",
			want:   "[default]\ncli_pager =\nregion = eu-west-1\n"},
		{name: "by name", profile: "p",
			config: "[default]\nregion = d\n[profile p]\nregion = p\ncredential_process = x\n[profile q]\noutput = json\n",
			want:   "[default]\nregion = p\n[profile p]\nregion = p\n"},
		{name: "known nowhere", profile: "p", config: "[default]\nregion = d\n", want: "[default]\n[profile p]\n"},
		{name: "only in the credentials file", profile: "p", credentials: "[p]\naws_access_key_id=A\nregion = r\n[profile p]\nregion = x\n",
			want: "[default]\nregion = r\n[profile p]\nregion = r\n"},
		{name: "the credentials file wins", config: "[default]\noutput = text\nregion = a\n", credentials: "[default]\nregion = b\n",
			want: "[default]\noutput = text\nregion = b\n"},
		{name: "of [profile default] and [default] the later", config: "[profile default]\nregion = a\noutput = x\n[default]\nregion = b\n",
			want: "[default]\nregion = b\n"},
		{name: "Python's DEFAULT", config: "[DEFAULT]\nregion = r\naws_access_key_id = A\noutput = text\n[default]\noutput = json\n",
			want: "[default]\noutput = json\nregion = r\n"},
		{name: "nested",
			config: "[default]\ns3 =\n  addressing_style = path\n\n  # no\n  secret = x\n\tmax_concurrent_requests = 5\nregion = r\n",
			want:   "[default]\nregion = r\ns3 =\n  addressing_style = path\n  max_concurrent_requests = 5\n"},
		{name: "nested in an unknown key", config: "[default]\nfuture =\n  region = x\n  aws_access_key_id = A\noutput = json\n",
			want: "[default]\noutput = json\n"},
		{name: "nested below a value", config: "[default]\nregion = r\ns3 = x\n  addressing_style = path\n", want: "[default]\nregion = r\n"},
		{name: "all indented, nested by depth", config: "[default]\n  s3 =\n    addressing_style = path\n  region = r\n",
			want: "[default]\nregion = r\ns3 =\n  addressing_style = path\n"},
		{name: "Python's continuation is Go's key", config: "[default]\nregion = r\n  aws_access_key_id = A\n  output = json\n",
			want: "[default]\nregion = r\n"},
		{name: "a header in a continuation", config: "[default]\nregion = r\n  [profile x]\noutput = json\n", want: "[default]\noutput = json\nregion = r\n"},
		{name: "a lone CR is Python's line end", config: "[default]\nregion = r\raws_access_key_id = A\n", want: "[default]\nregion = r\n"},
		{name: "other line ends", config: "[default]\nregion = r\u2028aws_access_key_id = A\noutput = json\x0bx = y\ncli_pager = less\n",
			want: "[default]\ncli_pager = less\n"},
		{name: "CRLF", config: "[default]\r\nregion = r\r\n; c\r\n", want: "[default]\nregion = r\n"},
		{name: "comments and quotes stay with their value", config: "[default] # me\n# region = x\nregion = r # mine\n;output = y\ncli_pager = \"x\"\n",
			want: "[default]\ncli_pager = \"x\"\nregion = r # mine\n"},
		{name: "case and colons", config: "[default]\nRegion: r\nAWS_Access_Key_ID: A\noutput : = x\n", want: "[default]\noutput = = x\nregion = r\n"},
		{name: "no file for aws", config: "[default]\nregion = a\nREGION = b\n"},
		{name: "services", config: "[default]\nservices = s # c\n[services s]\ns3 =\n  endpoint_url = http://s3\n  aws_secret_access_key = S\ndynamodb =\n  token = t\nbad key =\n  endpoint_url = x\n[services other]\nec2 =\n  endpoint_url = o\n",
			want: "[default]\nservices = s # c\n[services s]\ns3 =\n  endpoint_url = http://s3\n"},
		{name: "spaces in the name", profile: "a b", config: "[profile \"a b\"]\nregion = r\n",
			want: "[default]\nregion = r\n[profile \"a b\"]\nregion = r\n[profile a b]\nregion = r\n"},
		{name: "a name that can't be written", profile: "a]\n[x", config: "[default]\nregion = r\n", want: "[default]\n"},
		{name: "sso", config: "[default]\nsso_session = s\nsso_account_id = 1\nregion = r\nlogin_session = l\n[sso-session s]\nsso_region = x\nregion = y\n",
			want: "[default]\nregion = r\n"},

		{name: "carried over", profile: "p", carry: true,
			config: `[profile p]
region = r
role_arn = arn:p
source_profile = base
[profile base]
aws_access_key_id = A
[profile a]
role_arn = arn:a
source_profile = p
external_id = e
mfa_serial = m
role_session_name = n
duration_seconds = 900
region = ra
aws_access_key_id = A
aws_secret_access_key = S
[profile b]
source_profile = a
role_arn = arn:b
[profile other]
role_arn = arn:o
source_profile = base
`,
			// b goes through a, whose own keys end its chain there in every SDK
			want: `[default]
region = r
[profile p]
region = r
[profile a]
duration_seconds = 900
external_id = e
region = ra
role_arn = arn:a
role_session_name = n
credential_source = EcsContainer
`},
		{name: "a chain of two", profile: "p", carry: true,
			config: "[profile b]\nrole_arn = arn:b\nsource_profile = a\nservices = s\n[services s]\nsts =\n  endpoint_url = u\n", credentials: "[a]\nrole_arn = arn:a\nsource_profile = \"p\"\n[p]\naws_access_key_id = A\n",
			want: "[default]\n[profile p]\n[profile a]\nrole_arn = arn:a\ncredential_source = EcsContainer\n[profile b]\nrole_arn = arn:b\nservices = s\nsource_profile = a\n[services s]\nsts =\n  endpoint_url = u\n"},
		{name: "the chosen one is its role, and its source_profile its keys", profile: "p", carry: true,
			config:      "[profile p]\nrole_arn = arn:p\nsource_profile = p\n[profile a]\nrole_arn = arn:a\nsource_profile = p\n",
			credentials: "[p]\naws_access_key_id = A\naws_secret_access_key = S\n",
			want:        "[default]\n[profile p]\n"},
		{name: "the chosen one is SSO's, whatever keys stand there", profile: "p", carry: true,
			config:      "[profile p]\nsso_account_id = 1\nsso_role_name = r\n[profile a]\nrole_arn = arn:a\nsource_profile = p\n",
			credentials: "[p]\naws_access_key_id = A\naws_secret_access_key = S\n",
			want:        "[default]\n[profile p]\n[profile a]\nrole_arn = arn:a\ncredential_source = EcsContainer\n"},
		{name: "half a key on the way", profile: "p", carry: true,
			config: "[profile a]\nrole_arn = arn:a\nsource_profile = p\naws_secret_access_key = S\n[profile b]\nrole_arn = arn:b\nsource_profile = a\n",
			want:   "[default]\n[profile p]\n[profile a]\nrole_arn = arn:a\ncredential_source = EcsContainer\n"},
		{name: "default is ours, whatever its chain", profile: "p", carry: true,
			config: "[default]\nrole_arn = arn:d\nsource_profile = p\n[profile x]\nrole_arn = arn:x\nsource_profile = default\n",
			want:   "[default]\n[profile p]\n"},
		{name: "circles, and kinds of credentials mixed", profile: "p", carry: true,
			config: "[profile a]\nrole_arn = a\nsource_profile = b\n[profile b]\nrole_arn = b\nsource_profile = a\n[profile w]\nrole_arn = w\nsource_profile = p\nweb_identity_token_file = t\n[profile norole]\nsource_profile = p\n[profile s]\nrole_arn = s\nsource_profile = p\nsso_session = x\n",
			want:   "[default]\n[profile p]\n"},
		{name: "a role that only botocore sees", profile: "p", carry: true,
			config: "[DEFAULT]\nsource_profile = p\n[profile p]\naws_access_key_id = A\n[profile a]\nrole_arn = a\n[profile b]\nrole_arn = b\nsource_profile = p\n",
			want:   "[default]\n[profile p]\n"},
		{name: "lines that go on for botocore alone", profile: "p", carry: true,
			config: "[profile a]\nrole_arn = a\n  [profile x]\nsource_profile = p\n[profile b]\nrole_arn = b\nsource_profile = p\n  credential_process = x\n" +
				"[profile c]\nrole_arn = c\nsource_profile = p\nregion = r\n  aws_access_key_id = A\n[profile d]\nrole_arn =\n  x = y\nsource_profile = p\n",
			want: "[default]\n[profile p]\n"},
		{name: "half a pair of quotes", profile: "p", carry: true, config: "[profile a]\nrole_arn = a\nsource_profile = \"p\n", want: "[default]\n[profile p]\n"},
		{name: "through a name that can't be written", profile: "p", carry: true,
			config: "[profile a'b']\nrole_arn = a\nsource_profile = x#\n[profile x#]\nrole_arn = x\nsource_profile = p\n", want: "[default]\n[profile p]\n"},
		{name: "not carried over", profile: "p", config: "[profile a]\nrole_arn = a\nsource_profile = p\n", want: "[default]\n[profile p]\n"},
		{name: "carried over from default", carry: true, config: "[default]\nregion = r\n[profile a]\nrole_arn = a\nsource_profile = default\n",
			want: "[default]\nregion = r\n[profile a]\nrole_arn = a\ncredential_source = EcsContainer\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			id := identity(tt.config, tt.credentials)
			if id == nil {
				if tt.want != "" {
					t.Error("aws would refuse it")
				}
				return
			}
			got := string(ChildConfig(id, Chosen{Name: tt.profile, CarryOver: tt.carry}))
			if got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
			if err := harmless(got, tt.carry); err != "" {
				t.Error(err)
			}
			if again := ChildConfig(identity(got, ""), Chosen{Name: tt.profile}); !tt.carry && string(again) != got {
				t.Errorf("read again: got\n%s\nwant\n%s", again, got)
			}
		})
	}
}

// harmless checks a child's config as a reader would that knows nothing of the filter, and is as lenient as the most
// lenient of the SDKs: every line is a header or "key = value", cut at either separator; no key that is not on a list.
func harmless(config string, carried bool) string {
	section, seen := "", map[string]bool{}
	for line := range strings.Lines(config) {
		line, ok := strings.CutSuffix(line, "\n")
		if !ok || strings.ContainsAny(line, "\r\x00\x0b\x0c\u0085\u2028\u2029") {
			return "a line that does not end as it should: " + line
		}
		if strings.HasPrefix(line, "[") {
			section = line
			if seen[section] || !strings.HasSuffix(line, "]") {
				return "a bad header: " + line
			}
			seen[section] = true
			if h := strings.Trim(line, "[]"); h != "default" && !strings.HasPrefix(h, "profile ") && !strings.HasPrefix(h, "services ") {
				return "a foreign header: " + line
			}
			continue
		}
		key := strings.ToLower(strings.TrimSpace(line[:max(0, strings.IndexAny(line, "=:"))]))
		js, _, _ := strings.Cut(line, "=")
		if credentialKeys[strings.ToLower(strings.TrimSpace(js))] && !carried {
			return "a credential: " + line
		}
		nested := strings.HasPrefix(line, "  ")
		known := kept[key] || strings.HasPrefix(key, "cli_") || key == "s3" ||
			carried && (keptRole[key] || key == "source_profile" || line == "credential_source = EcsContainer")
		switch {
		case nested && !keptS3[key] && !keptService[key]:
			return "nested: " + line
		case !nested && strings.HasPrefix(section, "[services ") && !strings.HasSuffix(line, " ="):
			return "a value in a services section: " + line
		case !nested && !strings.HasPrefix(section, "[services ") && !known:
			return "not on the list: " + line
		case !nested && seen[section+key]:
			return "twice: " + line
		}
		if !nested {
			seen[section+key] = true
		}
	}
	return ""
}

func FuzzChildConfig(f *testing.F) {
	for _, s := range []string{
		"[default]\nregion = r\n  aws_access_key_id = A\n", "[profile \"p\"]\ns3 =\n addressing_style = path\n[p]\nx=y",
		"[services s]\nsts =\n  endpoint_url = u\n[profile p]\nservices = s\n", "[default]\rrole_arn: x\r\nsource_profile=p\n",
		"[profile a]\nrole_arn = a\nsource_profile = p\ncredential_process = x\n", "\ufeff[default]\n[DEFAULT]\naws_access_key_id = x\n",
		"[profile p]\nregion:aws_access_key_id=A\ns3 : x\n  region = y\n  [default]\n",
	} {
		f.Add(s, s, "p", true)
		f.Add(s, "", "", false)
	}
	f.Fuzz(func(t *testing.T, config, credentials, profile string, carry bool) {
		id := identity(config, credentials)
		if id == nil {
			return
		}
		got := string(ChildConfig(id, Chosen{Name: profile, CarryOver: carry}))
		if err := harmless(got, carry); err != "" {
			t.Fatalf("%s\nin\n%s", err, got)
		}
		if !strings.HasPrefix(got, "[default]\n") {
			t.Fatalf("got\n%s\nwant [default] first", got)
		}
		for line := range strings.Lines(got) {
			header := strings.TrimSuffix(line, "]\n")
			if strings.HasPrefix(header, "[profile ") && !strings.HasSuffix(header, profile) && !strings.HasSuffix(header, profile+`"`) && !carry {
				t.Fatalf("%s] came along", header)
			}
		}
		if _, leaks := LeakingDefault(new(awsconfig.Identity), []byte(got[:defaultEnd(got)]), nil); leaks {
			t.Fatalf("[default] holds credentials in\n%s", got)
		}
	})
}

// FuzzNoForeignLine marks every line with its section: none of a foreign section may come along.
func FuzzNoForeignLine(f *testing.F) {
	f.Add(" \t", "  ", "region = ", "s3 =")
	f.Add("[", "\r", "[x", " [profile p]")
	f.Fuzz(func(t *testing.T, a, b, c, d string) {
		if strings.Contains(strings.ToLower(a+b+c+d), "default") {
			return // their own header of ours
		}
		// whatever strangers' lines are, a plain header after them ends their section
		file := "[profile x]\nregion = foreign\n" + a + "\noutput = foreign\n" + b + "\n[default]\nregion = mine\n[profile y]\n" +
			c + "output = foreign\n" + d + "\n"
		id := identity(file, "")
		if id == nil {
			return
		}
		got := string(ChildConfig(id, Chosen{}))
		if strings.Contains(got, "foreign") || !strings.Contains(got, "region = mine\n") {
			t.Fatalf("got\n%s\nfrom\n%s", got, file)
		}
	})
}

func defaultEnd(config string) int {
	if i := strings.Index(config, "\n["); i >= 0 {
		return i
	}
	return len(config)
}

func TestLeakingDefault(t *testing.T) {
	tests := []struct{ name, config, credentials, want string }{
		{"nothing", "", "", ""},
		{"settings", "[default]\nregion = r\ns3 =\n  addressing_style = path\n", "[p]\naws_access_key_id = A\n", ""},
		{"another profile", "[profile p]\nrole_arn = r\n", "", ""},
		{"comment", "[default]\n# aws_access_key_id = A\n", "", ""},
		{"keys in credentials", "", "[default]\naws_access_key_id = A\n", "aws_access_key_id"},
		{"keys in config", "[default]\r\naws_secret_access_key=A\r\n", "", "aws_secret_access_key"},
		{"role", "[profile default]\nRole_ARN: r\n", "", "role_arn"},
		{"process", "[ default ] # c\n credential_process = x\n", "", "credential_process"},
		{"sso", "[profile \"default\"]\nregion = r\n  sso_session = s\n", "", "sso_session"},
		{"web identity", "[default]\nweb_identity_token_file = t", "", "web_identity_token_file"},
		{"login", "[default]\nlogin_session = t", "", "login_session"},
		{"Python's DEFAULT", "", "[DEFAULT]\naws_access_key_id = A\n", "aws_access_key_id"},
		{"text after the header", "[default]x\naws_access_key_id = A\n", "", "aws_access_key_id"},
		{"shell quoting", "[profile def'ault']\naws_access_key_id = A\n", "", "aws_access_key_id"},
		{"a continued value that looks like a header", "[default]\nregion = r\n  [profile x]\naws_access_key_id = A\n", "", "aws_access_key_id"},
		{"a setting that looks like one", "", "[default]\n[x = y\naws_access_key_id = A\n", "aws_access_key_id"},
		{"a header without a name", "[default]\n[] = s\naws_access_key_id = A\n", "", "aws_access_key_id"},
		{"a control character before a header", "[default]\nregion = r\n\x1f[profile x]\naws_access_key_id = A\n", "", "aws_access_key_id"},
		{"botocore's default", "[profile 'default']\nregion = r\n[profile d\\efault]\nrole_arn = r\n", "", "role_arn"},
		{"a lone CR", "[default]\nregion = r\raws_access_key_id = A\n", "", "aws_access_key_id"},
	}
	for _, tt := range tests {
		id, err := awsconfig.Paths{}.ParseIdentity([]byte(tt.config), []byte(tt.credentials))
		if err != nil { // with --no-isolation that is an error, too
			id = new(awsconfig.Identity)
		}
		got, leaks := LeakingDefault(id, []byte(tt.config), []byte(tt.credentials))
		if got != tt.want || leaks != (tt.want != "") {
			t.Errorf("%s: got %q, %t; want %q", tt.name, got, leaks, tt.want)
		}
	}
}

// A setting must not be on both lists.
func TestListsAreDisjoint(t *testing.T) {
	for _, list := range []map[string]bool{kept, keptS3, keptService} {
		for key := range list {
			if credentialKeys[key] || strings.HasPrefix(key, "sso_") || slices.Contains([]string{"mfa_serial"}, key) {
				t.Errorf("%s: kept, and a credential", key)
			}
		}
	}
}
