// Package explain renders the page of --explain: why a run would work or not, and what to type.
//
// A [Page] is plain data. As JSON it is what docs/MACHINE.md promises to machines; [Page.Text] is
// for people: first, on one screen, the verdict, what to type and the identity; then how it came to
// that. The page is meant to be pasted into an issue: whoever fills it puts in nothing secret, nor
// anything that may hold a secret (command lines, external ids, policies, URLs).
package explain

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// A Page is all that is told. Times are in whole seconds.
type Page struct {
	Works  bool
	Error  string   `json:",omitempty"` // why it doesn't
	Remedy []string // what to type, or that there is nothing to do; never empty

	Account, Arn, UserId string     `json:",omitempty"` //nolint:revive // AWS's spelling, as in --whoami
	Sandbox              bool       `json:",omitempty"` // it is no AWS account
	Source               string     `json:",omitempty"`
	ServedBy             string     `json:",omitempty"`            // who serves the share that is the source
	Share                string     `json:",omitempty"`            // how the folder stands that the run would serve from
	STS                  string     `json:",omitempty"`            // which one is asked
	AccessKeyID          string     `json:"AccessKeyId,omitempty"` // its last four characters
	Expiration           *time.Time `json:",omitempty"`            // absent: never, as far as is known
	RenewableUntil       *time.Time `json:",omitempty"`            // absent: no end is known
	Life                 float64    `json:",omitempty"`            // seconds that are left
	RefreshAfter         []float64  `json:",omitempty"`            // seconds, from and to
	ClockAhead           *float64   `json:",omitempty"`            // seconds, of STS's; absent: STS was not asked

	Profiles   []Profile   `json:",omitempty"` // further ones that the command may use
	Candidates []Candidate // where the chain could begin, in order
	Steps      []Step
	Outranking []Rival  // what the command is kept from
	Messages   []string // what a run would say on stderr
	Version    string
	Platform   string

	// For people.
	UnknownEnd  bool   `json:"-"` // a session that doesn't say when it ends
	NoEndpoint  bool   `json:"-"` // the command has keys that nothing outranks
	Unrefreshed string `json:"-"` // why the keys stay as they are; "": they don't
	OnRequest   string `json:"-"` // by what option a request starts the refresh; "": time does
}

// A Profile is what is known of a further identity before anybody asks for it.
type Profile struct {
	Name           string
	Source         string     `json:",omitempty"`
	Account        string     `json:",omitempty"` // as its own settings have it; absent: they don't
	RenewableUntil *time.Time `json:",omitempty"` // absent: no end is known
	Error          string     `json:",omitempty"` // why it can't be used
}

// A Candidate is a place where the chain could begin.
type Candidate struct{ Name, State, Why string }

// A Step is one step of the chain. One that was not reached took no time.
type Step struct {
	Name         string
	Outcome      Outcome
	Milliseconds int64
	Error        string `json:",omitempty"`
	Hint         string `json:",omitempty"`
}

// An Outcome is what came of a step.
type Outcome string

// The outcomes.
const (
	OK         Outcome = "ok"
	Failed     Outcome = "failed"
	NotReached Outcome = "not reached"
)

// A Rival outranks the endpoint in some SDKs.
type Rival struct {
	Name string // the variables, or the section of a file
	In   string // the SDKs
	Why  string
	Does string // what happens to it for the command
}

// Text renders the page for people. What others wrote is in it: oneLine sees to it that a line is
// one.
func (p *Page) Text(oneLine func(string) string) string {
	b := &printer{oneLine: oneLine}
	if p.Works {
		who := p.Arn
		if who == "" {
			who = "somebody whom STS doesn't name"
		}
		b.line("WORKS: the command would be %s", who)
	} else {
		b.line("DOES NOT WORK: %s", p.Error)
	}
	label := "To do"
	for _, r := range p.Remedy {
		b.line("%-11s%s", label, r)
		label = ""
	}
	b.line("")
	for _, fact := range p.facts() {
		if fact[1] != "" {
			b.line("%-11s%s", fact[0], fact[1])
		}
	}
	p.printProfiles(b)
	p.printCandidates(b)
	p.printSteps(b)
	p.printRivals(b)
	if len(p.Messages) > 0 {
		b.heading("Messages")
		for _, m := range p.Messages {
			b.line("  %s", m)
		}
	}
	return b.String()
}

// facts are the lines below the verdict.
func (p *Page) facts() [][2]string {
	facts := [][2]string{{"Source", p.Source}, {"Served by", p.ServedBy}, {"Account", p.account()}, {"Key", p.AccessKeyID}}
	if p.AccessKeyID != "" {
		facts = append(facts, [2]string{"Expires", p.expires()}, [2]string{"Refreshed", p.refreshed()},
			[2]string{"Renewable", p.renewable()})
	}
	return append(facts, [2]string{"Share", p.Share}, [2]string{"STS", p.STS}, [2]string{"Clock", p.Clock()},
		[2]string{"brs-exec", p.Version + ", " + p.Platform})
}

