package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

var baseCases = flag.Int("base-cases", 60, "how many environments TestBaseIsAws tries")

// baseSeed is that of the first of them: BASE_SEED, which .ci/long sets anew each time and prints.
func baseSeed(t *testing.T) uint64 {
	text, set := os.LookupEnv("BASE_SEED")
	if !set {
		return 1
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return seed
}

// baseCase is one environment. {HOME} in its texts is its home directory.
type baseCase struct {
	env     map[string]string
	profile string            // --profile; "" is none
	files   map[string]string // below HOME; a name that ends in / is a directory
}

// TestBaseIsAws compares, over generated environments and files, who brs-exec would be with who botocore is, by the word
// of an AWS that remembers whose keys it gave to whom. What differs on purpose is in docs/SOURCES.md.
func TestBaseIsAws(t *testing.T) {
	needPython(t)
	t.Parallel()
	r := newRegistry(t)
	aws := startBotocore(t)
	cases, seed := uint64(*baseCases), baseSeed(t)
	if os.Getenv("CI") == "true" {
		cases = max(cases, 2000)
	}
	t.Logf("seeds %d to %d", seed, seed+cases-1)
	for i := range cases {
		c := generateBase(r, seed+i)
		c.lay(t, r)
		want, wantWhy := aws.whose(t, r, c)
		got, gotWhy := brsWhose(t, c)
		if !slices.Equal(strings.Fields(got), strings.Fields(want)) && !c.differsOnPurpose(want, got) {
			t.Errorf("BASE_SEED=%d go test ./e2e -run TestBaseIsAws -base-cases 1\naws:      %s  %s\nbrs-exec: %s  %s\n%s", seed+i, want, wantWhy, got, gotWhy, c)
		}
	}
}

// nobody stands for every way to have no identity: none found, refused, an error.
const nobody = "nobody"

// brsWhose is the Arn of --explain.
func brsWhose(t *testing.T, c baseCase) (who, why string) {
	t.Helper()
	args := []string{"--explain", "--output", "json", "--start-timeout", "5s"}
	if c.profile != "" {
		args = append(args, "--profile", c.profile)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, tools.brsExec, args...)
	cmd.Env = environ(c.env)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	ended := cmd.Run() // its status is Works
	var x struct {
		Works              bool
		Error, Arn, Source string
	}
	if err := json.Unmarshal(out.Bytes(), &x); err != nil {
		return nobody, fmt.Sprint("no page: ", ended, ctx.Err(), " ", errs.String())
	}
	if !x.Works {
		return nobody, x.Error
	}
	return x.Arn, x.Source
}

func environ(env map[string]string) (list []string) {
	for _, name := range slices.Sorted(maps.Keys(env)) {
		list = append(list, name+"="+env[name])
	}
	return list
}

// botocore is testdata/botocore_base.py, at work.
type botocore struct {
	in  *json.Encoder
	out *bufio.Scanner
}

func startBotocore(t *testing.T) *botocore {
	t.Helper()
	cmd := exec.Command(tools.python, script("botocore_base.py"))
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "AWS_EC2_METADATA_DISABLED=true"}
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); cmd.Wait() })
	return &botocore{json.NewEncoder(in), bufio.NewScanner(out)}
}

func (b *botocore) whose(t *testing.T, r *registry, c baseCase) (who, why string) {
	t.Helper()
	question := struct {
		Env     map[string]string `json:"env"`
		Profile *string           `json:"profile"`
	}{Env: c.env}
	if c.profile != "" {
		question.Profile = &c.profile
	}
	if err := b.in.Encode(question); err != nil {
		t.Fatal(err)
	}
	if !b.out.Scan() {
		t.Fatal("botocore_base.py has ended")
	}
	var a struct{ Key, Secret, Token, Error, Text string }
	if err := json.Unmarshal(b.out.Bytes(), &a); err != nil {
		t.Fatal(err)
	}
	if a.Key == "" {
		return nobody, strings.TrimSpace(a.Error + " " + a.Text)
	}
	if who, ok := r.owner(a.Key, a.Secret, a.Token); ok {
		return who, ""
	}
	return nobody, "AWS refuses " + a.Key
}

