// Package message is brs-exec's voice: errors with hints, and the log.
//
// Every message is one line on stderr that begins "brs-exec: ", without a capital at the start and
// without a full stop. A second line "brs-exec: hint: " may follow and say what to type. Errors
// carry their hints as data, through a method Hints() []string, which packages that don't know this
// one have as well.
//
// Text from others (STS, a process, a file name) can't break the line, flood it or drive the
// terminal: see [OneLine].
package message

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
)

// Errorf is fmt.Errorf with a hint: what to type.
func Errorf(hint, format string, args ...any) error { return hinted{fmt.Errorf(format, args...), hint} }

type hinted struct {
	error
	hint string
}

func (h hinted) Unwrap() error   { return h.error }
func (h hinted) Hints() []string { return []string{h.hint} }

// HintOf returns what to type, or "".
func HintOf(err error) string {
	var h interface{ Hints() []string }
	if errors.As(err, &h) && len(h.Hints()) > 0 {
		return OneLine(h.Hints()[0])
	}
	return ""
}

const (
	prefix     = "brs-exec: "
	hintPrefix = "hint: "
)

// Report prints the error on one line, and its first hint on another. It is one write: the command
// may share w.
func Report(w io.Writer, err error) {
	text := prefix + OneLine(err.Error()) + "\n"
	if hint := HintOf(err); hint != "" {
		text += prefix + hintPrefix + hint + "\n"
	}
	io.WriteString(w, text)
}

// Hint prints what to type where there is no error.
func Hint(w io.Writer, hint string) { io.WriteString(w, prefix+hintPrefix+OneLine(hint)+"\n") }

// OneLine makes one printable line of s, cut at 2000 bytes.
func OneLine(s string) string {
	const most = 2000
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' }), " ")
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) || r == ' ' {
			return r
		}
		return '�'
	}, s)
}
