package conformance

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"brs-exec/need"
)

// plugins is where terraform's AWS provider is: like terraform itself no registry that is reached here has it, but
// the machine's image does.
var plugins = cmp.Or(os.Getenv("BRS_TERRAFORM_PLUGINS"), "/opt/tf-plugins")

// Four roles stand on hub, the chosen profile, one of them two steps up. The last two lead elsewhere.
const profiles = `[profile hub]
role_arn = arn:aws:iam::000000000000:role/hub
source_profile = keys
[profile network]
role_arn = arn:aws:iam::111111111111:role/network
source_profile = hub
[profile dns]
role_arn = arn:aws:iam::222222222222:role/dns
source_profile = hub
[profile data]
role_arn = arn:aws:iam::333333333333:role/data
source_profile = network
[profile state]
role_arn = arn:aws:iam::444444444444:role/state
source_profile = hub
[profile elsewhere]
role_arn = arn:aws:iam::000000000000:role/leak
source_profile = other
`

// newProfilesWorld is a machine with those profiles, of which `[other]` has keys that are good.
func newProfilesWorld(t *testing.T) *world {
	w := newWorld(t, 15*time.Minute, nil)
	w.write("home/.aws/config", profiles)
	w.write("home/.aws/credentials", "[keys]\n"+keys(w.sts.BaseCredentials())+"[other]\n"+keys(w.leak("other")))
	w.set("PYTHONDONTWRITEBYTECODE=1")
	w.seen()
	return w
}

// underHub runs a command under brs-exec as the profile hub.
func (w *world) underHub(argv ...string) outcome {
	w.t.Helper()
	return w.run(within(3*limit), append([]string{brsExec, "--profile", "hub", "--"}, argv...))
}

// lib is the folder of a client's Python packages.
func lib(t *testing.T, name string) string {
	t.Helper()
	c := clients[slices.IndexFunc(clients, func(c *client) bool { return c.name == name })]
	dir, err := c.prepare()
	if err != nil {
		skip(t, err)
	}
	return filepath.Join(dir, "lib")
}

func needPlugins(t *testing.T) {
	t.Helper()
	need.Asked(t, full, "CONFORMANCE=full")
	if err := terraform(""); err != nil {
		skip(t, err)
	}
	if _, err := os.Stat(filepath.Join(plugins, "registry.terraform.io", "hashicorp", "aws")); err != nil {
		skip(t, errors.New("terraform's AWS provider is missing ($BRS_TERRAFORM_PLUGINS, as terraform init -plugin-dir has it)"))
	}
}

// DESIGN §5, "Other profiles": under one brs-exec that was given the profile hub, terraform with three aliases of the
// AWS provider and the S3 backend, the aws cli and boto3 each name a profile that stands on hub, and each is that role;
// without a profile they are hub. Who called is the word of STS and S3.
func TestOtherProfiles(t *testing.T) {
	needPlugins(t)
	cli, boto3 := lib(t, "aws-cli-v1"), lib(t, "boto3")
	w := newProfilesWorld(t)
	script, err := filepath.Abs(filepath.Join("clients", "profiles", "who.sh"))
	if err != nil {
		t.Fatal(err)
	}
	o := w.underHub("sh", script, w.mkdir("terraform"), plugins, python, cli, boto3)
	w.wantProfiles(o)
}

// DESIGN §5, "Many identities": the same, but each profile is a role of Identity Center that has nothing to do with hub, and all
// lives are shorter than terraform takes.
func TestFurtherProfiles(t *testing.T) {
	needPlugins(t)
	cli, boto3 := lib(t, "aws-cli-v1"), lib(t, "boto3")
	w := newWorld(t, 12*time.Second, nil)
	portal := w.serve(http.HandlerFunc(w.serveSSO))
	w.set("AWS_ENDPOINT_URL_SSO="+portal, "PYTHONDONTWRITEBYTECODE=1")
	var config strings.Builder
	config.WriteString("[profile hub]\nrole_arn = arn:aws:iam::000000000000:role/hub\nsource_profile = keys\n" +
		"[sso-session corp]\nsso_region = us-east-1\nsso_start_url = https://corp.example/start\n")
	flags := []string{"--profile", "hub"}
	for i, name := range []string{"network", "dns", "data", "state"} {
		fmt.Fprintf(&config, "[profile %s]\nsso_session = corp\nsso_account_id = %012d\nsso_role_name = %[1]s\n", name, 111111111111*(i+1))
		flags = append(flags, "--with-profile", name)
	}
	w.write("home/.aws/config", config.String())
	w.write("home/.aws/credentials", "[keys]\n"+keys(w.sts.BaseCredentials()))
	w.loginSSO("corp", nil)
	w.seen()
	script, err := filepath.Abs(filepath.Join("clients", "profiles", "who.sh"))
	if err != nil {
		t.Fatal(err)
	}
	o := w.run(within(3*limit), slices.Concat([]string{brsExec}, flags,
		[]string{"--", "sh", script, w.mkdir("terraform"), plugins, python, cli, boto3}))
	w.wantProfiles(o)
}