// lay makes the case's home and puts its path into the texts.
func (c *baseCase) lay(t *testing.T, r *registry) {
	t.Helper()
	home, err := os.MkdirTemp(t.TempDir(), "home")
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range c.env {
		c.env[name] = strings.ReplaceAll(value, "{HOME}", home)
	}
	c.env["HOME"], c.env["PATH"], c.env["AWS_EC2_METADATA_DISABLED"] = home, os.Getenv("PATH"), "true"
	c.env["AWS_REGION"], c.env["AWS_DEFAULT_REGION"] = "us-east-1", "us-east-1"
	c.env["AWS_ENDPOINT_URL_STS"], c.env["AWS_ENDPOINT_URL_SSO"] = r.URL, r.URL
	for name, text := range c.files {
		path := filepath.Join(home, name)
		if strings.HasSuffix(name, "/") {
			if err := os.MkdirAll(path, 0o755); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		text = strings.ReplaceAll(text, "{HOME}", home)
		c.files[name] = text
		if err := os.WriteFile(path, []byte(text), 0o700); err != nil { // a command may be among them
			t.Fatal(err)
		}
	}
}

func (c baseCase) String() string {
	var b strings.Builder
	for _, entry := range environ(c.env) {
		fmt.Fprintf(&b, "  %q\n", entry)
	}
	if c.profile != "" {
		fmt.Fprintf(&b, "  --profile %q\n", c.profile)
	}
	for _, name := range slices.Sorted(maps.Keys(c.files)) {
		if !strings.Contains(name, "cache") && !strings.HasSuffix(name, ".json") {
			fmt.Fprintf(&b, "  -- %s\n%s", name, indent(c.files[name]))
		}
	}
	return b.String()
}

func indent(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString("     " + strconv.Quote(line) + "\n")
	}
	return b.String()
}

// generator draws one environment. rare draws are those that make most of the others pointless.
type generator struct {
	*rand.Rand
	r *registry
	c baseCase
}

func generateBase(r *registry, seed uint64) baseCase {
	g := &generator{rand.New(rand.NewPCG(seed, 0)), r, baseCase{env: map[string]string{}, files: map[string]string{}}}
	g.fixtures()
	g.variables()
	g.sharedFiles()
	return g.c
}

func (g *generator) one(of int) bool               { return g.IntN(of) == 0 }
func (g *generator) pick(choices ...string) string { return choices[g.IntN(len(choices))] }

// fixtures are there in every case: what credential_process prints, tokens, an SSO login.
func (g *generator) fixtures() {
	end := time.Now().Add(time.Hour).UTC()
	process, _ := json.Marshal(map[string]any{"Version": 1, "AccessKeyId": g.r.session("process"), "SecretAccessKey": "secret",
		"SessionToken": token(g.r.session("process")), "Expiration": end.Format(g.pick(time.RFC3339, "2006-01-02T15:04:05-0700", "20060102T150405Z"))})
	g.c.files["process.json"], g.c.files["my dir/process.json"] = string(process), string(process)
	g.c.files["jwt"] = "jwt-of-the-file"
	login, _ := json.Marshal(map[string]any{"accessToken": "sso-login", "startUrl": ssoStart, "region": "us-east-1",
		"expiresAt": end.Format(g.pick("2006-01-02T15:04:05Z", "2006-01-02T15:04:05UTC"))})
	for _, name := range []string{ssoStart, "corp"} {
		g.c.files[".aws/sso/cache/"+sha1Hex(name)+".json"] = string(login)
	}
}