func (p *Page) account() string {
	if p.Sandbox {
		return p.Account + ", of a sandbox: no AWS account"
	}
	return p.Account
}

func (p *Page) expires() string {
	switch {
	case p.Expiration != nil:
		return p.Expiration.Format(time.RFC3339) + ", in " + Short(seconds(p.Life))
	case p.UnknownEnd:
		return "some day: the session doesn't say when"
	}
	return "never"
}

func (p *Page) refreshed() string {
	switch {
	case p.Unrefreshed != "":
		return p.Unrefreshed
	case len(p.RefreshAfter) != 2:
		return "nothing says when: the source is asked again about every half hour"
	}
	from, to := Short(seconds(p.RefreshAfter[0])), Short(seconds(p.RefreshAfter[1]))
	when := "between " + from + " and " + to
	if from == to {
		when = from
	}
	if p.OnRequest != "" {
		return "by the first request that comes " + when + " after a fetch, or later (" + p.OnRequest + ")"
	}
	return when + " after each fetch, about half of the life"
}

func (p *Page) renewable() string {
	switch {
	case p.RenewableUntil != nil:
		left := Short(Coarse(time.Until(*p.RenewableUntil)))
		return "without a person until " + p.RenewableUntil.Format(time.RFC3339) + ", for " + left
	case p.UnknownEnd:
		return "not by brs-exec: it reads again what is there"
	}
	return "without a person: no end is known"
}

// Clock says how this machine's clock stands to STS's.
func (p *Page) Clock() string {
	if p.ClockAhead == nil {
		return "not compared: STS was not asked, or did not answer"
	}
	off := seconds(*p.ClockAhead)
	switch {
	case off.Abs() <= 2*time.Second: // a Date header counts whole seconds, and the answer takes its time
		return "in step with STS's"
	case off > 0:
		return Short(off) + " ahead of STS's"
	}
	return Short(-off) + " behind STS's"
}

func (p *Page) printProfiles(b *printer) {
	if len(p.Profiles) == 0 {
		return
	}
	b.heading("Further profiles, asked for nothing yet")
	width := column(p.Profiles, func(f Profile) string { return f.Name })
	for _, f := range p.Profiles {
		account, rest := f.Account, f.Source
		if account == "" {
			account = "?"
		}
		if f.RenewableUntil != nil {
			rest += ", renewable until " + f.RenewableUntil.Format(time.RFC3339)
		}
		if f.Error != "" {
			rest = "can't be used: " + f.Error
		}
		b.line("  %-*s  %-12s  %s", width, f.Name, account, rest)
	}
}

func (p *Page) printCandidates(b *printer) {
	b.heading("Where the credentials come from: the first that is there")
	width := column(p.Candidates, func(c Candidate) string { return c.Name })
	for _, c := range p.Candidates {
		b.line("  %-10s%-*s  %s", c.State, width, c.Name, c.Why)
	}
}

// column is how wide the names of a table are; few are longer than 40 characters.
func column[T any](rows []T, name func(T) string) (width int) {
	for _, row := range rows {
		width = max(width, min(utf8.RuneCountInString(name(row)), 40))
	}
	return width
}

func (p *Page) printSteps(b *printer) {
	if len(p.Steps) > 0 {
		b.heading("What was asked")
	}
	for _, s := range p.Steps {
		took := ""
		if s.Outcome != NotReached {
			took = fmt.Sprintf("%d ms", s.Milliseconds)
		}
		b.line("  %-12s%9s  %s", s.Outcome, took, s.Name)
		if s.Error != "" {
			b.line("%25s%s", "", s.Error)
		}
		if s.Hint != "" {
			b.line("%25shint: %s", "", s.Hint)
		}
	}
}

func (p *Page) printRivals(b *printer) {
	if p.NoEndpoint {
		return
	}
	b.heading("What would outrank the endpoint here")
	if len(p.Outranking) == 0 {
		b.line("  nothing")
	}
	for _, r := range p.Outranking {
		b.line("  %s, in %s", r.Name, r.In)
		b.line("      why: %s", r.Why)
		b.line("      for the command: %s", r.Does)
	}
}

// printer collects lines.
type printer struct {
	strings.Builder
	oneLine func(string) string
}

func (b *printer) line(format string, args ...any) {
	b.WriteString(b.oneLine(fmt.Sprintf(format, args...)) + "\n")
}

func (b *printer) heading(s string) {
	b.line("")
	b.line("%s", s)
}

// Coarse rounds off what STS's whole seconds and the time of a call may have added or taken.
func Coarse(d time.Duration) time.Duration {
	if d.Abs() < time.Minute {
		return d.Round(time.Second)
	}
	return d.Round(5 * time.Second)
}

// Short is a duration without what nobody reads: 1h, 59m59s, 2s.
func Short(d time.Duration) string {
	s := d.Round(time.Second).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func seconds(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }
