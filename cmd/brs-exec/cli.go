package main

import (
	"fmt"
	"io"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"brs-exec/internal/message"
	"brs-exec/internal/nearest"
)

// cli is the command line: the only place that makes a flag. What the flags say of themselves
// stands in manual.go.
//
// A flag without `novar` has the variable BRS_EXEC_<FLAG>. Names are those of `aws sts assume-role`
// and the aws cli.
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
	TokenIn   string        `name:"token-in" default:"both" oneof:"both,env,file"`
	SameUser  bool          `name:"same-user"`
	AllowHost []string      `name:"allow-host" sep:"none"`

	PTY            bool          `name:"pty"`
	KillAfter      time.Duration `name:"kill-after"`
	OnWrapperDeath string        `name:"on-wrapper-death" default:"term" oneof:"term,hup,kill,none"`
	StartEarly     bool          `name:"start-early"`
	Deliver        []string      `name:"deliver" sep:"none"`
	NoIsolation    bool          `name:"no-isolation"`
	AllowIMDS      bool          `name:"allow-imds"`

	LogLevel  string `name:"log-level" default:"warn" oneof:"error,warn,info,debug"`
	LogFormat string `name:"log-format" default:"text" oneof:"text,json"`
	LogFile   string `name:"log-file"`
	Whoami    bool   `name:"whoami" novar:""`
	Explain   bool   `name:"explain" novar:""`
	Output    string `name:"output" novar:"" oneof:"text,json"`
	Export    bool   `name:"export" novar:""`
	Format    string `name:"format" novar:"" default:"process" oneof:"process,env,env-no-export,fish,powershell,windows-cmd"`

	Rehearse     time.Duration `name:"rehearse"`
	RehearseFail bool          `name:"rehearse-fail"`

	Version bool `name:"version" novar:""`
	Help    bool `name:"help" novar:"" short:"h"`

	Sandbox    bool          `name:"sandbox" novar:""`
	SandboxTTL time.Duration `name:"sandbox-ttl"`
	DemoClient time.Duration `name:"demo-client" novar:"" hidden:""`

	Command []string `arg:"" optional:"" passthrough:"partial"`

	delivery   delivery // Deliver, read
	byVariable []string // the flags that variables gave
}

// parse reads the command line and the BRS_EXEC_* variables of env. With --help or --version it has
// printed them to stdout, and done is true.
//
// It parses without kong, which makes the page of --help from cli: kong takes 30 microseconds a
// flag to make its model, as much as the rest of a start; its errors are prose in which the flag
// would have to be searched; and it reads variables otherwise than DESIGN has it. FuzzParse holds
// the two to the same grammar.
func parse(args, env []string, stdout io.Writer) (c *cli, done bool, err error) {
	c = new(cli)
	options := c.options()
	if err := c.readFlags(options, args); err != nil {
		return nil, false, err
	}
	if c.Help || c.Version {
		return nil, true, c.printPage(stdout) // whatever the variables are: the manual lists them
	}
	if err := c.readVariables(options, env); err != nil {
		return nil, false, err
	}
	if c.delivery, err = parseDelivery(c.given("deliver"), c.Deliver); err != nil {
		return nil, false, err
	}
	return c, false, c.check()
}

