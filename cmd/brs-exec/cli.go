package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"brs-exec/internal/nearest"
)

// cli is the command line: the only place that makes a flag. What the flags say
// of themselves stands in manual.go, since kong reads these tags at every start.
//
// A flag without `novar` has the variable BRS_EXEC_<FLAG> (see variables).
// Names are those of `aws sts assume-role` and the aws cli.
type cli struct {
	RoleARN           []string      `name:"role-arn" sep:"none"`
	RoleSessionName   string        `name:"role-session-name"`
	Duration          time.Duration `name:"duration-seconds"`
	ExternalID        string        `name:"external-id"`
	Policy            string        `name:"policy"`
	PolicyARNs        []string      `name:"policy-arns" sep:"none"`
	Tags              []string      `name:"tags" sep:"none"`
	TransitiveTagKeys []string      `name:"transitive-tag-keys" sep:"none"`
	SourceIdentity    string        `name:"source-identity"`
	ProvidedContexts  []string      `name:"provided-contexts" sep:"none"`

	ExpectAccount string `name:"expect-account"`

	SerialNumber string `name:"serial-number"`
	TokenCode    string `name:"token-code" novar:""`
	MFACommand   string `name:"mfa-command"`

	Profile                 string        `name:"profile"`
	Region                  string        `name:"region"`
	WebIdentityTokenFile    string        `name:"web-identity-token-file"`
	WebIdentityTokenCommand string        `name:"web-identity-token-command"`
	WebIdentity             string        `name:"web-identity"`
	Audience                string        `name:"audience"`
	CredentialCommand       string        `name:"credential-command"`
	IoTEndpoint             string        `name:"iot-endpoint"`
	IoTRoleAlias            string        `name:"iot-role-alias"`
	IoTCertificate          string        `name:"iot-certificate"`
	IoTPrivateKey           string        `name:"iot-private-key"`
	IoTThingName            string        `name:"iot-thing-name"`
	IoTCA                   string        `name:"iot-ca"`
	NoSession               bool          `name:"no-session"`
	MustLast                time.Duration `name:"must-last"`

	STSEndpointURL       string        `name:"sts-endpoint-url"`
	CABundle             string        `name:"ca-bundle"`
	UseFIPSEndpoint      bool          `name:"use-fips-endpoint"`
	UseDualstackEndpoint bool          `name:"use-dualstack-endpoint"`
	ConnectTimeout       time.Duration `name:"connect-timeout"`
	ReadTimeout          time.Duration `name:"read-timeout"`
	StartTimeout         time.Duration `name:"start-timeout"`
	RetryDenied          time.Duration `name:"retry-denied"`

	MaxTTL    time.Duration `name:"max-ttl"`
	Port      int           `name:"port"`
	Lazy      bool          `name:"lazy"`
	TokenIn   string        `name:"token-in" default:"both" enum:"both,env,file"`
	SameUser  bool          `name:"same-user"`
	AllowHost []string      `name:"allow-host" sep:"none"`

	PTY            bool          `name:"pty"`
	KillAfter      time.Duration `name:"kill-after"`
	OnWrapperDeath string        `name:"on-wrapper-death" default:"term" enum:"term,hup,kill,none"`
	StartEarly     bool          `name:"start-early"`
	Deliver        []string      `name:"deliver" sep:"none"`
	NoIsolation    bool          `name:"no-isolation"`
	AllowIMDS      bool          `name:"allow-imds"`

	LogLevel  string `name:"log-level" default:"warn" enum:"error,warn,info,debug"`
	LogFormat string `name:"log-format" default:"text" enum:"text,json"`
	LogFile   string `name:"log-file"`
	Whoami    bool   `name:"whoami" novar:""`
	Explain   bool   `name:"explain" novar:""`
	Output    string `name:"output" novar:""`
	Export    bool   `name:"export" novar:""`
	Format    string `name:"format" novar:"" default:"process" enum:"process,env,env-no-export,fish,powershell,windows-cmd"`

	Rehearse     time.Duration `name:"rehearse"`
	RehearseFail bool          `name:"rehearse-fail"`

	Version bool `name:"version" novar:""`
	Help    bool `name:"help" novar:"" short:"h"`

	Sandbox    bool          `name:"sandbox" novar:""`
	SandboxTTL time.Duration `name:"sandbox-ttl"`
	DemoClient time.Duration `name:"demo-client" novar:"" hidden:""`

	sandbox   *sandboxServer // running, with --sandbox
	delivery  delivery       // --deliver
	variables []string       // the flags whose variables were read

	Command []string `arg:"" optional:"" passthrough:"partial"`
}

