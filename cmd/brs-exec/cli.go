package main

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// cli is the command line: the only place that names a flag.
//
// A flag without `novar` has the variable BRS_EXEC_<FLAG> (see variables).
// Names are those of `aws sts assume-role` and the aws cli.
type cli struct {
	RoleARN           []string      `name:"role-arn" group:"role" sep:"none" placeholder:"ARN" help:"Role to assume; repeat it for a chain, assumed in order"`
	RoleSessionName   string        `group:"role" placeholder:"NAME" help:"Session name; default $$AWS_ROLE_SESSION_NAME, else brs-exec-USER-HOST"`
	Duration          time.Duration `name:"duration-seconds" group:"role" placeholder:"DURATION" help:"Life to ask for each credential; default 3600 s"`
	ExternalID        string        `name:"external-id" group:"role" placeholder:"ID" help:"External id that the role's trust policy asks for"`
	Policy            string        `group:"role" placeholder:"JSON" help:"Session policy: JSON, or file://PATH"`
	PolicyARNs        []string      `name:"policy-arns" group:"role" sep:"none" placeholder:"ARN" help:"Managed session policy, as ARN or arn=ARN; repeatable"`
	Tags              []string      `group:"role" sep:"none" placeholder:"K=V" help:"Session tag, as K=V or Key=K,Value=V; repeatable"`
	TransitiveTagKeys []string      `group:"role" sep:"none" placeholder:"KEY" help:"Session tag that later roles of the chain inherit; repeatable"`
	SourceIdentity    string        `group:"role" placeholder:"NAME" help:"Source identity that CloudTrail shows through the chain"`
	ProvidedContexts  []string      `group:"role" sep:"none" placeholder:"CONTEXT" help:"ProviderArn=ARN,ContextAssertion=TEXT; repeatable"`

	ExpectAccount string `group:"role" placeholder:"ID" help:"Fail unless the identity that comes out is of this account"`

	SerialNumber string `group:"mfa" placeholder:"ARN" help:"MFA device; default the profile's mfa_serial"`
	TokenCode    string `group:"mfa" novar:"" placeholder:"CODE" help:"MFA code, good for one use"`
	MFACommand   string `name:"mfa-command" group:"mfa" placeholder:"COMMAND" help:"Shell command whose output's last 6-digit number is the MFA code"`

	Profile                 string        `group:"base" placeholder:"NAME" help:"Profile of ~/.aws/config that yields the base credentials"`
	Region                  string        `group:"base" placeholder:"REGION" help:"Region of STS and of the command"`
	WebIdentityTokenFile    string        `group:"base" placeholder:"FILE" help:"Web identity token that buys the first --role-arn; read again at every refresh"`
	WebIdentityTokenCommand string        `group:"base" placeholder:"COMMAND" help:"Shell command that prints such a token"`
	WebIdentity             string        `group:"base" placeholder:"ISSUER" help:"Where such a token is asked for: github-actions"`
	Audience                string        `group:"base" placeholder:"NAME" help:"Audience of the --web-identity token; default sts.amazonaws.com"`
	CredentialCommand       string        `group:"base" placeholder:"COMMAND" help:"Shell command that prints credential_process JSON"`
	IoTEndpoint             string        `name:"iot-endpoint" group:"base" placeholder:"HOST" help:"AWS IoT credential provider endpoint, with the five below"`
	IoTRoleAlias            string        `name:"iot-role-alias" group:"base" placeholder:"NAME" help:"Role alias to ask it for"`
	IoTCertificate          string        `name:"iot-certificate" group:"base" placeholder:"FILE" help:"Device certificate, PEM"`
	IoTPrivateKey           string        `name:"iot-private-key" group:"base" placeholder:"FILE" help:"Its private key, PEM, not encrypted"`
	IoTThingName            string        `name:"iot-thing-name" group:"base" placeholder:"NAME" help:"Thing name, if the policy asks for it"`
	IoTCA                   string        `name:"iot-ca" group:"base" placeholder:"FILE" help:"PEM file of the roots that the endpoint is verified against"`
	NoSession               bool          `group:"base" help:"Without a role: hand long-term keys to the command as variables, instead of a session"`
	MustLast                time.Duration `group:"base" placeholder:"DURATION" help:"Fail at the start unless the credentials can be renewed unattended for so long"`

	STSEndpointURL       string        `name:"sts-endpoint-url" group:"sts" placeholder:"URL" help:"STS to ask; http only on loopback"`
	CABundle             string        `name:"ca-bundle" group:"sts" placeholder:"FILE" help:"PEM file of the roots that STS is verified against"`
	UseFIPSEndpoint      bool          `name:"use-fips-endpoint" group:"sts" help:"Ask STS's FIPS endpoint"`
	UseDualstackEndpoint bool          `group:"sts" help:"Ask STS's dual-stack endpoint"`
	ConnectTimeout       time.Duration `group:"sts" default:"5s" placeholder:"DURATION" help:"Longest wait for a connection; default 5s"`
	ReadTimeout          time.Duration `group:"sts" default:"10s" placeholder:"DURATION" help:"Longest wait for an answer; default 10s"`
	StartTimeout         time.Duration `group:"sts" default:"30s" placeholder:"DURATION" help:"All that the first credentials may take, retries included; default 30s"`
	RetryDenied          time.Duration `group:"sts" placeholder:"DURATION" help:"How long AccessDenied counts as passing at the start, for a role made seconds ago"`

	MaxTTL    time.Duration `name:"max-ttl" group:"serving" placeholder:"DURATION" help:"Tell the command that each answer expires at most this far ahead"`
	Port      int           `group:"serving" placeholder:"PORT" help:"Port of the endpoint; default any free one"`
	Lazy      bool          `group:"serving" help:"Fetch nothing that nobody asked for: past half of the life an answer starts the refresh"`
	TokenIn   string        `group:"serving" default:"both" enum:"both,env,file" placeholder:"WHERE" help:"Give the endpoint token by variable (env), by file, or both; default both"`
	SameUser  bool          `group:"serving" help:"Answer no other user of this machine but root (Linux)"`
	AllowHost []string      `group:"serving" sep:"none" placeholder:"NAME" help:"Further Host header to answer; repeatable"`

	KillAfter      time.Duration `group:"child" placeholder:"DURATION" help:"Send KILL this long after the first TERM, INT, HUP or QUIT that was passed on"`
	OnWrapperDeath string        `group:"child" default:"term" enum:"term,hup,kill,none" placeholder:"SIGNAL" help:"What the command gets if brs-exec is killed: term, hup, kill or none; default term (Linux)"`
	StartEarly     bool          `group:"child" help:"Start the command while the role is still being assumed; its first request waits"`
	NoIsolation    bool          `group:"child" help:"Leave the AWS files visible to the command, for one that needs other profiles"`
	AllowIMDS      bool          `name:"allow-imds" group:"child" help:"Let the command's SDK ask the instance metadata service"`

	LogLevel  string `group:"telling" default:"warn" enum:"error,warn,info,debug" placeholder:"LEVEL" help:"error, warn, info or debug; default warn"`
	LogFormat string `group:"telling" default:"text" enum:"text,json" placeholder:"FORMAT" help:"text or json; default text"`
	LogFile   string `group:"telling" placeholder:"FILE" help:"Append messages to FILE (made 0600) instead of stderr"`
	Whoami    bool   `group:"telling" novar:"" help:"Run nothing: print as JSON who the command would be"`
	Version   bool   `group:"telling" novar:"" help:"Print the version"`
	Help      bool   `group:"telling" novar:"" short:"h" help:"Print this help"`

	Sandbox    bool          `group:"trying" novar:"" help:"Use an embedded STS on loopback: no AWS account needed; without a command a demonstration"`
	SandboxTTL time.Duration `name:"sandbox-ttl" group:"trying" placeholder:"DURATION" help:"Life of the sandbox's credentials; default 15m"`
	DemoClient bool          `hidden:"" novar:"" help:"The demonstration's child"`

	sandbox *sandboxServer // running, with --sandbox

	Command []string `arg:"" optional:"" passthrough:"partial" help:"Program to run, with its arguments"`
}

