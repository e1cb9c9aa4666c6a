package main

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/alecthomas/kong"

	"brs-exec/internal/hint"
	"brs-exec/internal/procfs"
	"brs-exec/internal/rehearse"
	"brs-exec/internal/runner"
	"brs-exec/internal/share"
)

// sample is a value that each flag takes.
func sample(o *option) string {
	if words := choices[o.name]; words != nil {
		return words[len(words)-1] // no default is last
	}
	switch o.field.(type) {
	case *bool:
		return "true"
	case *time.Duration:
		return "90m"
	case *int:
		return "4711"
	}
	switch o.name {
	case "deliver":
		return "file,env"
	case "expect-account":
		return "210987654321"
	case "listen":
		return listenable[0]
	}
	return "some, value; with=everything"
}

// Every flag that configures does the same by its variable.
func TestEachFlagHasItsVariable(t *testing.T) {
	t.Parallel()
	windows := runtime.GOOS == "windows"
	refused := map[string]bool{ // here
		"rehearse": !rehearse.Supported, "share": !share.Supported, "from-share": !share.Supported,
		"linger": !procfs.Supported, "on-rotation": !procfs.Supported, "pty": windows, "kill-after": windows,
	}
	for name, o := range newCLI().options() {
		if !o.hasVariable() {
			continue
		}
		if name == "sandbox-ttl" || name == "rehearse-fail" || refused[name] {
			continue // for --sandbox and --rehearse alone; tested by their scripts
		}
		command := []string{"--", "true"}
		if name == "on-rotation" {
			command = []string{"--deliver=file", "--", "true"} // refused without a file
		}
		byFlag, _, err := parse(append([]string{"--" + name + "=" + sample(o)}, command...), nil, io.Discard)
		if err != nil {
			t.Errorf("--%s: %v", name, err)
			continue
		}
		byVariable, _, err := parse(command, []string{variable(name) + "=" + sample(o)}, io.Discard)
		if err == nil {
			byFlag.setBy, byVariable.setBy = nil, nil // that it was one is the only difference
		}
		if err != nil || !reflect.DeepEqual(byFlag, byVariable) {
			t.Errorf("%s: got %+v, %v; want as by the flag", variable(name), byVariable, err)
		}
		neither, _, err := parse(command, []string{variable(name) + "="}, io.Discard)
		if err == nil {
			neither.setBy = nil
		}
		if err != nil || reflect.DeepEqual(byFlag, neither) {
			t.Errorf("%s=: %v; want an empty variable to be an unset one", variable(name), err)
		}
	}
}

// The manual shows every flag, and each goes to a place of its own.
func TestManual(t *testing.T) {
	t.Parallel()
	var manual bytes.Buffer
	if _, done, err := parse([]string{"--help"}, nil, &manual); err != nil || !done {
		t.Fatal(done, err)
	}
	c := newCLI()
	options, places := c.options(), map[any]string{}
	if len(options) < 60 {
		t.Fatalf("only %d flags", len(options))
	}
	for name, o := range options {
		if other := places[o.field]; other != "" {
			t.Errorf("--%s goes where --%s goes", name, other)
		}
		places[o.field] = name
		if !strings.Contains(manual.String(), "--"+name) || o.help == "" {
			t.Errorf("--%s is not in the manual", name)
		}
	}
	for _, name := range slices.Concat(slices.Collect(maps.Keys(choices)), withoutVariable, common) {
		if options[name] == nil {
			t.Errorf("--%s is no flag", name)
		}
	}
	for _, o := range groupOf(t, c, "Run nothing") { // variables says that these have none
		if o.hasVariable() {
			t.Errorf("--%s runs nothing, and has a variable", o.name)
		}
		delete(options, o.name)
	}
	told := strings.FieldsFunc(variables, func(r rune) bool { return r == ' ' || r == ',' })
	for name, o := range options {
		if name != "role-arn" && o.hasVariable() == slices.Contains(told, "--"+name) {
			t.Errorf("--%s: the sentence on variables says otherwise", name)
		}
	}
}

// groupOf returns the flags of a heading.
func groupOf(t *testing.T, c *cli, title string) []*option {
	t.Helper()
	for _, g := range c.groups() {
		if g.title == title {
			return g.flags
		}
	}
	t.Fatalf("there is no group %q", title)
	return nil
}

// Every flag that the README names exists.
func TestReadmeFlags(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{"--query": true, "--output": true}                   // the aws cli's, and the other tools' of its table
	for _, theirs := range []string{"--exec", "--ecs-server", "--ec", "--mode"} { // --ec2-server: the word ends at 2
		known[theirs] = true
	}
	for name := range newCLI().options() {
		known["--"+name] = true
	}
	for _, word := range strings.FieldsFunc(string(readme), func(r rune) bool { return r != '-' && (r < 'a' || r > 'z') }) {
		if strings.HasPrefix(word, "--") && strings.Trim(word, "-") != "" && !known[word] {
			t.Errorf("README names %s, which is no flag", word)
		}
	}
}

