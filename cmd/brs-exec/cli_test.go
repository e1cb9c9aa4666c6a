package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

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
	case f.Enum != "":
		other := slices.DeleteFunc(f.EnumSlice(), func(v string) bool { return v == f.Default })
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
		if !configures(f) {
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
			byVariable.variables = nil // that it was one is the only difference
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
		if configures(f) && !strings.Contains(manual.String(), "$"+variable(f.Name)) {
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

// A message is one line, whoever wrote the text, and can't drive the terminal.
func TestReport(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	report(&b, hinted(errors.New("assume role: AccessDenied: a\nb\r\n\x1b[2Jc\u202e"), "try\nthis"))
	if got, want := b.String(), "brs-exec: assume role: AccessDenied: a b �[2Jc�\nbrs-exec: hint: try this\n"; got != want {
		t.Errorf("got %q; want %q", got, want)
	}
}

func TestLineHandler(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	log, closer, err := newLogger(&cli{LogLevel: "info", LogFormat: "text"}, &b)
	if err != nil {
		t.Fatal(err)
	}
	defer closer.Close()
	log.Debug("unheard")
	log.With("a", 1).Info("rotated", "expires", time.Unix(0, 0), "life", 3599_876*time.Millisecond, "short", 12*time.Millisecond)
	log.WithGroup("sts").Warn("two\nlines", "error", errors.New("x\ny"))
	log.Error("gone", slog.Group("g", "k", "v"))
	log.Warn("over", "error", fmt.Errorf("z: %w", hinted(errors.New("y"), "log in\nanew")), "retry_in", time.Second)
	want := "brs-exec: rotated (a=1, expires=1970-01-01T00:00:00Z, life=59m59.9s, short=12ms)\n" +
		"brs-exec: warning: two lines (sts.error=x y)\n" +
		"brs-exec: error: gone (g=[k=v])\n" +
		"brs-exec: warning: over (error=z: y, retry_in=1s)\nbrs-exec: hint: log in anew\n"
	if b.String() != want {
		t.Errorf("got\n%s; want\n%s", b.String(), want)
	}
}

func TestHintsInJSON(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	log, closer, err := newLogger(&cli{LogLevel: "info", LogFormat: "json"}, &b)
	if err != nil {
		t.Fatal(err)
	}
	defer closer.Close()
	log.Warn("over", "error", hinted(errors.New("y"), "log in anew"))
	log.Warn("over", "error", errors.New("y"))
	with, without, _ := strings.Cut(b.String(), "\n")
	begins := fmt.Sprintf(`"msg":"over","wrapper":%d,"error":"y"`, os.Getpid())
	if !strings.HasSuffix(with, begins+`,"hint":"log in anew"}`) || !strings.HasSuffix(without, begins+"}\n") {
		t.Errorf("got\n%s", b.String())
	}
}

// FuzzParse: whatever the arguments, parsing what they mention is parsing them
// with all flags; parse neither panics nor turns a misspelt
// flag into the command, and it changes nothing of the command's own words.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"--role-arn\x00R\x00--\x00echo\x00-n", "--nonsense\x00x", "-h", "--\x00--", "echo\x00--role-arn", "--tags=a=b,c\x00x\x00--tags",
		"-", "--=", "--role-arn=", "--port\x00-1\x00x", "--duration-seconds\x001e9\x00x", "---\x00x", "-\x00\x00",
	} {
		f.Add(seed, "BRS_EXEC_TAGS=a=1\nb=2")
	}
	f.Fuzz(func(t *testing.T, joined, variable string) {
		args := strings.Split(joined, "\x00")
		whole, wholeErr := parseWith(reflect.VisibleFields(reflect.TypeFor[cli]()), args, []string{variable})
		part, partErr := parseWith(mentioned(args, []string{variable}), args, []string{variable})
		if (wholeErr == nil) != (partErr == nil) || !reflect.DeepEqual(whole, part) {
			t.Errorf("%q, %q: got %+v, %v; want %+v, %v", args, variable, part, partErr, whole, wholeErr)
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
func TestReadsDescriptors(t *testing.T) {
	for _, tt := range []struct {
		args, env []string
		c         cli
		want      bool
	}{
		{args: []string{"--role-arn", "r", "--", "cat", "/dev/fd/3"}, c: cli{Command: []string{"cat", "/dev/fd/3"}}},
		{args: []string{"--web-identity-token-file", "/dev/fd/3", "--", "cat"}, c: cli{Command: []string{"cat"}}, want: true},
		{env: []string{"AWS_CONFIG_FILE=/proc/self/fd/3"}, c: cli{Command: []string{"cat"}}, want: true},
		{env: []string{"INPUT=/dev/stdin"}, c: cli{Command: []string{"cat"}}},
		{args: []string{"--sandbox"}, c: cli{Command: []string{"self", "--demo-client=4s"}}},
		{c: cli{MFACommand: "head -n1 <&3"}, want: true},
	} {
		if got := tt.c.readsDescriptors(tt.args, tt.env); got != tt.want {
			t.Errorf("%q, %q: got %v; want %v", tt.args, tt.env, got, tt.want)
		}
	}
}
