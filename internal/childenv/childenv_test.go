package childenv

import (
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
)

var (
	testEndpoint = Endpoint{URL: "http://127.0.0.1:1234/c", Token: "endpoint-token"}
	testFiles    = Files{Config: "/p/config", Credentials: "/p/credentials", Token: "/p/token"}
)

// everything is an environment in which every variable of the table is somebody else's.
func everything() []string {
	env := []string{"PATH=/bin", "AWS_CA_BUNDLE=/ca", "AWS_SDK_LOAD_CONFIG=1", "AWS_ENDPOINT_URL_S3=http://s3"}
	for _, v := range variables {
		env = append(env, strings.Replace(v.name, "*", "X", 1)+"=other")
	}
	return env
}

func TestEveryRowDecides(t *testing.T) {
	got := lookup(Build(everything(), testEndpoint, testFiles))
	want := map[string]string{
		"PATH": "/bin", "AWS_CA_BUNDLE": "/ca", "AWS_SDK_LOAD_CONFIG": "1", "AWS_ENDPOINT_URL_S3": "http://s3",
		"AWS_CONTAINER_CREDENTIALS_FULL_URI":     testEndpoint.URL,
		"AWS_CONTAINER_AUTHORIZATION_TOKEN":      "endpoint-token",
		"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "/p/token",
		"AWS_SHARED_CREDENTIALS_FILE":            "/p/credentials",
		"AWS_CREDENTIAL_PROFILES_FILE":           "/p/credentials",
		"CPL_AWS_CREDENTIALS_FILE":               "/p/credentials",
		"MINIO_SHARED_CREDENTIALS_FILE":          "/p/credentials",
		"AWS_CONFIG_FILE":                        "/p/config",
		"BOTO_CONFIG":                            "/p/credentials",
		"AWS_REGION":                             "other", "AWS_DEFAULT_REGION": "other",
		"AWS_EC2_METADATA_DISABLED": "true",
		"NO_PROXY":                  "other", "no_proxy": "other", // no proxy is set
		"AWS_ENDPOINT_URL_STS": "other", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "other",
	}
	for name, value := range got {
		if w, ok := want[name]; !ok || w != value {
			t.Errorf("%s: got %q; want %q (wanted at all: %t)", name, value, w, ok)
		}
	}
	for name := range want {
		if _, ok := got[name]; !ok {
			t.Errorf("%s: got nothing; want %q", name, want[name])
		}
	}
}

func TestTheTableExplainsItself(t *testing.T) {
	seen := map[string]bool{}
	for _, v := range variables {
		if v.name == "" || v.readers == "" || v.why == "" || seen[v.name] {
			t.Errorf("%q: an empty column, or twice", v.name)
		}
		seen[v.name] = true
	}
	for _, name := range namedInDesign {
		if !seen[name] {
			t.Errorf("%s: in DESIGN §5 or CLIENTS §1, not in the table", name)
		}
	}
}

// The rules that the table cites stand in docs/CLIENTS.md.
func TestRulesAreInTheDocs(t *testing.T) {
	page, err := os.ReadFile("../../docs/CLIENTS.md")
	if err != nil {
		t.Fatal(err)
	}
	section, _, _ := strings.Cut(string(page), "\n## 2")
	for _, v := range variables {
		for rule := range strings.SplitSeq(v.rules, ", ") {
			if rule != "" && !strings.Contains(section, "\n"+rule+". ") {
				t.Errorf("%s: there is no rule %q", v.name, rule)
			}
		}
	}
}

// What is set or unset has its row, with the reason.
func TestValuesHaveTheirRows(t *testing.T) {
	env := environ{list: []string{"HTTPS_PROXY=p"}}
	values := env.values(Endpoint{STSURL: "u"}, Files{})
	for _, v := range variables {
		delete(values, v.name)
	}
	if len(values) != 0 {
		t.Errorf("without a row: %v", values)
	}
}

