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

	KillAfter      time.Duration `name:"kill-after"`
	OnWrapperDeath string        `name:"on-wrapper-death" default:"term" enum:"term,hup,kill,none"`
	StartEarly     bool          `name:"start-early"`
	NoIsolation    bool          `name:"no-isolation"`
	AllowIMDS      bool          `name:"allow-imds"`

	LogLevel  string `name:"log-level" default:"warn" enum:"error,warn,info,debug"`
	LogFormat string `name:"log-format" default:"text" enum:"text,json"`
	LogFile   string `name:"log-file"`
	Whoami    bool   `name:"whoami" novar:""`
	Version   bool   `name:"version" novar:""`
	Help      bool   `name:"help" novar:"" short:"h"`

	Sandbox    bool          `name:"sandbox" novar:""`
	SandboxTTL time.Duration `name:"sandbox-ttl"`
	DemoClient bool          `name:"demo-client" novar:"" hidden:""`

	sandbox *sandboxServer // running, with --sandbox

	Command []string `arg:"" optional:"" passthrough:"partial"`
}

// parse reads the command line and the BRS_EXEC_* variables of env.
// With --help or --version it has printed them to stdout, and done is true.
func parse(args, env []string, stdout io.Writer) (c *cli, done bool, err error) {
	if c, err = parseWith(mentioned(args, env), args, env); err != nil {
		// Something is wrong: all flags are needed to say what.
		if c, err = parseWith(reflect.VisibleFields(reflect.TypeFor[cli]()), args, env); err != nil {
			return nil, false, err
		}
	}
	switch {
	case c.Help:
		page, err := help()
		fmt.Fprint(stdout, page)
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
	c := new(cli)
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