// What is not UTF-8 comes from the command line as U+FFFD, or as it is: either way STS would be
// told something else.
func TestNoUTF8(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"--tags=a=b", "--tags=k=\ufffd"},
		{"--tags=k=\xff"},
		{"--transitive-tag-keys=\ufffd", "--tags=k=v"},
		{`--policy={"Sid":"\ufffd` + "\ufffd" + `"}`},
		{"--provided-contexts=ProviderArn=arn:aws:iam::aws:x,ContextAssertion=abcd\ufffd"},
		{"--profile=\ufffd"},
		{"--with-profile=\xff"},
		{"--credential-command=hush \ufffd"},
		{"--mfa-command=hush \xff"},
		{"--web-identity-token-command=hush \ufffd"},
		{"--audience=\ufffd", "--web-identity=github-actions"},
		{"--external-id=ab\ufffd"},
	} {
		bad := slices.IndexFunc(args, func(arg string) bool { return strings.ContainsRune(arg, utf8.RuneError) })
		flag, value, _ := strings.Cut(args[bad], "=")
		name := variable(flag[len("--"):])
		for want, env := range map[string][]string{flag: nil, name: {name + "=" + value}} {
			given := slices.Clone(args)
			if env != nil {
				given = slices.DeleteFunc(given, func(arg string) bool { return strings.HasPrefix(arg, flag+"=") })
			}
			_, _, err := parse(append(given, "--", "true"), env, io.Discard)
			if err == nil || err.Error() != want+" is not UTF-8" || !strings.Contains(hint.Of(err), "UTF-8") {
				t.Errorf("%q, %q: got %v", given, env, err)
			}
		}
	}
	if _, _, err := parse([]string{"--log-file=\xff", "--", "true"}, nil, io.Discard); err != nil {
		t.Errorf("a file's name: got %v", err)
	}
}

func TestDuration(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		in   string
		want time.Duration // -1: an error
	}{
		{"1h30m", 90 * time.Minute},
		{"3600", time.Hour},
		{"0", 0},
		{"0.5", 500 * time.Millisecond},
		{"250ms", 250 * time.Millisecond},
		{"-1", -1},
		{"-1h", -1},
		{"1x", -1},
		{"", -1},
		{"1e300", -1},
		{"NaN", -1},
		{"Inf", -1},
		{"9223372037", -1},
		{"0x10", -1},
	} {
		c, _, err := parse([]string{"--start-timeout=" + test.in, "true"}, nil, io.Discard)
		switch {
		case test.want < 0 && err == nil:
			t.Errorf("%q: got %v; want an error", test.in, c.refresh.StartTimeout)
		case test.want >= 0 && (err != nil || c.refresh.StartTimeout != test.want):
			t.Errorf("%q: got %v; want %v", test.in, err, test.want)
		}
	}
}

// grammar is a struct of the flags for kong.
func (c *cli) grammar() reflect.Value {
	short := map[string]string{"help": `short:"h"`}
	fields := []reflect.StructField{{
		Name: "Command", Type: reflect.TypeFor[[]string](), Tag: `arg:"" optional:"" passthrough:"partial"`,
	}}
	for _, g := range c.groups() {
		for _, o := range g.flags {
			fields = append(fields, reflect.StructField{
				Name: fmt.Sprintf("Flag%d", len(fields)), Type: reflect.TypeOf(o.field).Elem(),
				Tag: reflect.StructTag(fmt.Sprintf(`name:%q sep:"none" %s`, o.name, short[o.name])),
			})
		}
	}
	return reflect.New(reflect.StructOf(fields))
}

// byKong reads the flags as kong does, for FuzzParse.
func byKong(args []string) (*cli, error) {
	c := newCLI()
	grammar := c.grammar()
	duration := func(ctx *kong.DecodeContext, target reflect.Value) error {
		var text string
		if err := ctx.Scan.PopValueInto("duration", &text); err != nil {
			return err
		}
		d, err := readDuration(text)
		target.SetInt(int64(d))
		return err
	}
	k, err := kong.New(grammar.Interface(), kong.NoDefaultHelp(),
		kong.TypeMapper(reflect.TypeFor[time.Duration](), kong.MapperFunc(duration)))
	if err != nil {
		return nil, err
	}
	if _, err := k.Parse(args); err != nil {
		return nil, err
	}
	options := c.options()
	for _, f := range k.Model.Flags {
		if f.Set {
			c.setBy[f.Name] = "--" + f.Name
			reflect.ValueOf(options[f.Name].field).Elem().Set(f.Target)
		}
	}
	c.runner.Args = grammar.Elem().Field(0).Interface().([]string)
	if len(c.runner.Args) > 0 && c.runner.Args[0] == "--" {
		c.runner.Args = c.runner.Args[1:] // kong leaves the one that ended our flags
	}
	return c, c.verify(options)
}