func (g *generator) variables() {
	env := g.c.env
	if g.one(3) {
		id := g.pick(g.r.longTerm("variables"), g.r.session("variables"), "")
		env["AWS_ACCESS_KEY_ID"] = id
		if !g.one(5) {
			env["AWS_SECRET_ACCESS_KEY"] = g.pick("secret", "secret", "secret", "")
		}
		if t := token(id); t != "" {
			env[g.pick("AWS_SESSION_TOKEN", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN")] = t
			if g.one(4) {
				env["AWS_SESSION_TOKEN"] = g.pick("", t)
			}
		}
	} else if g.one(8) {
		env["AWS_SECRET_ACCESS_KEY"] = "secret"
	}
	if g.one(8) {
		env["AWS_ACCESS_KEY"], env["AWS_SECRET_KEY"] = g.r.longTerm("another tool's variables"), "secret"
	}
	if g.one(3) {
		env["AWS_PROFILE"] = g.profileName()
	}
	if g.one(5) {
		env["AWS_DEFAULT_PROFILE"] = g.profileName()
	}
	if g.one(6) {
		env["AWS_WEB_IDENTITY_TOKEN_FILE"] = g.pick("{HOME}/jwt", "{HOME}/jwt", "")
	}
	if g.one(6) {
		env["AWS_ROLE_ARN"] = g.pick(roleArn("variable"), roleArn("variable"), "")
	}
	if g.one(4) {
		env["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = g.pick(g.r.URL+"/container", g.r.URL+"/container", "")
	}
	if g.one(3) {
		g.c.profile = g.pick("default", "dev", "my etl", "hub", "o'brien", `CORP\me`, "nowhere")
	}
}

func (g *generator) profileName() string {
	return g.pick("default", "dev", "my etl", "hub", "o'brien", `CORP\me`, "nowhere", "")
}

const ssoStart = "https://x.awsapps.com/start"

func roleArn(name string) string {
	return "arn:aws:iam::000000000000:role/" + strings.NewReplacer(" ", "-", "'", "-", `\`, "-").Replace(name)
}

// sharedFiles writes the two files and says where they are.
func (g *generator) sharedFiles() {
	for _, f := range []struct{ variable, usual string }{{"AWS_CONFIG_FILE", ".aws/config"}, {"AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials"}} {
		config := f.variable == "AWS_CONFIG_FILE"
		where := f.usual
		if g.one(4) {
			where = g.pick("conf/file", "conf/file", "other dir/file", "conf/a${U}", "conf/a${b", "conf/a$U-") + strconv.Itoa(len(g.c.files))
			g.c.env[f.variable] = g.pick("{HOME}/", "~/", "$HOME/", "${HOME}/") + where
		}
		switch {
		case g.one(10): // there is none
			if g.one(3) {
				g.c.files[where+"/"] = ""
			}
			continue
		case g.one(20):
			g.c.env[f.variable] = g.pick("", "{HOME}/none")
		}
		g.c.files[where] = g.file(config)
	}
}

func (g *generator) file(config bool) string {
	var b strings.Builder
	switch {
	case g.one(40):
		b.WriteString("\ufeff")
	case g.one(10):
		b.WriteString(g.pick("# a comment\n", "; another\n", "\n", "region = stray\n"))
	}
	for _, name := range []string{"default", "dev", "my etl", "hub", "spare", "o'brien", `CORP\me`} {
		if g.one(4) {
			continue
		}
		header := g.header(name, config)
		b.WriteString(header)
		b.WriteString(g.settings(name, config))
		if g.one(40) {
			b.WriteString(header + "region = eu-west-1\n")
		}
	}
	if config {
		b.WriteString("[sso-session corp]\nsso_start_url = " + ssoStart + "\nsso_region = us-east-1\n" + g.pick("", "sso_registration_scopes = sso:account:access\n"))
	}
	if g.one(30) {
		b.WriteString(g.pick("[DEFAULT]\naws_access_key_id = "+g.r.longTerm("DEFAULT section")+"\naws_secret_access_key = secret\n", "[half\n", "no delimiter\n", "[services x]\ns3 =\n  endpoint_url = http://127.0.0.1:1\n", "[plugins]\ncli_legacy_plugin_path = /x\n"))
	}
	text := b.String()
	if g.one(12) {
		text = strings.ReplaceAll(text, "\n", "\r\n")
	}
	if g.one(12) {
		text = strings.TrimSuffix(text, "\n")
	}
	return text
}

func (g *generator) header(name string, config bool) string {
	quoted := name
	switch {
	case name == "o'brien":
		quoted = g.pick(`"o'brien"`, `"o'brien"`, `o\'brien`, `o"'"brien`, name)
	case name == `CORP\me`:
		quoted = g.pick(`"CORP\me"`, `'CORP\me'`, `CORP\\me`, name)
	case strings.Contains(name, " "):
		quoted = g.pick("'"+name+"'", `"`+name+`"`, name)
	case g.one(12):
		quoted = g.pick("'"+name+"'", `"`+name+`"`)
	}
	switch {
	case config && name == "default":
		name = g.pick("default", "default", "default", "profile default", "profile 'default'")
	case config:
		name = g.pick("profile ", "profile ", "profile ", "profile  ", "profile\t", "") + quoted
	case g.one(20):
		name = g.pick("profile "+name, quoted)
	}
	if g.one(15) {
		return g.pick(" ["+name+"]\n", "["+name+"] # comment\n", "[ "+name+" ]\n", "["+name+"];\n")
	}
	return "[" + name + "]\n"
}

// settings are a profile's lines: no, one or several kinds of credentials, and harmless ones.
func (g *generator) settings(name string, config bool) string {
	var b strings.Builder
	if g.one(2) {
		b.WriteString("region = eu-central-1\n")
	}
	for range 1 + g.IntN(2) {
		b.WriteString(g.kind(name, config))
	}
	if g.one(5) {
		b.WriteString(g.pick("s3 =\n    addressing_style = path\n", "# aws_access_key_id = COMMENT\n", "output=json\n", "  \n", "cli_pager =\n"))
	}
	return b.String()
}

func (g *generator) kind(name string, config bool) string {
	way := name + " in the " + map[bool]string{true: "config file", false: "credentials file"}[config]
	switch k := g.IntN(14); {
	case k <= 3:
		return g.keys(way)
	case k == 4:
		return g.set("role_arn", roleArn(name)) + g.set("source_profile", g.pick("default", "dev", "my etl", "hub", "spare", "o'brien", `CORP\me`, "nowhere", name))
	case k == 5:
		return g.set("role_arn", roleArn(name)) + g.set("credential_source", g.pick("Environment", "EcsContainer", "Nonsense"))
	case k == 6:
		return g.set("role_arn", roleArn(name)) // on its own
	case k == 7 && config:
		return g.set("sso_session", g.pick("corp", "corp", "corp", "none")) + g.set("sso_account_id", "111111111111") + g.set("sso_role_name", name[:2])
	case k == 8 && config:
		return g.set("sso_start_url", ssoStart) + g.set("sso_region", "us-east-1") + g.set("sso_account_id", "222222222222") + g.pick(g.set("sso_role_name", name[:2]), "")
	case k == 9:
		return g.set("credential_process", g.pick("cat {HOME}/process.json", "cat '{HOME}/my dir/process.json'", `"cat" "{HOME}/process.json"`, `/bin/cat "{HOME}/my dir/process.json"`,
			"/bin/cat\n    {HOME}/process.json", "false"))
	case k == 10:
		return g.set("role_arn", roleArn(name)) + g.set("web_identity_token_file", g.pick("{HOME}/jwt", "{HOME}/jwt", "{HOME}/none"))
	case k == 11:
		return g.set("web_identity_token_file", "{HOME}/jwt")
	case k == 12: // as where a template's variable was not set
		return g.pick(
			"role_arn =\nsource_profile = "+g.pick("default", "dev", "hub", "spare", name)+"\n",
			"role_arn =\n", "source_profile =\n", "credential_process =\n",
			g.set("role_arn", roleArn(name))+"credential_source =\n",
			g.set("role_arn", roleArn(name))+"source_profile =\n",
			"sso_account_id =\n", "sso_account_id =\nsso_role_name =\n")
	}
	return ""
}

func (g *generator) keys(way string) string {
	id := g.pick(g.r.longTerm(way), g.r.longTerm(way), g.r.session(way))
	var b strings.Builder
	if !g.one(12) {
		b.WriteString(g.set("aws_access_key_id", id))
	}
	if !g.one(12) {
		b.WriteString(g.set("aws_secret_access_key", "secret"))
	}
	if t := token(id); t != "" {
		b.WriteString(g.set(g.pick("aws_session_token", "aws_session_token", "aws_security_token"), t))
	}
	if g.one(20) {
		b.WriteString(g.set("aws_access_key_id", id)) // twice
	}
	return b.String()
}

// set is one line, written as people write it.
func (g *generator) set(key, value string) string {
	if g.one(25) {
		key = strings.ToUpper(key)
	}
	line := key + g.pick(" = ", " = ", " = ", "=", "  =  ", " : ", ":") + value
	switch {
	case key == "credential_process": // a shell reads it: docs/SOURCES.md
	case g.one(25):
		line += g.pick(" ", "\t", " # comment", " ; comment", "\n    continued")
	case g.one(40):
		line = " " + line
	}
	return line + "\n"
}

// differsOnPurpose tells the differences that docs/SOURCES.md lists from faults.
func (c baseCase) differsOnPurpose(aws, brs string) bool {
	empty := func(name string) bool { value, is := c.env[name]; return is && value == "" }
	switch {
	case brs != nobody: // aws takes an empty name for a name; others, and we, for none
		return aws == nobody && c.profile == "" && (empty("AWS_PROFILE") || empty("AWS_DEFAULT_PROFILE"))
	case c.env["AWS_ROLE_ARN"] != "" && c.env["AWS_WEB_IDENTITY_TOKEN_FILE"] == "":
		return true // somebody expects to be that role
	case c.profile != "" && aws == "container":
		return true // the profile that the user named has no credentials
	}
	return false
}
