package main

import (
	"cmp"
	"runtime"
	"slices"
	"strings"

	"brs-exec/internal/hint"
	"brs-exec/internal/runner"
)

// verbs are the subcommands of tools that do the like: aws-vault exec, saml2aws exec, granted's
// assume, aws-vault export.
var verbs = []string{"exec", "assume", "export"}

// habits are flags of these tools and of aws-runas, and what does the same here. "" is what
// brs-exec always does. Those that have no like, such as a browser's, are not here. They are
// those of November 2026 in aws-vault's cli/exec.go, aws-runas's cli/flags.go, granted's
// pkg/assume/entrypoint.go and saml2aws's cmd/saml2aws/main.go.
var habits = []struct {
	flags string
	ours  string
	value bool
}{
	{"-d --duration --role-duration --session-duration", "duration-seconds", true},
	{"-p --exec-profile", "profile", true},
	{"-r", "region", true},
	{"-t --mfa-token -o --otp", "token-code", true},
	{"-M --mfa-serial", "serial-number", true},
	{"-X", "external-id", true},
	{"--role", "role-arn", true},
	{"-n", "no-session", false},
	{"-j --json", "export", false},
	{"-w", "whoami", false},
	{"-v --verbose --debug", "log-level debug", false},
	{"-E", "deliver env", false},
	{"-s --server --ec2-server --ecs-server --refresh --stdout", "", false},
	{"-a --idp-account --prompt --exec", "", true}, // granted's --exec is the command
}

// exportFormats are aws-vault's names of formats, and ours.
var exportFormats = map[string]string{"env": "env-no-export", "export-env": "env", "json": "process"}

// translation is a command line of another tool's in the making of ours.
type translation struct {
	args    []string // what is left to read
	env     []string
	line    []string // what to type
	verb    string   // that it began with; "": none
	profile bool     // it has one
	foreign string   // the first thing that isn't ours
}

// likeOther returns an error that says what to type, if args are what another tool takes and
// brs-exec doesn't; else err.
func likeOther(err error, args, env []string) error {
	if len(args) == 1 && strings.EqualFold(args[0], "-v") {
		return hint.Errorf("brs-exec --version", "unknown flag %s", args[0])
	}
	t := &translation{args: args, env: env}
	if !t.flags() || t.foreign == "" {
		return err
	}
	if t.verb == "exec" && !t.profile && !slices.Contains(t.line, "--role-arn") { // only saml2aws takes none
		t.line = append(t.line, "--profile", "saml")
	}
	if t.verb == "export" && !slices.Contains(t.line, "--format") {
		t.line = append(t.line, "--format", exportFormats["env"])
	}
	check := slices.Clone(t.line)
	if !t.runsNothing() {
		check = append(check, "--", "true")
	}
	ours := newCLI()
	options := ours.options()
	if ours.readFlags(options, check) != nil || ours.printsPage() || ours.complete(options, nil) != nil {
		return err
	}
	return hint.Errorf("brs-exec "+t.String(), "%s", t.foreign)
}

// flags translates the line up to the command; false: it can't be done.
func (t *translation) flags() bool {
	for len(t.args) > 0 {
		word := t.args[0]
		switch {
		case word == "--":
			t.args = t.args[1:]
			return true
		case strings.HasPrefix(word, "-"):
			if !t.flag() {
				return false
			}
		case t.verb == "" && slices.Contains(verbs, word):
			t.verb, t.foreign = word, "brs-exec has no subcommands such as "+word
			if word == "export" {
				t.line = append(t.line, "--export")
			}
			t.args = t.args[1:]
		case t.isProfile(word):
			t.takeProfile(word)
		default:
			return true
		}
	}
	return true
}

// flag translates one, with its value.
func (t *translation) flag() bool {
	name, value, assigned := strings.Cut(t.args[0], "=")
	t.args = t.args[1:]
	ours, hasValue, known := strings.TrimPrefix(name, "--"), false, false
	if o := newCLI().options()[ours]; strings.HasPrefix(name, "--") && o != nil {
		hasValue, known = !o.isBool(), true
	}
	for _, h := range habits {
		if slices.Contains(strings.Fields(h.flags), name) {
			ours, hasValue, known = h.ours, h.value, true
			t.strange("unknown flag " + name)
		}
	}
	if !known || hasValue && !assigned && len(t.args) == 0 {
		return false
	}
	if hasValue && !assigned {
		value, t.args = t.args[0], t.args[1:]
	}
	_, notTime := readDuration(value)
	switch {
	case name == "-a" && notTime == nil: // aws-runas's, not saml2aws's
		ours = "duration-seconds"
	case name == "-r" && strings.HasPrefix(value, "arn:"):
		ours = "role-arn"
	case t.verb == "export" && ours == "format":
		value = cmp.Or(exportFormats[value], value)
	case ours == "token-code":
		value = "CODE" // it is a secret
	}
	t.profile = t.profile || ours == "profile"
	switch {
	case name == "--exec":
		t.args = []string{"--", "sh", "-c", value}
	case ours == "":
	case hasValue || assigned:
		t.line = append(t.line, "--"+ours, value)
	default:
		t.line = append(t.line, strings.Fields("--"+ours)...)
	}
	return true
}

func (t *translation) strange(what string) {
	if t.foreign == "" {
		t.foreign = what
	}
}

// isProfile tells whether the word, which stands where our command begins, is a profile or role.
func (t *translation) isProfile(word string) bool {
	if t.profile {
		return false
	}
	if strings.HasPrefix(word, "arn:") || slices.Contains(profileNames(t.env), word) {
		return true
	}
	_, status, _ := runner.Find([]string{word}, t.env)
	return t.verb != "" && (status == runner.NotFound || len(t.args) > 1 && t.args[1] == "--")
}

func (t *translation) takeProfile(word string) {
	flag, what := "--profile", "a profile"
	if strings.HasPrefix(word, "arn:") {
		flag, what = "--role-arn", "a role"
	}
	t.strange(word + " is no command, but " + what)
	t.line, t.args, t.profile = append(t.line, flag, word), t.args[1:], true
}

// String is the line to type. Of the user's command only the name is told, of those in flags
// nothing: their arguments may be secret.
func (t *translation) String() string {
	var words []string
	for i, word := range t.line {
		if i > 0 && strings.HasSuffix(t.line[i-1], "-command") {
			words = append(words, "…")
			continue
		}
		words = append(words, shellWord(word))
	}
	switch {
	case t.runsNothing():
	case len(t.args) == 0:
		words = append(words, shellExample)
	default:
		words = append(words, "--", typed(t.args))
	}
	return strings.Join(words, " ")
}

func (t *translation) runsNothing() bool {
	return slices.Contains(t.line, "--export") || slices.Contains(t.line, "--whoami")
}

// ofShells are what a shell does itself: there is no such program, or it changes nothing.
var ofShells = []string{"cd", "export", "source", ".", "alias", "set", "unset", "ulimit", "umask", "eval"}

// mistaken says what to type for a command that isn't there, if it is known what was meant; else "".
// Values may be secret.
func mistaken(command []string) string {
	name := command[0]
	variable, _, assigns := strings.Cut(name, "=")
	switch {
	case len(command) == 1 && (name == "help" || name == "version"):
		return "brs-exec --" + name
	case runtime.GOOS == "windows": // has another shell
	case slices.Contains(ofShells, name):
		return "a shell does that itself: -- sh -c '" + name + " …'"
	case assigns && len(command) > 1 && !strings.Contains(variable, "/"):
		return "-- env " + variable + "=… " + shellWord(command[1])
	}
	return ""
}
