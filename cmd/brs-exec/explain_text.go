package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"
	"unicode/utf8"
)

// The page of --explain for people: the verdict and what to type first, on one
// screen with the identity; then how it came to that.

// painter colours words, or leaves them.
type painter bool

const (
	bold  = "1"
	red   = "1;31"
	green = "1;32"
)

func (p painter) paint(code, s string) string {
	if !p {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// colourful says whether w is a terminal whose user wants colours.
// https://no-color.org: set and not empty.
func colourful(w io.Writer, env []string) painter {
	none, _ := lookup(env, "NO_COLOR")
	term, _ := lookup(env, "TERM")
	f, ok := w.(*os.File)
	if !ok || none != "" || term == "" || term == "dumb" || runtime.GOOS == "windows" {
		return false
	}
	info, err := f.Stat()
	return painter(err == nil && info.Mode()&os.ModeCharDevice != 0)
}

func (x *explanation) text(c *cli, p painter) string {
	var b strings.Builder
	if x.Works {
		fmt.Fprintf(&b, "%s: the command would be %s\n", p.paint(green, "WORKS"), x.who())
	} else {
		fmt.Fprintf(&b, "%s: %s\n", p.paint(red, "DOES NOT WORK"), x.Error)
	}
	label := "To do"
	for _, r := range x.Remedy {
		fmt.Fprintf(&b, "%-11s%s\n", label, r)
		label = ""
	}
	b.WriteByte('\n')
	for _, f := range x.facts(c) {
		fmt.Fprintf(&b, "%-11s%s\n", f[0], f[1])
	}
	x.candidates(&b, p)
	x.chain(&b, p)
	x.outranking(&b, p)
	if len(x.Messages) > 0 {
		heading(&b, p, "Messages")
		for _, m := range x.Messages {
			b.WriteString("  " + m + "\n")
		}
	}
	return b.String()
}

func heading(b *strings.Builder, p painter, s string) { b.WriteString("\n" + p.paint(bold, s) + "\n") }

func (x *explanation) who() string {
	if x.Arn == "" {
		return "somebody whom STS doesn't name"
	}
	return oneLine(x.Arn)
}

// facts are the lines below the verdict.
func (x *explanation) facts(c *cli) (out [][2]string) {
	add := func(name, value string) {
		if value != "" {
			out = append(out, [2]string{name, value})
		}
	}
	add("Source", x.Source)
	add("Account", oneLine(x.Account))
	add("Key", x.AccessKeyID)
	if x.AccessKeyID != "" {
		add("Expires", x.expires())
		add("Refreshed", x.refreshed(c))
		add("Renewable", x.renewable())
	}
	add("STS", oneLine(x.STS))
	add("Clock", x.clockText())
	add("brs-exec", x.Version+", "+x.Platform)
	return out
}

func (x *explanation) expires() string {
	if x.Expiration == nil {
		if x.endless {
			return "some day: the session doesn't say when"
		}
		return "never"
	}
	return x.Expiration.Format(time.RFC3339) + ", in " + short(time.Duration(x.Life)*time.Second)
}

func (x *explanation) refreshed(c *cli) string {
	switch {
	case x.raw:
		return "never: --no-session hands the keys over as they are"
	case x.frozen:
		return "never in the command: it has the keys as variables (--deliver env)"
	case x.RefreshAfter == nil:
		return "nothing says when: the source is asked again about every half hour"
	}
	var bounds [2]string
	for i, s := range x.RefreshAfter {
		bounds[i] = short(time.Duration(s) * time.Second)
	}
	when := "between " + bounds[0] + " and " + bounds[1]
	if bounds[0] == bounds[1] {
		when = bounds[0]
	}
	if c.Lazy {
		return "by the first request that comes " + when + " after a fetch, or later (--lazy)"
	}
	return when + " after each fetch, about half of the life"
}

func (x *explanation) renewable() string {
	if x.RenewableUntil == nil {
		if x.endless {
			return "not by brs-exec: it reads again what is there"
		}
		return "without a person: no end is known"
	}
	return "without a person until " + x.RenewableUntil.Format(time.RFC3339) + ", for " + short(coarse(time.Until(*x.RenewableUntil)))
}

func (x *explanation) clockText() string {
	if x.ClockAhead == nil {
		return "not compared: STS was not asked, or did not answer"
	}
	off := time.Duration(*x.ClockAhead) * time.Second
	switch {
	case off.Abs() <= 2*time.Second:
		return "in step with STS's"
	case off > 0:
		return short(off) + " ahead of STS's"
	}
	return short(-off) + " behind STS's"
}

// short is a duration without what nobody reads: 1h, 59m59s, 1.5s.
func short(d time.Duration) string {
	d = d.Round(time.Second)
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

func (x *explanation) candidates(b *strings.Builder, p painter) {
	heading(b, p, "Where the credentials come from: the first that is there")
	wide := 0
	for _, r := range x.Candidates {
		wide = max(wide, min(utf8.RuneCountInString(r.Name), 40))
	}
	for _, r := range x.Candidates {
		state := fmt.Sprintf("%-10s", r.State)
		if r.State == "chosen" {
			state = p.paint(bold, state)
		}
		fmt.Fprintf(b, "  %s%-*s  %s\n", state, wide, r.Name, r.Why)
	}
}

func (x *explanation) chain(b *strings.Builder, p painter) {
	if len(x.Steps) == 0 {
		return
	}
	heading(b, p, "What was asked")
	for _, s := range x.Steps {
		took := ""
		if s.Outcome != unreached {
			took = fmt.Sprintf("%d ms", s.Milliseconds)
		}
		fmt.Fprintf(b, "  %-12s%9s  %s\n", s.Outcome, took, s.Name)
		if s.Error != "" {
			fmt.Fprintf(b, "%25s%s\n", "", s.Error)
		}
		if s.Hint != "" {
			fmt.Fprintf(b, "%25shint: %s\n", "", s.Hint)
		}
	}
}

func (x *explanation) outranking(b *strings.Builder, p painter) {
	if x.raw {
		return
	}
	heading(b, p, "What would outrank the endpoint here")
	if len(x.Outranking) == 0 {
		b.WriteString("  nothing\n")
	}
	for _, r := range x.Outranking {
		fmt.Fprintf(b, "  %s, in %s\n      why: %s\n      for the command: %s\n", oneLine(r.Name), r.In, r.Why, r.Does)
	}
}
