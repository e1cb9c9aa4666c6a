package main

import (
	_ "embed" // the scripts
	"fmt"
	"io"
	"slices"
	"strings"

	"brs-exec/internal/awsconfig"
)

// The completion scripts of the shells. They know no flag: they ask by completeFlag.
var (
	//go:embed completions/brs-exec.bash
	bashCompletion string
	//go:embed completions/_brs-exec
	zshCompletion string
	//go:embed completions/brs-exec.fish
	fishCompletion string
)

// completionScript is what --completion prints.
func completionScript(shell string) string {
	return map[string]string{"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion}[shell]
}

// completeFlag asks what the last of the words behind it may become, the words being those of a
// command line behind "brs-exec". It is no flag of cli: no mistake in the line may make it fail.
const completeFlag = "--complete"

// complete prints a candidate a line, with a tab and its description, or ":files PREFIX",
// ":folders PREFIX" (the word is the prefix and a path) or ":command N" (from word N, counted
// from 0, on it is the command, whose own completion has to be asked).
func complete(words, env []string, stdout io.Writer) error {
	if len(words) == 0 {
		words = []string{""}
	}
	_, err := io.WriteString(stdout, newCLI().candidates(words, env))
	return err
}

func (c *cli) candidates(words, env []string) string {
	options, last := c.options(), len(words)-1
	given := make(map[string]bool)
	for i := 0; i <= last; i++ {
		word, value, assigned := strings.Cut(words[i], "=")
		o := options[strings.TrimPrefix(word, "--")]
		switch {
		case i < last && words[i] == "--":
			return fmt.Sprintf(":command %d\n", i+1)
		case !strings.HasPrefix(word, "-") || i < last && word == "-":
			return fmt.Sprintf(":command %d\n", i)
		case i == last && assigned && o != nil:
			return o.values(word+"=", value, env)
		case i == last:
			return c.flagsBut(given)
		case o == nil:
			continue
		case !o.isBool() && !assigned && i+1 == last:
			return o.values("", words[last], env)
		case !o.isBool() && !assigned:
			i++
		}
		_, repeatable := o.field.(*[]string)
		given[o.name] = !repeatable
	}
	return ""
}

// flagsBut are the flags that can still be given.
func (c *cli) flagsBut(given map[string]bool) string {
	var b strings.Builder
	for _, g := range c.groups() {
		for _, o := range g.flags {
			if !given[o.name] {
				fmt.Fprintf(&b, "--%s\t%s\n", o.name, o.brief())
			}
		}
	}
	return b.String()
}

// values are those that the flag may have, each behind prefix, of which the user has typed the
// beginning.
func (o *option) values(prefix, typed string, env []string) string {
	switch o.placeholder {
	case "FILE":
		return ":files " + prefix + "\n"
	case "DIR":
		return ":folders " + prefix + "\n"
	}
	var words []string
	switch o.name {
	case "profile", "with-profile":
		words = profileNames(env)
	case "region":
		words = strings.Fields(regions)
	case "listen":
		words = listenable
	case "web-identity":
		words = []string{"github-actions"}
	case "deliver":
		prefix += typed[:strings.LastIndex(typed, ",")+1]
		words = slices.DeleteFunc(slices.Clone(ways), func(way string) bool {
			return slices.Contains(strings.Split(typed, ","), way)
		})
	default:
		words = choices[o.name]
	}
	var b strings.Builder
	for _, word := range words {
		fmt.Fprintf(&b, "%s%s\t%s\n", prefix, word, o.brief())
	}
	return b.String()
}

// profileNames are those of the AWS files; none if they can't be read.
func profileNames(env []string) []string {
	identity, err := awsconfig.Locate(env).ReadIdentity()
	if err != nil {
		return nil
	}
	return identity.Names()
}

// regions are AWS's, of the partitions that anybody can use.
const regions = `
af-south-1 ap-east-1 ap-east-2 ap-northeast-1 ap-northeast-2 ap-northeast-3 ap-south-1 ap-south-2
ap-southeast-1 ap-southeast-2 ap-southeast-3 ap-southeast-4 ap-southeast-5 ap-southeast-6
ap-southeast-7 ca-central-1 ca-west-1 cn-north-1 cn-northwest-1 eu-central-1 eu-central-2 eu-north-1
eu-south-1 eu-south-2 eu-west-1 eu-west-2 eu-west-3 eusc-de-east-1 il-central-1 me-central-1
me-south-1 mx-central-1 sa-east-1 us-east-1 us-east-2 us-gov-east-1 us-gov-west-1 us-west-1
us-west-2
`