// parse reads the command line and the BRS_EXEC_* variables of env.
// With --help or --version it has printed them to stdout, and done is true.
func parse(args, env []string, stdout io.Writer) (c *cli, done bool, err error) {
	if c, err = parseWith(mentioned(args, nil), args, nil); err == nil && (c.Help || c.Version) {
		return nil, true, c.tell(stdout) // whatever the variables are: the manual lists them
	}
	if c, err = parseWith(mentioned(args, env), args, env); err != nil {
		// Something is wrong: all flags are needed to say what.
		if c, err = parseWith(reflect.VisibleFields(reflect.TypeFor[cli]()), args, env); err != nil {
			return nil, false, err
		}
	}
	c.Command = args[len(args)-len(c.Command):] // kong's copy is not the same bytes where they are no UTF-8
	if len(c.Command) > 0 && c.Command[0] == "--" {
		c.Command = c.Command[1:] // kong leaves the one that ended our flags
	}
	if c.delivery, err = parseDelivery(c.Deliver); err == nil {
		err = c.check()
	}
	return c, false, byVariable(err, c.variables)
}

// tell answers --help and --version.
func (c *cli) tell(stdout io.Writer) error {
	page := "brs-exec " + version() + "\n"
	if c.Help {
		var err error
		if page, err = help(); err != nil {
			return err
		}
	}
	_, err := io.WriteString(stdout, page)
	return err
}

// mentioned are the fields of cli that these arguments and variables can be
// about. kong takes 30 microseconds a flag to make its model at a cold start, two
// milliseconds for all: as much as the rest of brs-exec. A word of the command
// that looks like a flag of ours costs just that.
func mentioned(args, env []string) []reflect.StructField {
	all := reflect.VisibleFields(reflect.TypeFor[cli]())
	names := make(map[string]bool)
	for _, arg := range args {
		if name, ok := strings.CutPrefix(arg, "--"); ok {
			name, _, _ = strings.Cut(name, "=")
			names[name] = true
		}
	}
	for _, entry := range env {
		if name, ok := strings.CutPrefix(entry, variablePrefix); ok {
			name, _, _ = strings.Cut(name, "=")
			names[strings.ToLower(strings.ReplaceAll(name, "_", "-"))] = true
		}
	}
	return slices.DeleteFunc(all, func(f reflect.StructField) bool {
		return f.Name != "Command" && f.Name != "Help" && !names[f.Tag.Get("name")]
	})
}

// parseWith lets kong parse into a struct of these fields of cli.
func parseWith(fields []reflect.StructField, args, env []string) (*cli, error) {
	fields = slices.DeleteFunc(fields, func(f reflect.StructField) bool { return !f.IsExported() })
	grammar := reflect.New(reflect.StructOf(fields))
	vars := &variables{env: env}
	k, err := kong.New(grammar.Interface(),
		kong.Name("brs-exec"),
		kong.NoDefaultHelp(),
		kong.TypeMapper(reflect.TypeFor[time.Duration](), kong.MapperFunc(duration)),
		kong.Resolvers(vars),
	)
	if err != nil {
		return nil, err
	}
	if _, err := k.Parse(args); err != nil {
		return nil, vars.explain(err)
	}
	for _, f := range k.Model.Flags {
		if f.Set && f.Target.Kind() == reflect.String && f.Target.String() == "" {
			return nil, hinted(fmt.Errorf("--%s is empty", f.Name), "leave it out, or look where its value comes from")
		}
	}
	c := &cli{variables: vars.read}
	v := reflect.ValueOf(c).Elem()
	for i, f := range fields {
		v.FieldByName(f.Name).Set(grammar.Elem().Field(i))
	}
	for _, f := range reflect.VisibleFields(v.Type()) {
		if value, ok := f.Tag.Lookup("default"); ok && v.FieldByIndex(f.Index).IsZero() {
			v.FieldByIndex(f.Index).SetString(value) // of what kong did not see
		}
	}
	return c, nil
}