var groups = []kong.Group{
	{Key: "role", Title: "Role:"},
	{Key: "mfa", Title: "MFA (else a prompt on the terminal):"},
	{Key: "base", Title: "Base credentials (else the AWS SDK's default chain):"},
	{Key: "sts", Title: "STS client (brs-exec's own; the command does not see it):"},
	{Key: "serving", Title: "Serving:"},
	{Key: "child", Title: "Command:"},
	{Key: "telling", Title: "Telling:"},
	{Key: "trying", Title: "Trying:"},
}

const usage = `Usage: brs-exec [flags] [--] COMMAND [ARG ...]

Run a command with AWS credentials that never expire under it.

brs-exec assumes the role, serves its credentials on a loopback endpoint that
every AWS SDK knows, keeps them fresh, and returns the command's exit status.
Flags end at -- or at the first word that is no flag.`

const usageEnd = `
A flag beats its variable; an empty variable is an unset one; a list stands one
value a line. Durations are 1h30m, or a bare number of seconds.

Exit status: the command's own, or death by its signal; 125 brs-exec failed
before the command was started; 124 it failed while the command ran; 126 the
command cannot be run; 127 it was not found.

Examples:
  $ brs-exec --role-arn arn:aws:iam::123456789012:role/etl -- python3 etl.py
  $ brs-exec --profile etl terraform apply
  $ brs-exec --sandbox -- aws sts get-caller-identity
`

// parse reads the command line and the BRS_EXEC_* variables of env.
// With --help or --version it has printed them to stdout, and done is true.
func parse(args, env []string, stdout io.Writer) (c *cli, done bool, err error) {
	c = new(cli)
	vars := &variables{env: env}
	var manual strings.Builder
	k, err := kong.New(c,
		kong.Name("brs-exec"),
		kong.Description(usage),
		kong.NoDefaultHelp(),
		kong.ExplicitGroups(groups),
		kong.Writers(&manual, &manual),
		kong.ConfigureHelp(kong.HelpOptions{NoAppSummary: true, NoAppDescFormat: true, WrapUpperBound: 100}),
		kong.ValueFormatter(helpText),
		kong.TypeMapper(reflect.TypeFor[time.Duration](), kong.MapperFunc(duration)),
		kong.Resolvers(vars),
	)
	if err != nil {
		return nil, false, err
	}
	ctx, err := k.Parse(args)
	if err != nil {
		return nil, false, vars.explain(err)
	}
	switch {
	case c.Help:
		err := ctx.PrintUsage(false)
		fmt.Fprint(stdout, strings.TrimLeft(manual.String(), "\n"), usageEnd)
		return nil, true, err
	case c.Version:
		_, err := fmt.Fprintln(stdout, "brs-exec", version())
		return nil, true, err
	}
	c.Command = args[len(args)-len(c.Command):] // kong's copy is not the same bytes where they are no UTF-8
	if len(c.Command) > 0 && c.Command[0] == "--" {
		c.Command = c.Command[1:] // kong leaves the one that ended our flags
	}
	return c, false, c.check()
}

// check refuses what no single flag can know to be wrong.
func (c *cli) check() error {
	switch {
	case c.DemoClient:
		return nil
	case c.Whoami && len(c.Command) > 0:
		return errors.New("--whoami runs no command")
	case len(c.Command) == 0 && !c.Whoami && !c.Sandbox:
		return hinted(errors.New("no command to run"), `-- "$SHELL" runs a shell; --help lists the flags`)
	case c.Port < 0 || c.Port > 65535:
		return fmt.Errorf("--port %d: a port is 0 to 65535", c.Port)
	case c.SandboxTTL != 0 && !c.Sandbox:
		return hinted(errors.New("--sandbox-ttl is for the sandbox only"), "add --sandbox")
	case c.NoSession && c.StartEarly:
		return errors.New("--no-session needs the keys before the command starts: drop --start-early")
	case c.Sandbox && c.Profile != "":
		return hinted(errors.New("--sandbox has base credentials of its own"), "drop --profile, or --sandbox")
	}
	return nil
}

// duration reads 1h30m, or a bare number of seconds as in `aws sts assume-role --duration-seconds 3600`.
func duration(ctx *kong.DecodeContext, target reflect.Value) error {
	var text string
	if err := ctx.Scan.PopValueInto("duration", &text); err != nil {
		return err
	}
	d, err := time.ParseDuration(text)
	if n, numErr := strconv.ParseFloat(text, 64); numErr == nil {
		d, err = time.Duration(n*float64(time.Second)), nil
	}
	switch {
	case err != nil:
		return fmt.Errorf("%q is no duration: write 1h30m, or a number of seconds", text)
	case d < 0:
		return fmt.Errorf("%q: a duration cannot be negative", text)
	}
	target.SetInt(int64(d))
	return nil
}

func helpText(v *kong.Value) string {
	if v.Flag == nil || !configures(v.Flag) {
		return v.Help
	}
	return v.Help + " ($" + variable(v.Flag.Name) + ")"
}

// variables is the kong resolver for BRS_EXEC_*; kong's own reading of
// variables takes an empty one for a value and knows no misspelt one.
type variables struct {
	env  []string
	last string // the flag whose variable is being read: an error names the variable then
}

const variablePrefix = "BRS_EXEC_"

func variable(flag string) string {
	return variablePrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

func configures(f *kong.Flag) bool {
	return !f.Tag.Has("novar")
}

// Validate refuses a BRS_EXEC_* variable that no flag has: a typing error must
// not run the job as someone else.
func (v *variables) Validate(app *kong.Application) error {
	var known []string
	for _, f := range app.Flags {
		if configures(f) {
			known = append(known, variable(f.Name))
		}
	}
	for _, entry := range v.env {
		name, value, _ := strings.Cut(entry, "=")
		if value == "" || !strings.HasPrefix(name, variablePrefix) || slices.Contains(known, name) {
			continue
		}
		err := fmt.Errorf("no such variable: %s", name)
		if near := nearest(name, known); near != "" {
			return hinted(err, "did you mean "+near+"?")
		}
		return hinted(err, "unset it; --help lists the variables")
	}
	return nil
}

// Resolve answers with the variable's value: a list stands one value a line.
func (v *variables) Resolve(_ *kong.Context, _ *kong.Path, f *kong.Flag) (any, error) {
	if !configures(f) {
		return nil, nil
	}
	value, _ := lookup(v.env, variable(f.Name))
	if value == "" {
		return nil, nil
	}
	v.last = f.Name
	if !f.IsSlice() {
		return value, nil
	}
	var list []any
	for line := range strings.Lines(value) {
		if line = strings.TrimRight(line, "\r\n"); line != "" {
			list = append(list, line)
		}
	}
	return list, nil
}

// explain makes one line and a hint of kong's error.
func (v *variables) explain(err error) error {
	if e, ok := errors.AsType[*kong.ParseError](err); ok {
		err = e.Unwrap()
	}
	text := err.Error()
	if flag := "--" + v.last; v.last != "" && (strings.HasPrefix(text, flag+":") || strings.HasPrefix(text, flag+" must be")) {
		err = errors.New(variable(v.last) + strings.TrimPrefix(text, flag))
	}
	if what, near, ok := strings.Cut(text, ", did you mean "); ok {
		return hinted(errors.New(what), "did you mean "+strings.ReplaceAll(near, `"`, ""))
	}
	return err
}

// lookup finds a variable as getenv(3) does: the first entry counts.
func lookup(env []string, name string) (value string, ok bool) {
	for _, entry := range env {
		if key, value, ok := strings.Cut(entry, "="); ok && key == name {
			return value, true
		}
	}
	return "", false
}

// nearest is the candidate that a typing error was most likely meant to be: at
// most a third of its letters away.
func nearest(word string, candidates []string) string {
	best, near := len(word)/3+1, ""
	for _, c := range candidates {
		if d := distance(word, c); d < best {
			best, near = d, c
		}
	}
	return near
}

// distance is the Levenshtein distance of two ASCII words.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
