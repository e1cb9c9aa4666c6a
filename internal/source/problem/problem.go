// Package problem is the error of package source and its inner rooms: one line, and what to type.
package problem

import (
	"fmt"
	"strings"
)

// An Error is one that a person can act on.
type Error struct {
	Text    string
	Hint    string // what to type; "": nothing is known
	Err     error  // what somebody else said, for errors.As; its text is in Text as far as it is of use
	Verdict Verdict
}

// A Verdict says whether a retry may heal an Error.
type Verdict int

const (
	Unjudged  Verdict = iota // as Err is
	Permanent                // it was refused, or what the user wrote is wrong
	Passing                  // whatever Err is
)

func (e *Error) Error() string { return e.Text }
func (e *Error) Unwrap() error { return e.Err }

// Hints is what cmd asks of every error.
func (e *Error) Hints() []string {
	if e.Hint == "" {
		return nil
	}
	return []string{e.Hint}
}

// Bad makes the error of what the user wrote, which is the same at every try.
func Bad(hint, format string, args ...any) error {
	return &Error{Text: middleCut(fmt.Sprintf(format, args...)), Hint: middleCut(hint), Verdict: Permanent}
}

// middleCut keeps the ends of a message that a value has made too long to read: what is wrong
// stands there.
func middleCut(s string) string {
	if r := []rune(s); len(r) > 600 {
		return string(r[:400]) + "…" + string(r[len(r)-150:])
	}
	return s
}

// Clip keeps a message readable when the value in it is not.
func Clip(s string) string {
	return cut(s, 60)
}

// FirstLine bounds what others wrote. AWS's SignatureDoesNotMatch goes on with the canonical
// request, which holds the session token.
func FirstLine(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	if s == "" {
		return "no message"
	}
	return cut(s, 500)
}

func cut(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

// Prefix returns err with what it is about in front of it. An Error keeps its hint and verdict.
func Prefix(what fmt.Stringer, err error) error {
	e, ok := err.(*Error)
	if !ok {
		return fmt.Errorf("%s: %w", what, err)
	}
	return &Error{Text: what.String() + ": " + e.Text, Hint: e.Hint, Err: err, Verdict: e.Verdict}
}