// serveSSO is GetRoleCredentials of Identity Center, for any role in any account.
func (w *world) serveSSO(rw http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	rw.Write([]byte(ssoJSON(w.assume("arn:aws:iam::"+q.Get("account_id")+":role/"+q.Get("role_name"), "sso"))))
}

// wantProfiles checks who each program of who.sh was, by its own word and by that of the services.
func (w *world) wantProfiles(o outcome) {
	t := w.t
	t.Helper()
	if want := "terraform network dns data\naws dns hub\nboto3 data network hub\n"; o.status != 0 || roles(o.stdout) != want {
		t.Errorf("status %d, %q; want %q; stderr %s", o.status, roles(o.stdout), want, tail(o.stderr, 3000))
	}
	seen := make(map[string][]string)
	calls, asked := w.seen()
	for _, c := range calls {
		if role := strings.TrimSpace(roles(c.arn)); c.code != "" {
			t.Errorf("%s: a call of %q ended in %q", c.service, c.arn, c.code)
		} else if !slices.Contains(seen[c.service], role) {
			seen[c.service] = append(seen[c.service], role)
		}
	}
	slices.Sort(seen["sts"])
	if !slices.Equal(seen["s3"], []string{"state"}) || !slices.Equal(seen["sts"], []string{"data", "dns", "hub", "network", "state"}) {
		t.Errorf("the services saw %q", seen)
	}
	if len(asked) > 0 {
		t.Errorf("also asked for %q", asked)
	}
}

// roles puts the role in the place of each session's ARN.
func roles(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		for i, word := range words {
			if _, rest, ok := strings.Cut(word, ":assumed-role/"); ok {
				words[i], _, _ = strings.Cut(rest, "/")
			}
		}
		b.WriteString(strings.Join(words, " ") + "\n")
	}
	return b.String()
}

// A profile that leads elsewhere is not there: each program says so, by its name, and calls nobody.
func TestProfileThatLeadsElsewhere(t *testing.T) {
	needPlugins(t)
	cli, boto3 := lib(t, "aws-cli-v1"), lib(t, "boto3")
	w := newProfilesWorld(t)
	dir := w.mkdir("terraform")
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("clients", "profiles"))); err != nil {
		t.Fatal(err)
	}
	const whoami = `sts get-caller-identity --query Arn --output text`
	for _, tt := range []struct{ name, script, by string }{
		{"aws cli", `PYTHONPATH=` + cli + ` ` + python + ` -m awscli --profile elsewhere ` + whoami, ""},
		{"boto3", `PYTHONPATH=` + boto3 + ` ` + python + ` -c 'import boto3; boto3.Session(profile_name="elsewhere")'`, ""},
		{"S3 backend", `cd ` + dir + `; terraform init -input=false -no-color -plugin-dir=` + plugins + ` -backend-config=profile=elsewhere`, ""},
		{"AWS provider", `cd ` + dir + `; terraform init -input=false -no-color -plugin-dir=` + plugins +
			` >/dev/null && terraform plan -input=false -no-color -var data=elsewhere`, "network dns state"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := w.underHub("sh", "-c", tt.script)
			if o.status == 0 || o.status == 125 || !strings.Contains(o.stderr, "elsewhere") {
				t.Errorf("status %d, stderr %s; want a failure that names the profile", o.status, tail(o.stderr, 2000))
			}
			t.Logf("%s", tail(o.stderr, 1000))
			calls, asked := w.seen()
			for _, c := range calls {
				if !slices.Contains(strings.Fields(tt.by), strings.TrimSpace(roles(c.arn))) {
					t.Errorf("%s was called by %q", c.service, c.arn)
				}
			}
			if len(asked) > 0 {
				t.Errorf("also asked for %q", asked)
			}
		})
	}
}