// same compares what the flags say.
func same(a, b *cli) bool {
	noArgs := len(a.runner.Args)+len(b.runner.Args) == 0
	for name, o := range a.options() {
		other := b.options()[name]
		if !reflect.DeepEqual(o.field, other.field) {
			return false
		}
	}
	return noArgs || slices.Equal(a.runner.Args, b.runner.Args)
}

// FuzzParse: whatever the arguments, we read them as kong does; parse neither panics nor turns a
// misspelt flag into the command, and it changes nothing of the command's own words.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"--role-arn\x00R\x00--\x00echo\x00-n", "--nonsense\x00x", "-h", "--\x00--", "echo\x00--role-arn", "--tags=a=b,c\x00x\x00--tags",
		"-", "--=", "--role-arn=", "--port\x00-1\x00x", "--duration-seconds\x001e9\x00x", "---\x00x", "-\x00\x00",
		"--lazy=no\x00x", "--lazy\x00no", "--lazy=\x00x", "--port\x000x10\x00x", "-hh\x00x", "-h=1\x00x", "--token-in\x00file\x00x", "--token-in=\x00x",
	} {
		f.Add(seed, "BRS_EXEC_TAGS=a=1\nb=2")
	}
	f.Fuzz(func(t *testing.T, joined, variable string) {
		args := strings.Split(joined, "\x00")
		if utf8.ValidString(joined) { // or kong changes it
			ours := newCLI()
			err := ours.readFlags(ours.options(), args)
			kongs, kongErr := byKong(args)
			equal := err != nil || same(ours, kongs)
			if (err == nil) != (kongErr == nil) || !equal {
				t.Errorf("%q: got %+v, %v; kong reads %+v, %v", args, ours, err, kongs, kongErr)
			}
		}
		c, done, err := parse(args, []string{variable}, io.Discard)
		if err != nil || done || len(c.runner.Args) == 0 {
			return
		}
		if tail := args[len(args)-len(c.runner.Args):]; !reflect.DeepEqual(tail, c.runner.Args) {
			t.Errorf("%q: the command is %q; want the tail of the arguments", args, c.runner.Args)
		}
		if before := len(args) - len(c.runner.Args); strings.HasPrefix(c.runner.Args[0], "--") && (before == 0 || args[before-1] != "--") {
			t.Errorf("%q: the command is a flag, %q", args, c.runner.Args[0])
		}
	})
}

// What a refresh may read from a descriptor that came to us stays open.
func TestInheritsDescriptors(t *testing.T) {
	for _, tt := range []struct {
		args, env []string
		want      bool
	}{
		{args: []string{"--role-arn", "r"}},
		{args: []string{"--web-identity-token-file", "/dev/fd/3"}, want: true},
		{args: []string{"--web-identity-token-file", "/dev/stdin"}, want: true},
		{env: []string{"AWS_CONFIG_FILE=/proc/self/fd/3"}, want: true},
		{env: []string{"INPUT=/dev/stdin"}},
		{args: []string{"--sandbox"}},
		{args: []string{"--mfa-command", "head -n1 <&3"}, want: true},
	} {
		for _, command := range [][]string{{"cat"}, {"cat", "/dev/fd/3"}} {
			args := append(append(slices.Clone(tt.args), "--"), command...)
			c, _, err := parse(args, nil, io.Discard)
			if err != nil {
				t.Fatal(err)
			}
			if got := inheritsDescriptors(c, args[:len(args)-len(c.runner.Args)], tt.env); got != tt.want {
				t.Errorf("%q, %q: got %v; want %v", args, tt.env, got, tt.want)
			}
		}
	}
}

// TestOnWrapperDeath: what the system can't do is refused, if it is asked for.
func TestOnWrapperDeath(t *testing.T) {
	for _, word := range choices["on-wrapper-death"] {
		_, _, err := parse([]string{"--on-wrapper-death", word, "--", "true"}, nil, io.Discard)
		if can := slices.Contains(runner.Deaths, word); can != (err == nil) {
			t.Errorf("%s: got %v; can be done: %v", word, err, can)
		}
	}
	if _, _, err := parse([]string{"--", "true"}, nil, io.Discard); err != nil {
		t.Error(err)
	}
}