// check refuses what no single flag can know to be wrong.
func (c *cli) check() error {
	switch {
	case c.DemoClient != 0:
		return nil
	case c.Whoami && len(c.Command) > 0:
		return hinted(errors.New("--whoami runs no command"), "drop the command, or --whoami")
	case c.Output != "" && c.Output != "text" && c.Output != "json":
		return hinted(fmt.Errorf("--output: there is no %q", c.Output), "one of text, json")
	case c.Output != "" && !c.Explain:
		return hinted(errors.New("--output is for --explain"), "drop it, or add --explain")
	case c.Explain && len(c.Command) > 0:
		return hinted(errors.New("--explain runs no command"), "drop the command, or --explain")
	case c.Explain && c.Whoami:
		return hinted(errors.New("--explain and --whoami are two things"), "drop one: --explain tells all that --whoami does")
	case c.Export && len(c.Command) > 0:
		return hinted(errors.New("--export runs no command"), "drop the command, or --export")
	case c.Export && c.Whoami:
		return hinted(errors.New("--export and --whoami each print something else"), "drop one")
	case c.Format != "process" && !c.Export:
		return hinted(errors.New("--format is for --export"), "add --export, or drop --format")
	case c.Export && c.Explain:
		return hinted(errors.New("--export and --explain each print something else"), "drop one")
	case len(c.Command) == 0 && !c.runsNothing() && !c.Sandbox:
		return hinted(errors.New("no command to run"), `-- "$SHELL" runs a shell; --help lists the flags`)
	case c.Port < 0 || c.Port > 65535:
		return hinted(fmt.Errorf("--port %d: a port is 0 to 65535", c.Port), "leave it out: any free port will do")
	case c.MaxTTL != 0 && c.MaxTTL < time.Second:
		return hinted(fmt.Errorf("--max-ttl %v: an expiry is a whole second", c.MaxTTL), "--max-ttl 15m, or leave it out")
	case c.SandboxTTL != 0 && c.SandboxTTL < demoLife:
		return hinted(fmt.Errorf("--sandbox-ttl %v is too short: expiries are whole seconds", c.SandboxTTL), fmt.Sprintf("--sandbox-ttl %v, or longer", demoLife))
	case c.Rehearse != 0 || c.RehearseFail:
		if err := c.checkRehearsal(); err != nil {
			return err
		}
	}
	switch {
	case c.Sandbox && c.STSEndpointURL != "":
		return hinted(errors.New("--sandbox is an STS of its own"), "drop --sts-endpoint-url, or --sandbox")
	case c.SandboxTTL != 0 && !c.Sandbox:
		return hinted(errors.New("--sandbox-ttl is for the sandbox only"), "add --sandbox")
	case c.NoSession && c.StartEarly:
		return hinted(errors.New("--no-session needs the keys before the command starts"), "drop --start-early")
	case c.Sandbox && c.Profile != "":
		return hinted(errors.New("--sandbox has base credentials of its own"), "drop --profile, or --sandbox")
	}
	return c.checkDelivery()
}

// runsNothing: what is asked needs no command.
func (c *cli) runsNothing() bool { return c.Whoami || c.Explain || c.Export }

