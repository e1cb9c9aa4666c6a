package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"brs-exec/internal/childenv"
	"brs-exec/internal/ecsserver"
	"brs-exec/internal/hint"
	"brs-exec/internal/nearest"
	"brs-exec/internal/refresh"
	"brs-exec/internal/runner"
	"brs-exec/internal/source"
)

// cli is the command line. What flags say goes to where it is used; manual.go tells which goes
// where.
type cli struct {
	source  source.Options
	refresh refresh.Options
	server  ecsserver.Options
	child   childenv.Endpoint
	runner  runner.Command // Args is the command

	onRotation, expectAccount, logLevel, logFormat, logFile, output, format, share, listen, completion string
	mustLast, rehearse, sandboxTTL, linger                                                             time.Duration
	startEarly, rehearseFail, whoami, explain, export, version, help, sandbox                          bool
	allowIdentityChange, serve, ready, helpShort                                                       bool
	deliver, withProfile                                                                               []string

	delivery delivery          // deliver, read
	setBy    map[string]string // what gave each flag that was given: the flag, or its variable
}

func newCLI() *cli {
	return &cli{
		child:    childenv.Endpoint{TokenIn: "both"},
		runner:   runner.Command{OnWrapperDeath: "term"},
		logLevel: "warn", logFormat: "text", format: "process",
		setBy: make(map[string]string),
	}
}

// parse reads the command line and the BRS_EXEC_* variables of env. With --help, --version or
// --completion it has printed the page to stdout, and done is true.
//
// It parses without kong: kong takes 30 microseconds a flag to make its model, as much as the rest
// of a start; its errors are prose in which the flag would have to be searched; and it reads
// variables otherwise than DESIGN has it. FuzzParse holds the two to the same grammar.
func parse(args, env []string, stdout io.Writer) (c *cli, done bool, err error) {
	c = newCLI()
	options := c.options()
	if err := c.readFlags(options, args); err != nil {
		return nil, false, likeOther(err, args, env)
	}
	if c.printsPage() {
		return nil, true, c.printPage(stdout) // whatever the variables are
	}
	if err := c.complete(options, env); err != nil {
		return nil, false, err
	}
	return c, false, nil
}

// complete adds what env says to the flags, and checks the whole.
func (c *cli) complete(options map[string]*option, env []string) (err error) {
	if err := c.readVariables(options, env); err != nil {
		return err
	}
	if c.delivery, err = parseDelivery(c.given("deliver"), c.deliver); err != nil {
		return err
	}
	if err := c.parseListen(); err != nil {
		return err
	}
	return c.check()
}

func (c *cli) printsPage() bool { return c.help || c.version || c.completion != "" }

// printPage answers --help, --completion and --version.
func (c *cli) printPage(stdout io.Writer) error {
	page := versionPage()
	switch {
	case c.help:
		page = c.helpPage(widthOf(stdout))
	case c.completion != "":
		page = completionScript(c.completion)
	}
	_, err := io.WriteString(stdout, page)
	return err
}

// given is what the user wrote to set a flag: the flag, or its variable. Errors begin with it.
func (c *cli) given(flag string) string { return cmp.Or(c.setBy[flag], "--"+flag) }

// options are all flags, by name.
func (c *cli) options() map[string]*option {
	options := make(map[string]*option)
	for _, g := range c.groups() {
		for _, o := range g.flags {
			options[o.name] = o
		}
	}
	return options
}

func (o *option) isBool() bool {
	_, ok := o.field.(*bool)
	return ok
}

func (o *option) hasVariable() bool { return !slices.Contains(withoutVariable, o.name) }

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
			c.helpShort = !c.help
			c.help = true
			continue
		case !long || o == nil:
			return unknownFlag(options, word)
		case assigned:
		case o.isBool():
			value = "true"
		case len(args) == 0 || strings.HasPrefix(args[0], "-"): // most likely its value was forgotten
			return hint.Errorf(word+" "+o.placeholder+", or "+word+"="+o.placeholder+" if that begins with a hyphen",
				"%s needs a value", word)
		default:
			value, args = args[0], args[1:]
		}
		if err := c.set(o, word, value); err != nil {
			return err
		}
	}
	c.runner.Args = args
	return c.verify(options)
}

func unknownFlag(options map[string]*option, word string) error {
	near := nearest.To(strings.TrimLeft(word, "-"), slices.Sorted(maps.Keys(options)))
	if near == "" {
		return hint.Errorf("--help lists them; the command's own flags come after --", "unknown flag %s", word)
	}
	return hint.Errorf("did you mean --"+near+"?", "unknown flag %s", word)
}

