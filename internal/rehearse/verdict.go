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
	line string
}

// String is one line, which holds exactly one of the three words of Kind; the name apart.
func (v Verdict) String() string { return v.line }

func (s *subject) verdict() Verdict {
	v := Verdict{Kind: s.judge()}
	switch {
	case s.processes > 1:
		v.line = fmt.Sprintf("%s (%d processes): %s", s.name, s.processes, s.storyOfMany())
	case s.pid == 0:
		v.line = fmt.Sprintf("%s: fetched %s: not exercised: %s", s.name, times(s.fetches), whyUnseen)
	default:
		v.line = fmt.Sprintf("%s (pid %d): %s", s.name, s.pid, s.story(v.Kind))
	}
	return v
}

// whyUnseen says what would help where nothing can be proved.
const whyUnseen = "whose it is can't be seen; must run as brs-exec's own user, outside a container, " +
	"for longer than the rehearsed life"

// storyOfMany tells of processes that ended early: none of them needs to refresh, as each fetches
// for itself.
func (s *subject) storyOfMany() string {
	return fmt.Sprintf("fetched %s, each ended before its copy did: not exercised: "+
		"each must run longer than %s (a new process fetches anew)", times(s.fetches), roundedUp(s.life))
}

// story tells what one process did and what follows from it.
func (s *subject) story(k Kind) string {
	since := readable(s.talked.Sub(s.last))
	switch {
	case k == WouldFail:
		return fmt.Sprintf("%s, still talking after %s (to %s): would fail%s",
			s.howOften(), since, s.to, s.remainingLife())
	case k == Refreshes && !s.talked.IsZero():
		return fmt.Sprintf("%s, then talked for %s without (to %s): refreshes", s.howOften(), since, s.to)
	case k == Refreshes:
		return s.howOften() + ": refreshes"
	}
	return s.howOften() + s.unproved()
}

// howOften tells of its fetches.
func (s *subject) howOften() string {
	fetched := "fetched " + times(s.fetches)
	switch {
	case s.fetches == 1:
		return fetched
	case s.bursts == 1:
		return fetched + " at once"
	}
	return fmt.Sprintf("%s in %s, at most %s apart", fetched, readable(s.span()), readable(s.gap))
}

// unproved says why nothing was proved, and what would prove it.
func (s *subject) unproved() string {
	switch {
	case !s.talked.IsZero():
		return fmt.Sprintf(", still talking after %s (to %s): not exercised: must run longer than %s, "+
			"as the Java SDK keeps what came in its last minute; or a rehearsed life of 2m",
			readable(s.talked.Sub(s.last)), s.to, readable(keepsUpTo))
	case s.endedEarly():
		return fmt.Sprintf(", seen for %s: not exercised: must run longer than %s",
			readable(s.alive.Sub(s.first)), roundedUp(s.life))
	}
	return fmt.Sprintf(", not seen on the network in the %s after its copy ended: not exercised: "+
		"must run longer than %s, until it calls AWS again",
		readable(s.alive.Sub(s.expires)), readable(s.alive.Sub(s.first)))
}

// remainingLife is how long the copy would have lasted in earnest.
func (s *subject) remainingLife() string {
	if s.ends.IsZero() {
		return " when the credentials end"
	}
	return " after " + readable(s.ends.Sub(s.last))
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// roundedUp rounds a life up, whose first second was cut when it was told.
func roundedUp(life time.Duration) string {
	return readable((life + time.Second - 1).Truncate(time.Second))
}

// readable is a duration with the digits that a person reads: 0.4s, 58s, 5m58s, 1h.
func readable(d time.Duration) string {
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