// printPage answers --help and --version.
func (c *cli) printPage(stdout io.Writer) error {
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

// given is what the user wrote to set a flag: the flag, or its variable. Errors begin with it.
func (c *cli) given(flag string) string {
	if slices.Contains(c.byVariable, flag) {
		return variable(flag)
	}
	return "--" + flag
}

// option is a flag of one cli.
type option struct {
	field any // a pointer to it
	tag   reflect.StructTag
	isSet bool
}

// options are all flags, by name. It sets those that have a default.
func (c *cli) options() map[string]*option {
	options := make(map[string]*option)
	v := reflect.ValueOf(c).Elem()
	for i := range v.NumField() {
		tag := v.Type().Field(i).Tag
		if name := tag.Get("name"); name != "" {
			options[name] = &option{field: v.Field(i).Addr().Interface(), tag: tag}
		}
		if value := tag.Get("default"); value != "" {
			v.Field(i).SetString(value)
		}
	}
	return options
}

func (o *option) isBool() bool {
	_, ok := o.field.(*bool)
	return ok
}

// hasVariable says whether the flag configures, and isn't about this one call.
func hasVariable(tag reflect.StructTag) bool {
	_, without := tag.Lookup("novar")
	return !without
}

// readFlags takes the flags from args; the rest is the command.
func (c *cli) readFlags(options map[string]*option, args []string) error {
	for len(args) > 0 && strings.HasPrefix(args[0], "-") && args[0] != "-" {
		arg := args[0]
		args = args[1:]
		if arg == "--" {
			break
		}
		word, value, assigned := strings.Cut(arg, "=")
		name, long := strings.CutPrefix(word, "--")
		o := options[name]
		switch {
		case !long && strings.Trim(arg[1:], "h") == "":
			c.Help = true
			continue
		case !long || o == nil:
			return unknownFlag(options, word)
		case assigned:
		case o.isBool():
			value = "true"
		case len(args) == 0 || strings.HasPrefix(args[0], "-"): // most likely its value was forgotten
			return message.Errorf(word+"=VALUE, if it begins with a hyphen", "%s needs a value", word)
		default:
			value, args = args[0], args[1:]
		}
		if err := o.set(word, value); err != nil {
			return err
		}
	}
	c.Command = args
	return verify(options, c.given)
}

func unknownFlag(options map[string]*option, word string) error {
	near := nearest.To(strings.TrimLeft(word, "-"), slices.Sorted(maps.Keys(options)))
	if near == "" {
		return fmt.Errorf("unknown flag %s", word)
	}
	return message.Errorf("did you mean --"+near+"?", "unknown flag %s", word)
}

// set reads a value. given is what it was given by.
func (o *option) set(given, text string) (err error) {
	o.isSet = true
	switch field := o.field.(type) {
	case *string:
		*field = text
	case *[]string:
		*field = append(*field, text)
	case *bool:
		*field, err = readBool(text)
	case *int:
		*field, err = readNumber(text)
	case *time.Duration:
		*field, err = readDuration(text)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", given, err)
	}
	return nil
}

// verify refuses words that are not among those of a flag, and empty ones: they would silently
// widen what the command may do.
func verify(options map[string]*option, given func(flag string) string) error {
	for _, name := range slices.Sorted(maps.Keys(options)) {
		o := options[name]
		text, ok := o.field.(*string)
		if !ok || !o.isSet {
			continue
		}
		choices, limited := o.tag.Lookup("oneof")
		switch words := strings.Split(choices, ","); {
		case limited && !slices.Contains(words, *text):
			return message.Errorf("one of "+strings.Join(words, ", "), "%s: there is no %q", given(name), *text)
		case *text == "":
			return message.Errorf("leave it out, or look where its value comes from", "%s is empty", given(name))
		}
	}
	return nil
}

func readBool(text string) (bool, error) {
	switch strings.ToLower(text) {
	case "true", "1", "yes":
		return true, nil
	case "false", "0", "no":
		return false, nil
	}
	return false, message.Errorf("true or false", "%q is neither true nor false", text)
}

func readNumber(text string) (int, error) {
	n, err := strconv.ParseInt(text, 0, strconv.IntSize)
	if err != nil {
		return 0, fmt.Errorf("%q is no number", text)
	}
	return int(n), nil
}

// readDuration reads 1h30m, or a bare number of seconds as in `aws sts assume-role
// --duration-seconds 3600`.
func readDuration(text string) (time.Duration, error) {
	const hint = "write 1h30m, or a number of seconds"
	d, err := time.ParseDuration(text)
	n, notNumber := strconv.ParseFloat(text, 64)
	if notNumber == nil && math.Abs(n) < math.MaxInt64/float64(time.Second) {
		d, err = time.Duration(n*float64(time.Second)), nil
	}
	switch {
	case err != nil:
		return 0, message.Errorf(hint, "%q is no duration", text)
	case d < 0:
		return 0, message.Errorf(hint, "%q: a duration can't be negative", text)
	}
	return d, nil
}

const variablePrefix = "BRS_EXEC_"

func variable(flag string) string {
	return variablePrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// readVariables sets what no flag has set. An empty variable is an unset one; of a repeated one the
// first counts.
func (c *cli) readVariables(options map[string]*option, env []string) error {
	seen := make(map[string]bool)
	for _, entry := range env {
		name, value, _ := strings.Cut(entry, "=")
		short, ours := strings.CutPrefix(name, variablePrefix)
		if !ours || seen[name] {
			continue
		}
		seen[name] = true
		flag := strings.ToLower(strings.ReplaceAll(short, "_", "-"))
		o := options[flag]
		known := o != nil && variable(flag) == name
		switch {
		case value == "" || known && o.isSet:
		case !known:
			return unknownVariable(options, name)
		case !hasVariable(o.tag):
			return message.Errorf("--"+flag+" has none: give the flag", "no such variable: %s", name)
		default:
			c.byVariable = append(c.byVariable, flag)
			if err := o.setByVariable(name, value); err != nil {
				return err
			}
		}
	}
	return verify(options, c.given)
}

// setByVariable takes a list as one value a line.
func (o *option) setByVariable(name, value string) error {
	if _, isList := o.field.(*[]string); !isList {
		return o.set(name, value)
	}
	for line := range strings.Lines(value) {
		if line = strings.TrimRight(line, "\r\n"); line != "" {
			o.set(name, line)
		}
	}
	if !o.isSet {
		return fmt.Errorf("%s: holds only empty lines", name)
	}
	return nil
}

// unknownVariable refuses a typing error: it must not run the job as someone else.
func unknownVariable(options map[string]*option, name string) error {
	var known []string // without the prefix, or it would count as likeness
	for flag, o := range options {
		if hasVariable(o.tag) {
			known = append(known, strings.TrimPrefix(variable(flag), variablePrefix))
		}
	}
	slices.Sort(known)
	hint := "unset it; --help lists the variables"
	if near := nearest.To(strings.TrimPrefix(name, variablePrefix), known); near != "" {
		hint = "did you mean " + variablePrefix + near + "?"
	}
	return message.Errorf(hint, "no such variable: %s", name)
}
