package awsconfig

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Lines cuts a file into lines. One ends at LF, CRLF or a lone CR: a reader that ends it earlier
// than another must not find a key there.
func Lines(file []byte) []string {
	file = bytes.TrimPrefix(file, []byte("\ufeff"))
	text := strings.ReplaceAll(string(file), "\r\n", "\n")
	return strings.Split(strings.ReplaceAll(text, "\r", "\n"), "\n")
}

// Trim removes what any reader removes from the ends of a line.
func Trim(line string) string {
	return strings.TrimFunc(line, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })
}

// Printable refuses text that some reader takes for more than one line, or that others can't
// decode.
func Printable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool {
		return unicode.IsControl(r) && r != '\t' || r == '\u2028' || r == '\u2029'
	})
}

// SafeName refuses names that readers take apart differently (quotes, comments, brackets, odd
// spaces), and those that would pass for another kind of section once Go has removed "profile ".
func SafeName(name string) bool {
	first, _, spaced := strings.Cut(name, " ")
	if spaced && (first == "profile" || first == "services" || first == "sso-session") {
		return false
	}
	oddSpace := func(r rune) bool { return unicode.IsSpace(r) && r != ' ' }
	return name != "" && name == strings.TrimSpace(name) && Printable(name) &&
		!strings.ContainsAny(name, "\"'`\\[]#;") && !strings.ContainsFunc(name, oddSpace)
}

// Plain is a value as Go and programs other than botocore read it: without a comment or quotes.
func Plain(value string) string {
	value, _, _ = strings.Cut(" "+value, "\n")
	for _, comment := range []string{" #", " ;", "\t#", "\t;"} {
		value, _, _ = strings.Cut(value, comment)
	}
	value = strings.Trim(value, " \t")
	for _, q := range []string{`"`, `'`} {
		if len(value) >= 2 && strings.HasPrefix(value, q) && strings.HasSuffix(value, q) {
			return value[1 : len(value)-1]
		}
	}
	return value
}