var namedInDesign = strings.Fields(`AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_SECURITY_TOKEN
	AWS_CREDENTIAL_EXPIRATION AWS_PROFILE AWS_DEFAULT_PROFILE AWS_CONTAINER_CREDENTIALS_RELATIVE_URI AWS_ROLE_ARN
	AWS_ROLE_SESSION_NAME AWS_WEB_IDENTITY_TOKEN_FILE AWS_ACCOUNT_ID AWS_ACCESS_KEY AWS_SECRET_KEY AMAZON_ACCESS_KEY_ID
	AMAZON_SECRET_ACCESS_KEY AMAZON_SESSION_TOKEN AWS_BEARER_TOKEN_* BRS_EXEC_* BOTO_CONFIG AWS_CREDENTIAL_FILE
	AWS_CONTAINER_CREDENTIALS_FULL_URI AWS_CONTAINER_AUTHORIZATION_TOKEN AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE
	AWS_REGION AWS_DEFAULT_REGION AWS_EC2_METADATA_DISABLED NO_PROXY no_proxy BRS_ROLE_ARN AWS_SHARED_CREDENTIALS_FILE
	AWS_CREDENTIAL_PROFILES_FILE AWS_CONFIG_FILE CPL_AWS_CREDENTIALS_FILE MINIO_SHARED_CREDENTIALS_FILE MINIO_ROOT_USER
	MINIO_ROOT_PASSWORD MINIO_ACCESS_KEY MINIO_SECRET_KEY EC2_ACCESS_KEY EC2_SECRET_KEY EC2_SECURITY_TOKEN
	AWSACCESSKEYID AWSSECRETACCESSKEY AWSSESSIONTOKEN`)