// set reads a value. by is the flag or the variable that gave it.
func (c *cli) set(o *option, by, text string) (err error) {
	c.setBy[o.name] = by
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
		return fmt.Errorf("%s: %w", by, err)
	}
	return nil
}

// verify refuses words that are not among those of a flag, and empty ones: they would silently
// widen what the command may do. It also refuses what is not UTF-8, and U+FFFD, which programs put
// in its place: a tag or a policy would reach STS as something other than what was written.
func (c *cli) verify(options map[string]*option) error {
	for _, name := range slices.Sorted(maps.Keys(c.setBy)) {
		if !options[name].isUTF8() {
			return hint.Errorf("write it in UTF-8, and without U+FFFD, which stands for what is not",
				"%s is not UTF-8", c.setBy[name])
		}
		text, ok := options[name].field.(*string)
		if !ok {
			continue
		}
		switch words := choices[name]; {
		case words != nil && !slices.Contains(words, *text):
			return hint.Errorf("one of "+strings.Join(words, ", "), "%s: there is no %q", c.setBy[name], *text)
		case *text == "":
			return hint.Errorf("leave it out, or look where its value comes from", "%s is empty", c.setBy[name])
		}
	}
	return nil
}

// isUTF8 says whether the text that was given is, without U+FFFD. A file's name may be anything.
func (o *option) isUTF8() bool {
	if o.placeholder == "FILE" || o.placeholder == "DIR" {
		return true
	}
	text := ""
	switch field := o.field.(type) {
	case *string:
		text = *field
	case *[]string:
		text = strings.Join(*field, "\n")
	}
	return !strings.ContainsRune(text, utf8.RuneError) // finds both
}

func readBool(text string) (bool, error) {
	switch strings.ToLower(text) {
	case "true", "1", "yes":
		return true, nil
	case "false", "0", "no":
		return false, nil
	}
	return false, hint.Errorf("true or false", "%q is neither true nor false", text)
}

func readNumber(text string) (int, error) {
	n, err := strconv.ParseInt(text, 0, strconv.IntSize)
	if err != nil {
		return 0, hint.Errorf("write digits: 8080", "%q is no number", text)
	}
	return int(n), nil
}

// readDuration reads 1h30m, or a bare number of seconds as in `aws sts assume-role
// --duration-seconds 3600`.
func readDuration(text string) (time.Duration, error) {
	const form = "write 1h30m, or a number of seconds"
	d, err := time.ParseDuration(text)
	n, notNumber := strconv.ParseFloat(text, 64)
	if notNumber == nil && math.Abs(n) < math.MaxInt64/float64(time.Second) {
		d, err = time.Duration(n*float64(time.Second)), nil
	}
	switch {
	case err != nil:
		return 0, hint.Errorf(form, "%q is no duration", text)
	case d < 0:
		return 0, hint.Errorf(form, "%q: a duration can't be negative", text)
	}
	return d, nil
}

// startTimeout is how long the first credentials may take.
func (c *cli) startTimeout() time.Duration {
	return cmp.Or(c.refresh.StartTimeout, 30*time.Second) // as refresh has it
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
		o := options[strings.ToLower(strings.ReplaceAll(short, "_", "-"))]
		switch {
		case value == "":
		case o == nil || variable(o.name) != name:
			return unknownVariable(options, name)
		case !o.hasVariable():
			return hint.Errorf("--"+o.name+" has none: give the flag", "no such variable: %s", name)
		case c.setBy[o.name] == "":
			if err := c.setByVariable(o, name, value); err != nil {
				return err
			}
		}
	}
	return c.verify(options)
}

// setByVariable takes a list as one value a line.
func (c *cli) setByVariable(o *option, name, value string) error {
	if _, isList := o.field.(*[]string); !isList {
		return c.set(o, name, value)
	}
	for line := range strings.Lines(value) {
		if line = strings.TrimRight(line, "\r\n"); line != "" {
			c.set(o, name, line)
		}
	}
	if c.setBy[o.name] == "" {
		return fmt.Errorf("%s: holds only empty lines", name)
	}
	return nil
}

// unknownVariable refuses a typing error: it must not run the job as someone else.
func unknownVariable(options map[string]*option, name string) error {
	var known []string // without the prefix, or it would count as likeness
	for flag, o := range options {
		if o.hasVariable() {
			known = append(known, strings.TrimPrefix(variable(flag), variablePrefix))
		}
	}
	slices.Sort(known)
	told := "unset it; each is named after a flag, and --help lists those"
	if near := nearest.To(strings.TrimPrefix(name, variablePrefix), known); near != "" {
		told = "did you mean " + variablePrefix + near + "?"
	}
	return hint.Errorf(told, "no such variable: %s", name)
}