// duration reads 1h30m, or a bare number of seconds as in `aws sts assume-role --duration-seconds 3600`.
func duration(ctx *kong.DecodeContext, target reflect.Value) error {
	var text string
	if err := ctx.Scan.PopValueInto("duration", &text); err != nil {
		return err
	}
	d, err := time.ParseDuration(text)
	if n, numErr := strconv.ParseFloat(text, 64); numErr == nil && math.Abs(n) < math.MaxInt64/float64(time.Second) {
		d, err = time.Duration(n*float64(time.Second)), nil
	}
	switch {
	case err != nil:
		return hinted(fmt.Errorf("%q is no duration", text), "write 1h30m, or a number of seconds")
	case d < 0:
		return hinted(fmt.Errorf("%q: a duration can't be negative", text), "write 1h30m, or a number of seconds")
	}
	target.SetInt(int64(d))
	return nil
}

// variables is the kong resolver for BRS_EXEC_*; kong's own reading of
// variables takes an empty one for a value and knows no misspelt one.
type variables struct {
	env  []string
	read []string // flags whose variables have been read; the last one is at work
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
	var known, silent []string // without the prefix, or it would count as likeness
	for _, f := range app.Flags {
		name := strings.TrimPrefix(variable(f.Name), variablePrefix)
		if configures(f) {
			known = append(known, name)
		} else {
			silent = append(silent, name)
		}
	}
	for _, entry := range v.env {
		name, value, _ := strings.Cut(entry, "=")
		short, ours := strings.CutPrefix(name, variablePrefix)
		if value == "" || !ours || slices.Contains(known, short) {
			continue
		}
		err := fmt.Errorf("no such variable: %s", name)
		if slices.Contains(silent, short) {
			return hinted(err, "--"+strings.ToLower(strings.ReplaceAll(short, "_", "-"))+" has none: give the flag")
		}
		if near := nearest.To(short, known); near != "" {
			return hinted(err, "did you mean "+variablePrefix+near+"?")
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
	v.read = append(v.read, f.Name)
	if !f.IsSlice() {
		return value, nil
	}
	var list []any
	for line := range strings.Lines(value) {
		if line = strings.TrimRight(line, "\r\n"); line != "" {
			list = append(list, line)
		}
	}
	if len(list) == 0 {
		return nil, errors.New("holds only empty lines")
	}
	return list, nil
}

// explain makes one line and a hint of kong's error.
func (v *variables) explain(err error) error {
	if e, ok := errors.AsType[*kong.ParseError](err); ok {
		err = e.Unwrap()
	}
	if n := len(v.read); n > 0 {
		err = byVariable(err, v.read[n-1:])
	}
	text := strings.ReplaceAll(err.Error(), "expected string value but got", "needs a value, not")
	for _, guess := range []string{", did you mean ", "; perhaps try "} {
		if what, near, ok := strings.Cut(text, guess); ok {
			return hinted(errors.New(what), strings.TrimLeft(guess, ",; ")+strings.ReplaceAll(near, `"`, ""))
		}
	}
	if hintOf(err) != "" {
		return err
	}
	if flag, rest, ok := strings.Cut(text, " must be one of "); ok {
		choice, got, _ := strings.Cut(rest, " but got ")
		return hinted(fmt.Errorf("%s: there is no %s", flag, got), "one of "+strings.ReplaceAll(strings.ReplaceAll(choice, `"`, ""), ",", ", "))
	}
	return errors.New(text)
}

// byVariable has an error that begins with a flag begin with the variable that
// it was set by: nobody typed the flag.
func byVariable(err error, flags []string) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	for _, name := range flags {
		rest, ok := strings.CutPrefix(text, "--"+name)
		if ok && (rest == "" || rest[0] == ' ' || rest[0] == ':') {
			return hinted(renamed{err, variable(name) + rest}, hintOf(err))
		}
	}
	return err
}

type renamed struct {
	error
	text string
}

func (r renamed) Error() string { return r.text }
func (r renamed) Unwrap() error { return r.error }

// lookup finds a variable as getenv(3) does: the first entry counts.
func lookup(env []string, name string) (value string, ok bool) {
	for _, entry := range env {
		if key, value, ok := strings.Cut(entry, "="); ok && key == name {
			return value, true
		}
	}
	return "", false
}
