// Package hint gives an error what to type about it.
//
// A hint is data of the error, by a method Hints() []string, and no part of its text. An error that
// has more to tell than that has the method itself.
package hint

import (
	"errors"
	"fmt"
)

// Errorf is fmt.Errorf with a hint; "": nothing is known.
func Errorf(hint, format string, args ...any) error { return hinted{fmt.Errorf(format, args...), hint} }

type hinted struct {
	error
	hint string
}

func (h hinted) Unwrap() error   { return h.error }
func (h hinted) Hints() []string { return []string{h.hint} }

// Of returns what to type, or "". The outermost error that may have a hint decides.
func Of(err error) string {
	var h interface{ Hints() []string }
	if errors.As(err, &h) && len(h.Hints()) > 0 {
		return h.Hints()[0]
	}
	return ""
}