func TestBuild(t *testing.T) {
	tests := []struct {
		name     string
		parent   []string
		endpoint func(*Endpoint)
		files    *Files
		want     string // space-separated; a name with ! must be absent
	}{
		{name: "prefixes", parent: env("AWS_BEARER_TOKEN_BEDROCK=x BRS_EXEC_ROLE_ARN=y AWS_BEARER=z"),
			want: "!AWS_BEARER_TOKEN_BEDROCK !BRS_EXEC_ROLE_ARN AWS_BEARER=z"},
		{name: "empty is removed, not blanked", parent: env("AWS_PROFILE= AWS_CONTAINER_CREDENTIALS_RELATIVE_URI="),
			want: "!AWS_PROFILE !AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"},
		{name: "twice", parent: env("AWS_ACCESS_KEY_ID=a X=1 AWS_ACCESS_KEY_ID=b"), want: "!AWS_ACCESS_KEY_ID X=1"},

		{name: "token in env", endpoint: func(e *Endpoint) { e.TokenIn = TokenInEnv },
			want: "AWS_CONTAINER_AUTHORIZATION_TOKEN=endpoint-token !AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"},
		{name: "token in file", endpoint: func(e *Endpoint) { e.TokenIn = TokenInFile },
			want: "!AWS_CONTAINER_AUTHORIZATION_TOKEN AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=/p/token"},
		{name: "an inherited token file goes", parent: env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=/eks"),
			endpoint: func(e *Endpoint) { e.TokenIn = TokenInEnv }, want: "!AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"},
		{name: "no writable place", files: &Files{}, endpoint: func(e *Endpoint) { e.TokenIn = TokenInFile },
			want: "AWS_CONTAINER_AUTHORIZATION_TOKEN=endpoint-token !AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE AWS_CONFIG_FILE=" + os.DevNull +
				" AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull + " AWS_CREDENTIAL_PROFILES_FILE=" + os.DevNull + " BOTO_CONFIG=" + os.DevNull},

		{name: "no region", want: "!AWS_REGION !AWS_DEFAULT_REGION"},
		{name: "blank region", parent: env("AWS_REGION= AWS_DEFAULT_REGION="), want: "!AWS_REGION !AWS_DEFAULT_REGION"},
		{name: "region from the profile", endpoint: func(e *Endpoint) { e.Region = "p" }, want: "AWS_REGION=p AWS_DEFAULT_REGION=p"},
		{name: "AWS_REGION only", parent: env("AWS_REGION=a AWS_DEFAULT_REGION="), endpoint: func(e *Endpoint) { e.Region = "p" },
			want: "AWS_REGION=a AWS_DEFAULT_REGION=a"},
		{name: "AWS_DEFAULT_REGION only", parent: env("AWS_DEFAULT_REGION=b"), endpoint: func(e *Endpoint) { e.Region = "p" },
			want: "AWS_REGION=b AWS_DEFAULT_REGION=b"},
		{name: "two that differ", parent: env("AWS_REGION=a AWS_DEFAULT_REGION=b"), endpoint: func(e *Endpoint) { e.Region = "p" },
			want: "AWS_REGION=a AWS_DEFAULT_REGION=b"},
		{name: "explicit region", parent: env("AWS_REGION=a AWS_DEFAULT_REGION=b"),
			endpoint: func(e *Endpoint) { e.Region, e.RegionExplicit = "x", true }, want: "AWS_REGION=x AWS_DEFAULT_REGION=x"},

		{name: "IMDS allowed, inherited", parent: env("AWS_EC2_METADATA_DISABLED=false"), endpoint: func(e *Endpoint) { e.AllowIMDS = true },
			want: "AWS_EC2_METADATA_DISABLED=false"},
		{name: "IMDS allowed", endpoint: func(e *Endpoint) { e.AllowIMDS = true }, want: "!AWS_EC2_METADATA_DISABLED"},
		{name: "IMDS", parent: env("AWS_EC2_METADATA_DISABLED=false"), want: "AWS_EC2_METADATA_DISABLED=true"},

		{name: "no proxy set", parent: env("no_proxy=x HTTPS_PROXY="), want: "no_proxy=x !NO_PROXY"},
		{name: "proxy", parent: env("https_proxy=p"), want: "NO_PROXY=127.0.0.1 no_proxy=127.0.0.1"},
		{name: "missing spelling", parent: env("ALL_PROXY=p no_proxy=a,b NO_PROXY="), want: "NO_PROXY=a,b,127.0.0.1 no_proxy=a,b,127.0.0.1"},
		{name: "two lists", parent: env("FTP_PROXY=p no_proxy=a, NO_PROXY=127.0.0.1,c"), want: "NO_PROXY=127.0.0.1,c no_proxy=a,127.0.0.1"},
		{name: "star", parent: env("HTTP_PROXY=p NO_PROXY=*"), want: "NO_PROXY=* no_proxy=*"},

		{name: "no isolation", parent: env("AWS_CONFIG_FILE=/c AWS_PROFILE=p AWS_CREDENTIAL_PROFILES_FILE=/j CPL_AWS_CREDENTIALS_FILE=/g"),
			endpoint: func(e *Endpoint) { e.NoIsolation = true },
			want:     "AWS_CONFIG_FILE=/c AWS_CREDENTIAL_PROFILES_FILE=/j CPL_AWS_CREDENTIALS_FILE=/g !AWS_SHARED_CREDENTIALS_FILE !AWS_PROFILE"},
		{name: "role for prompts", parent: env("BRS_ROLE_ARN=old"), endpoint: func(e *Endpoint) { e.RoleARN = "arn:new" }, want: "BRS_ROLE_ARN=arn:new"},
		{name: "no role for prompts", parent: env("BRS_ROLE_ARN=old"), want: "!BRS_ROLE_ARN"},
		{name: "sandbox", parent: env("AWS_ENDPOINT_URL_STS=x AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true"),
			endpoint: func(e *Endpoint) { e.STSURL = "http://sts" },
			want:     "AWS_ENDPOINT_URL_STS=http://sts !AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e, f := testEndpoint, testFiles
			if tt.endpoint != nil {
				tt.endpoint(&e)
			}
			if tt.files != nil {
				f = *tt.files
			}
			got := Build(tt.parent, e, f)
			for _, w := range env(tt.want) {
				if runtime.GOOS == "windows" && strings.Contains(strings.ToLower(w), "no_proxy=") {
					continue // both spellings are one variable
				}
				if name, absent := strings.CutPrefix(w, "!"); absent {
					if i := slices.IndexFunc(got, func(s string) bool { return strings.HasPrefix(s, name+"=") }); i >= 0 {
						t.Errorf("got %q; want no %s", got[i], name)
					}
				} else if n := count(got, w); n != 1 {
					t.Errorf("got %d times %q in %q; want it once", n, w, got)
				}
			}
		})
	}
}

func TestBuildKeepsWhatIsNotOurs(t *testing.T) {
	parent := []string{"B=2", "A=1", "noequals", "", "=odd", "A=again", "AWS_PROFILE=x", "Z="}
	before := slices.Clone(parent)
	got := Build(parent, testEndpoint, testFiles)
	want := []string{"B=2", "A=1", "noequals", "", "=odd", "A=again", "Z="}
	if !slices.Equal(got[:len(want)], want) {
		t.Errorf("got %q; want %q first", got, want)
	}
	if !slices.Equal(parent, before) {
		t.Errorf("the parent's list changed: got %q; want %q", parent, before)
	}
	if again := Build(got, testEndpoint, testFiles); !slices.Equal(again, got) {
		t.Errorf("nested: got %q; want %q", again, got)
	}
}

func TestBuildOnWindows(t *testing.T) {
	parent := []string{`=C:=C:\dir`, "Path=x", "Aws_Profile=p", "aws_bearer_token_bedrock=b", "Http_Proxy=p", "No_Proxy=a", "aws_region=r"}
	got := build(environ{parent, true}, testEndpoint, testFiles)
	names := map[string]bool{}
	for _, entry := range got {
		name, _, _ := environ{ignoreCase: true}.split(entry)
		if names[name] {
			t.Errorf("%s twice in %q", name, got)
		}
		names[name] = true
	}
	for _, w := range []string{`=C:=C:\dir`, "Path=x", "NO_PROXY=a,127.0.0.1", "aws_region=r", "AWS_DEFAULT_REGION=r"} {
		if !slices.Contains(got, w) {
			t.Errorf("got %q; want %q in it", got, w)
		}
	}
	if names["AWS_PROFILE"] || names["AWS_BEARER_TOKEN_BEDROCK"] {
		t.Errorf("got %q; want no profile and no bearer token", got)
	}
}

func TestWarnings(t *testing.T) {
	tests := []struct {
		name   string
		parent []string
		want   string
	}{
		{"nothing", []string{"JAVA_TOOL_OPTIONS=-Xmx1g -Daws.region=eu", "PATH=/bin"}, ""},
		{"keys", []string{`JAVA_TOOL_OPTIONS=-Xmx1g -Daws.accessKeyId=AKIASECRET "-Daws.secretKey=SECRET"`},
			"JAVA_TOOL_OPTIONS (-Daws.accessKeyId, -Daws.secretKey)"},
		{"two variables, one warning", []string{"_JAVA_OPTIONS=-Daws.profile=SECRET", "JDK_JAVA_OPTIONS=-Daws.roleArn=SECRET"},
			"_JAVA_OPTIONS (-Daws.profile), JDK_JAVA_OPTIONS (-Daws.roleArn)"},
		{"a longer name", []string{"JAVA_TOOL_OPTIONS=-Daws.profileX=1 -Daws.accessKeyIdentifier=2"}, ""},
	}
	for _, tt := range tests {
		got := Warnings(tt.parent)
		all := strings.Join(got, "\n")
		if len(got) > 1 || (tt.want == "") != (len(got) == 0) || !strings.Contains(all, tt.want) || strings.Contains(all, "SECRET") {
			t.Errorf("%s: got %q; want one line with %q and no value", tt.name, got, tt.want)
		}
	}
}

func env(words string) []string { return strings.Fields(words) }

func count(list []string, s string) int {
	n := 0
	for _, l := range list {
		if l == s {
			n++
		}
	}
	return n
}

func lookup(list []string) map[string]string {
	m := map[string]string{}
	for _, entry := range list {
		name, value, _ := strings.Cut(entry, "=")
		m[name] = value
	}
	return m
}
