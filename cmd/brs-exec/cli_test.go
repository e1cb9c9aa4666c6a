package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/alecthomas/kong"

	"brs-exec/internal/rehearse"
)

// flags are all flags of the command line, from the model itself.
func flags(t *testing.T) []*kong.Flag {
	t.Helper()
	k, err := kong.New(new(cli), kong.NoDefaultHelp(), kong.PostBuild(describe))
	if err != nil {
		t.Fatal(err)
	}
	if len(k.Model.Flags) < 30 {
		t.Fatalf("only %d flags", len(k.Model.Flags))
	}
	return k.Model.Flags
}

// sample is a value that each flag takes.
func sample(f *kong.Flag) string {
	switch {
	case f.Tag.Has("oneof"):
		other := slices.DeleteFunc(strings.Split(f.Tag.Get("oneof"), ","), func(v string) bool { return v == f.Default })
		return other[0]
	case f.Name == "deliver":
		return "file,env"
	case f.IsBool():
		return "true"
	case f.Target.Type() == reflect.TypeFor[time.Duration]():
		return "90m"
	case f.Target.Kind().String() == "int":
		return "4711"
	}
	return "some, value; with=everything"
}

// Every flag that configures does the same by its variable.
func TestEachFlagHasItsVariable(t *testing.T) {
	t.Parallel()
	for _, f := range flags(t) {
		if f.Tag.Has("novar") {
			continue
		}
		if f.Name == "sandbox-ttl" || f.Name == "rehearse-fail" || f.Name == "rehearse" && !rehearse.Supported {
			continue // for --sandbox and --rehearse alone; tested by their scripts
		}
		byFlag, _, err := parse([]string{"--" + f.Name + "=" + sample(f), "--", "true"}, nil, io.Discard)
		if err != nil {
			t.Errorf("--%s: %v", f.Name, err)
			continue
		}
		byVariable, _, err := parse([]string{"true"}, []string{variable(f.Name) + "=" + sample(f)}, io.Discard)
		if err == nil {
			byVariable.byVariable = nil // that it was one is the only difference
		}
		if err != nil || !reflect.DeepEqual(byFlag, byVariable) {
			t.Errorf("%s: got %+v, %v; want as by the flag", variable(f.Name), byVariable, err)
		}
		neither, _, err := parse([]string{"true"}, []string{variable(f.Name) + "="}, io.Discard)
		if err != nil || reflect.DeepEqual(byFlag, neither) {
			t.Errorf("%s=: %v; want an empty variable to be an unset one", variable(f.Name), err)
		}
	}
}

// The manual shows every flag, and nothing else is a flag.
func TestManual(t *testing.T) {
	t.Parallel()
	var manual bytes.Buffer
	if _, done, err := parse([]string{"--help"}, nil, &manual); err != nil || !done {
		t.Fatal(done, err)
	}
	for _, f := range flags(t) {
		if f.Hidden {
			continue
		}
		if !strings.Contains(manual.String(), "--"+f.Name) || f.Help == "" {
			t.Errorf("--%s is not in the manual", f.Name)
		}
		if !f.Tag.Has("novar") && !strings.Contains(manual.String(), "$"+variable(f.Name)) {
			t.Errorf("%s is not in the manual", variable(f.Name))
		}
	}
	all, err := kong.New(new(cli), kong.NoDefaultHelp())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all.Model.Flags {
		if !f.Hidden && !strings.Contains(manual.String(), "--"+f.Name) {
			t.Errorf("--%s is not in the manual", f.Name)
		}
	}
}

// Every flag that the README names exists.
func TestReadmeFlags(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{"--query": true, "--output": true} // the aws cli's
	for _, f := range flags(t) {
		known["--"+f.Name] = true
	}
	for _, word := range strings.FieldsFunc(string(readme), func(r rune) bool { return r != '-' && (r < 'a' || r > 'z') }) {
		if strings.HasPrefix(word, "--") && strings.Trim(word, "-") != "" && !known[word] {
			t.Errorf("README names %s, which is no flag", word)
		}
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
		c, _, err := parse([]string{"--kill-after=" + test.in, "true"}, nil, io.Discard)
		switch {
		case test.want < 0 && err == nil:
			t.Errorf("%q: got %v; want an error", test.in, c.KillAfter)
		case test.want >= 0 && (err != nil || c.KillAfter != test.want):
			t.Errorf("%q: got %v; want %v", test.in, err, test.want)
		}
	}
}

// byKong reads the flags as kong does, for FuzzParse.
func byKong(args []string) (*cli, error) {
	grammar := new(cli)
	duration := func(ctx *kong.DecodeContext, target reflect.Value) error {
		var text string
		if err := ctx.Scan.PopValueInto("duration", &text); err != nil {
			return err
		}
		d, err := readDuration(text)
		target.SetInt(int64(d))
		return err
	}
	k, err := kong.New(grammar, kong.NoDefaultHelp(), kong.TypeMapper(reflect.TypeFor[time.Duration](), kong.MapperFunc(duration)))
	if err != nil {
		return nil, err
	}
	if _, err := k.Parse(args); err != nil {
		return nil, err
	}
	if len(grammar.Command) > 0 && grammar.Command[0] == "--" {
		grammar.Command = grammar.Command[1:] // kong leaves the one that ended our flags
	}
	parsed := *grammar
	options := grammar.options() // sets defaults once more
	*grammar = parsed
	for _, f := range k.Model.Flags {
		options[f.Name].isSet = f.Set
	}
	return grammar, verify(options, grammar.given)
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
			ours := new(cli)
			err := ours.readFlags(ours.options(), args)
			kongs, kongErr := byKong(args)
			same := err != nil || reflect.DeepEqual(ours, kongs) || len(ours.Command)+len(kongs.Command) == 0
			if (err == nil) != (kongErr == nil) || !same {
				t.Errorf("%q: got %+v, %v; kong reads %+v, %v", args, ours, err, kongs, kongErr)
			}
		}
		c, done, err := parse(args, []string{variable}, io.Discard)
		if err != nil || done || len(c.Command) == 0 {
			return
		}
		if tail := args[len(args)-len(c.Command):]; !reflect.DeepEqual(tail, c.Command) {
			t.Errorf("%q: the command is %q; want the tail of the arguments", args, c.Command)
		}
		if before := len(args) - len(c.Command); strings.HasPrefix(c.Command[0], "--") && (before == 0 || args[before-1] != "--") {
			t.Errorf("%q: the command is a flag, %q", args, c.Command[0])
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
			if got := inheritsDescriptors(c, args[:len(args)-len(c.Command)], tt.env); got != tt.want {
				t.Errorf("%q, %q: got %v; want %v", args, tt.env, got, tt.want)
			}
		}
	}
}
