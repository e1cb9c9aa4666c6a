package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

const usage = `Usage: brs-exec [flags] [--] COMMAND [ARG ...]

Run a command with AWS credentials that don't expire while it runs.

  $ brs-exec --role-arn arn:aws:iam::123456789012:role/etl -- python3 etl.py
  $ brs-exec --profile etl -- terraform apply
  $ brs-exec --profile etl --explain
  $ brs-exec --sandbox -- aws sts get-caller-identity

`

const (
	variables = "Each flag has a variable, BRS_EXEC_ROLE_ARN for --role-arn, except --token-code, --serve, --ready, " +
		"--sandbox and those that run nothing. A flag beats its variable; an empty variable counts as unset; " +
		"a list has one value a line. A DURATION is 1h30m, or a number of seconds."
	statuses = "Exit status: the command's own, or death by the same signal; 125 brs-exec failed and the command was " +
		"not started; 124 brs-exec failed while the command ran; 126 the command cannot be run; 127 it was not found."
	shortEnd = "--help lists all flags."
)

// helpPage is the page that --help prints, or -h: lines of at most width.
func (c *cli) helpPage(width int) string {
	var page strings.Builder
	page.WriteString(usage)
	if c.helpShort {
		options := c.options()
		for _, name := range common {
			o := *options[name]
			o.help = o.brief()
			writeFlag(&page, &o, width)
		}
		page.WriteString("\n" + shortEnd + "\n")
		return page.String()
	}
	fmt.Fprintf(&page, "%s\n\n", wrap(variables, width, ""))
	for _, g := range c.groups() {
		page.WriteString(g.title + ":\n")
		for _, o := range g.flags {
			writeFlag(&page, o, width)
		}
		page.WriteByte('\n')
	}
	page.WriteString(wrap(statuses, width, "") + "\n")
	return page.String()
}

// writeFlag writes an entry of the page: its text begins beside the flag if there is room, or on
// the next line.
func writeFlag(page *strings.Builder, o *option, width int) {
	const column = 30
	left, indent := "  "+o.usage(), strings.Repeat(" ", column)
	text := wrap(o.help, width-column, indent)
	if len(left) > column-2 {
		fmt.Fprintf(page, "%s\n%s%s\n", left, indent, text)
		return
	}
	fmt.Fprintf(page, "%-*s%s\n", column, left, text)
}

// brief is the help up to its details: what the flag does comes first.
func (o *option) brief() string {
	if end := strings.IndexAny(o.help, ";:("); end > 0 {
		return strings.TrimSpace(o.help[:end])
	}
	return o.help
}

// usage is the flag as one types it.
func (o *option) usage() string {
	if o.name == "help" {
		return "-h, --help"
	}
	return strings.TrimSpace("--" + o.name + " " + o.placeholder)
}

// wrap breaks text into lines of at most width; all but the first begin with indent, which does not
// count.
func wrap(text string, width int, indent string) string {
	var b strings.Builder
	used := 0
	for word := range strings.FieldsSeq(text) {
		switch {
		case used == 0:
		case used+1+len(word) > width:
			b.WriteString("\n" + indent)
			used = 0
		default:
			b.WriteByte(' ')
			used++
		}
		b.WriteString(word)
		used += len(word)
	}
	return b.String()
}

// widthOf is that of the terminal, up to 100: longer lines are hard to read. What is no terminal
// has 80.
func widthOf(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok {
		return 80
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil || width == 0 {
		return 80
	}
	return min(max(width, 70), 100)
}
