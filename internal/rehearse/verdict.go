package rehearse

import (
	"fmt"
	"strings"
	"time"
)

// Kind is what is said of a process.
type Kind int

const (
	NotExercised Kind = iota // nothing was proved
	Refreshes                // it will live longer than its credentials
	WouldFail                // it won't
)

func (k Kind) String() string {
	return [...]string{"not exercised", "refreshes", "would fail"}[k]
}

// Verdict is the judgement of one process, or of several that ended early.
type Verdict struct {
	Kind
	Name      string // and first file argument
	PID       int    // 0: not known, or several
	Processes int
	Fetches   int
	line      string
}

// String is one line, which holds exactly one of the three words of Kind; the name apart.
func (v Verdict) String() string { return v.line }

func (s *subject) verdict() Verdict {
	v := Verdict{Kind: s.judge(), Name: s.name, PID: s.pid, Processes: s.processes, Fetches: s.fetches}
	switch {
	case s.processes > 1:
		v.PID = 0
		v.line = fmt.Sprintf("%s (%d processes): %s", s.name, s.processes, s.crowd())
	case s.pid == 0:
		v.line = fmt.Sprintf("%s: fetched %s: not exercised: %s", s.name, times(s.fetches), unseen)
	default:
		v.line = fmt.Sprintf("%s (pid %d): %s", s.name, s.pid, s.story(v.Kind))
	}
	return v
}

// unseen says what would help where nothing can be proved.
const unseen = "whose it is can't be seen; must run as brs-exec's own user, outside a container, for longer than the rehearsed life"

// crowd tells of processes that ended early: none of them needs to refresh, as each fetches for itself.
func (s *subject) crowd() string {
	return fmt.Sprintf("fetched %s, each ended before its copy did: not exercised: each must run longer than %s (a new process fetches anew)",
		times(s.fetches), whole(s.life))
}

// story tells what one process did and what follows from it.
func (s *subject) story(k Kind) string {
	what := "fetched " + times(s.fetches)
	switch {
	case s.fetches > 1 && s.bursts == 1:
		what += " at once"
	case s.fetches > 1:
		what += fmt.Sprintf(" in %s, at most %s apart", length(s.span()), length(s.gap))
	}
	switch {
	case k == WouldFail:
		return fmt.Sprintf("%s, still talking after %s (to %s): would fail%s", what, length(s.talked.Sub(s.last)), s.to, s.after())
	case k == Refreshes && !s.talked.IsZero():
		return fmt.Sprintf("%s, then talked for %s without (to %s): refreshes", what, length(s.talked.Sub(s.last)), s.to)
	case k == Refreshes:
		return what + ": refreshes"
	case !s.talked.IsZero():
		return fmt.Sprintf("%s, still talking after %s (to %s): not exercised: must run longer than %s, as the Java SDK keeps what came in its last minute; or give --rehearse 2m",
			what, length(s.talked.Sub(s.last)), s.to, length(keepsUpTo))
	case s.early():
		return fmt.Sprintf("%s, seen for %s: not exercised: must run longer than %s", what, length(s.alive.Sub(s.first)), whole(s.life))
	}
	return fmt.Sprintf("%s, began nothing on the network in the %s after its copy ended: not exercised: must run longer than %s, until it calls AWS again",
		what, length(s.alive.Sub(s.expires)), length(s.alive.Sub(s.first)))
}

// after is how long the copy would have lasted in earnest.
func (s *subject) after() string {
	if s.ends.IsZero() {
		return " when the credentials end"
	}
	return " after " + length(s.ends.Sub(s.last))
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// whole rounds a life up, whose first second was cut when it was told.
func whole(life time.Duration) string {
	return length((life + time.Second - 1).Truncate(time.Second))
}

// length is a duration with the digits that a person reads: 0.4s, 58s, 5m58s, 1h.
func length(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		d = d.Round(100 * time.Millisecond)
	case d < 10*time.Minute:
		d = d.Round(time.Second)
	default:
		d = d.Round(time.Minute)
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
