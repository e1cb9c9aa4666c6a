package source

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func candidatesOf(t *testing.T, o Options) []Candidate {
	t.Helper()
	o.Env, o.Names = os.Environ(), flags
	return Candidates(t.Context(), o)
}

// beginning is the kind of place that s begins with.
func beginning(s *Source) Kind {
	switch p := bottom(s).(type) {
	case variableKeys:
		if s.chain.profile == "" {
			return KeyVariables
		}
	case container:
		if s.chain.profile == "" {
			return ContainerEndpoint
		}
	case *instance:
		if s.chain.profile == "" {
			return InstanceMetadata
		}
	case *webIdentity:
		if s.chain.steps[0] == "AWS_WEB_IDENTITY_TOKEN_FILE" {
			return TokenVariable
		}
	case nil:
		panic(p)
	}
	return ChosenProfile
}

// What Candidates says is chosen is what New has chosen, for every kind of profile, and with every
// further source beside it.
func TestCandidatesTellTheChoice(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("a.b.c"), 0o600); err != nil {
		t.Fatal(err)
	}
	fill := strings.NewReplacer("TOKEN_FILE", "TOKEN_FILE", "TOKEN", token).Replace
	more := []map[string]string{
		nil,
		{"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"},
		{"AWS_WEB_IDENTITY_TOKEN_FILE": "TOKEN", "AWS_ROLE_ARN": testRole},
		{"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1/x"},
	}
	for _, c := range sdkCases {
		for i, extra := range more {
			t.Run(c.name+"/"+[]string{"alone", "keys", "token", "container"}[i], func(t *testing.T) {
				writeConfig(t, fill(c.config), c.creds)
				env := maps.Clone(extra)
				if env == nil {
					env = map[string]string{}
				}
				maps.Copy(env, c.env)
				for k, v := range env {
					t.Setenv(k, fill(v))
				}
				o := Options{Profile: c.profile}
				got := beginning(mustNew(t, o))
				name, want := "", GivenBase
				for _, c := range candidatesOf(t, o) {
					if c.Why == "" || c.State == "" || c.Name == "" {
						t.Errorf("no reason: %+v", c)
					}
					if c.State == Chosen && name != "" {
						t.Errorf("%s and %s are chosen", name, c.Name)
					}
					if c.State == Chosen {
						name, want = c.Name, c.Kind
					}
				}
				if want == ProfileOption {
					want = ChosenProfile
				}
				if got != want {
					t.Errorf("%q is chosen, but the source begins with %v", name, got)
				}
			})
		}
	}
}

func TestCandidates(t *testing.T) {
	const keys = "[default]\naws_access_key_id=x\naws_secret_access_key=hush\n[p]\naws_access_key_id=x\naws_secret_access_key=hush\n"
	for _, c := range []struct {
		name   string
		o      Options
		env    map[string]string
		config string
		creds  string
		want   []string // of the page, in order
	}{
		{name: "nothing", want: []string{
			"AWS_ACCESS_KEY_ID absent: not set", "profile default absent: there is no such profile", "container endpoint absent: no AWS_CONTAINER", "instance metadata absent: switched off by AWS_EC2_METADATA_DISABLED"}},
		{name: "half a pair", env: map[string]string{"AWS_ACCESS_KEY_ID": "a"}, creds: keys, want: []string{
			"AWS_ACCESS_KEY_ID broken: set, but AWS_SECRET_ACCESS_KEY is not", "profile default outranked: the search has ended with an error"}},
		{name: "the other half", env: map[string]string{"AWS_SECRET_ACCESS_KEY": "hush"}, want: []string{"AWS_ACCESS_KEY_ID absent: not set, though AWS_SECRET_ACCESS_KEY is"}},
		{name: "keys before AWS_PROFILE", env: map[string]string{"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "hush", "AWS_SESSION_TOKEN": "hush", "AWS_PROFILE": "p", "AWS_DEFAULT_PROFILE": "q"}, creds: keys + "[q]\n", want: []string{
			"AWS_ACCESS_KEY_ID chosen: set, with AWS_SESSION_TOKEN", "profile q (AWS_DEFAULT_PROFILE) absent: has no credentials"}},
		{name: "a profile by flag", o: Options{Profile: "p"}, env: map[string]string{"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "hush"}, creds: keys, want: []string{
			"--profile p chosen: has aws_access_key_id", "AWS_ACCESS_KEY_ID outranked: outranked by --profile p"}},
		{name: "a profile without credentials by flag", o: Options{Profile: "p"}, env: map[string]string{"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "hush", "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1/hush"}, config: "[profile p]\nregion=x\n", want: []string{
			"--profile p broken: no AWS credentials in profile p of", "AWS_ACCESS_KEY_ID outranked: the search has ended with an error", "container endpoint outranked: the search"}},
		{name: "no such profile", env: map[string]string{"AWS_PROFILE": "nope", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "hush"}, creds: keys, want: []string{
			"AWS_ACCESS_KEY_ID outranked: the search has ended with an error", "profile nope (AWS_PROFILE) broken: no profile nope in"}},
		{name: "no such profile by flag", o: Options{Profile: "nope"}, creds: keys, want: []string{"--profile nope broken: no profile nope in"}},
		{name: "half a default", creds: "[default]\naws_access_key_id=x\n", want: []string{"profile default broken: profile default: aws_access_key_id and aws_secret_access_key belong together"}},
		{name: "a role nobody buys", env: map[string]string{"AWS_ROLE_ARN": testRole, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "hush"}, want: []string{
			"AWS_ROLE_ARN broken: set, but neither", "AWS_ACCESS_KEY_ID outranked: the search has ended"}},
		{name: "what aws leaves out", env: map[string]string{"AWS_ROLE_ARN": testRole}, want: []string{"AWS_ROLE_ARN broken: set, but neither", "; aws leaves it out"}},
		{name: "where aws goes on", o: Options{Profile: "p"}, config: "[profile p]\nregion=x\n", want: []string{"--profile p broken: no AWS credentials in profile p of", "; aws goes on to the container endpoint"}},
		{name: "an empty name", env: map[string]string{"AWS_PROFILE": ""}, creds: keys, want: []string{"profile default chosen: has aws_access_key_id; AWS_PROFILE is empty: aws"}},
		{name: "a file that can't be read", creds: "\ufeff[default]\n", want: []string{"profile default broken: "}},
		{name: "an empty secret", env: map[string]string{"AWS_PROFILE": "e"}, creds: "[e]\naws_access_key_id=x\naws_secret_access_key=\n", want: []string{"profile e (AWS_PROFILE) broken: ", "; aws signs with the empty secret"}},
		{name: "a line for a shell", o: Options{Profile: "s"}, config: "[profile s]\ncredential_process=echo $HOME\n", want: []string{"--profile s chosen: has credential_process; it runs by a shell, which aws does without"}},
		{name: "boto 2's file", env: map[string]string{"AWS_CREDENTIAL_FILE": "/x"}, creds: keys, want: []string{"profile default chosen: has aws_access_key_id\n", "AWS_CREDENTIAL_FILE absent: boto 2's, which is not read; aws reads it"}},
		{name: "a flag", o: Options{CredentialCommand: "echo hush"}, env: map[string]string{"AWS_ROLE_ARN": testRole}, creds: keys, want: []string{
			"--web-identity* absent: not given", "--credential-command chosen: given", "profile default outranked: outranked by --credential-command"}},
		{name: "a chain", env: map[string]string{"AWS_PROFILE": "r"}, config: "[profile r]\nrole_arn=" + testRole + "\nsource_profile=q\n[profile q]\nrole_arn=" + testRole + "\nsource_profile=s\n[profile s]\ncredential_process=echo hush\n", want: []string{
			"profile r (AWS_PROFILE) chosen: has source_profile q, and a role_arn on top; profile q has source_profile s, and a role_arn on top; profile s has credential_process"}},
		{name: "sso", o: Options{Profile: "s"}, config: "[profile s]\nsso_session=c\nsso_account_id=123456789012\nsso_role_name=Dev\n[sso-session c]\nsso_region=us-east-1\nsso_start_url=https://x.awsapps.com/start\n", want: []string{
			"--profile s chosen: has sso_session c"}},
		{name: "two kinds in one profile", o: Options{Profile: "s"}, config: "[profile s]\ncredential_process=echo hush\nsso_session=c\nsso_account_id=123456789012\nsso_role_name=Dev\n[sso-session c]\nsso_region=us-east-1\nsso_start_url=https://x.awsapps.com/start\n", creds: "[s]\naws_access_key_id=x\naws_secret_access_key=hush\n", want: []string{
			"--profile s chosen: has sso_session c, which outranks its aws_access_key_id, which outranks its credential_process"}},
		{name: "the sandbox", o: Options{Base: testKeys, BaseName: "sandbox"}, env: map[string]string{"AWS_PROFILE": "nope"}, want: []string{"sandbox chosen: "}},
		{name: "a bad variable", env: map[string]string{"AWS_USE_FIPS_ENDPOINT": "perhaps"}, want: []string{"environment broken: "}},
	} {
		t.Run(c.name, func(t *testing.T) {
			writeConfig(t, c.config, c.creds)
			for k, v := range c.env {
				t.Setenv(k, v)
			}
			var page string
			for _, c := range candidatesOf(t, c.o) {
				page += c.Name + " " + string(c.State) + ": " + c.Why + "\n"
			}
			if strings.Contains(page, "hush") {
				t.Errorf("a secret is told:\n%s", page)
			}
			rest := page
			for _, want := range c.want {
				if !strings.HasPrefix(want, ";") { // which is in the middle of a line
					rest, want = "\n"+rest, "\n"+want
				}
				_, after, ok := strings.Cut(rest, want)
				if !ok {
					t.Fatalf("want %q, in its place, in\n%s", want, page)
				}
				rest = after
			}
		})
	}
}

// Every step is told once, with its own time and error, and those that did not come are known by
// name.
func TestTrace(t *testing.T) {
	useTestKeys(t)
	newStub(t)
	var steps []string
	s := mustNew(t, Options{RoleARNs: []string{testRole, testRole + "2"}, Trace: func(s Step) {
		steps = append(steps, s.What)
		if s.Err != nil || s.Took < 0 {
			t.Errorf("%+v", s)
		}
	}})
	mustRetrieve(t, s)
	var announced []string
	for _, step := range s.Steps() {
		announced = append(announced, step.What)
	}
	if !slices.Equal(steps, announced) || len(announced) != 3 {
		t.Errorf("steps %q; announced %q", steps, announced)
	}
	steps = nil
	s = mustNew(t, Options{Trace: func(s Step) { steps = append(steps, s.What) }})
	mustRetrieve(t, s)
	if want := []string{"base credentials: environment variables", "get session token"}; !slices.Equal(steps, want) {
		t.Errorf("steps %q; want %q", steps, want)
	}
}
