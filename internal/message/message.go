// Package message is brs-exec's voice: errors with hints, and the log.
//
// Every message is one line on stderr that begins "brs-exec: ", without a capital at the start and
// without a full stop. A second line "brs-exec: hint: " may follow and say what to type.
//
// Text from others (STS, a process, a file name) can't break the line, flood it or drive the
// terminal: see [OneLine].
package message

import (
	"io"
	"strings"
	"unicode"

	"brs-exec/internal/hint"
)

const (
	prefix     = "brs-exec: "
	hintPrefix = "hint: "
)

// Report prints the error on one line, and its hint on another. It is one write: the command
// may share w.
func Report(w io.Writer, err error) {
	text := prefix + OneLine(err.Error()) + "\n"
	if told := hint.Of(err); told != "" {
		text += prefix + hintPrefix + OneLine(told) + "\n"
	}
	io.WriteString(w, text)
}

// Hint prints what to type where there is no error.
func Hint(w io.Writer, told string) { io.WriteString(w, prefix+hintPrefix+OneLine(told)+"\n") }

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
