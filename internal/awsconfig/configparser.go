package awsconfig

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Values are a section's keys, in lower case, and their values. A value that stands on lines of
// its own below the key begins with a line feed.
type Values map[string]string

// HasKeys says whether a profile has long-term or session keys, or a part of them.
func (v Values) HasKeys() bool {
	_, id := v["aws_access_key_id"]
	_, secret := v["aws_secret_access_key"]
	return id || secret
}

// AssumesRole says whether a profile has a role that no web identity token buys.
func (v Values) AssumesRole() bool {
	_, role := v["role_arn"]
	_, file := v["web_identity_token_file"]
	return role && !file
}

// sectionOf names a section as it stands in a file.
type sectionOf struct {
	header string
	Values
}

// everywhere is the header of the section whose keys are in all others.
const everywhere = "DEFAULT"

// readINI reads a file as Python's configparser.RawConfigParser does, which decides for botocore
// and the aws cli what a file says. A line that is indented deeper than the key above it continues
// that key's value. A section or key that stands there twice is an error, and so is a line that is
// neither. An error holds nothing of the file: it may be a secret. Sections come in the order of
// the file, after [DEFAULT], whose keys are in all of them.
// https://docs.python.org/3/library/configparser.html#supported-ini-file-structure
func readINI(file []byte) ([]sectionOf, error) {
	if !utf8.Valid(file) {
		return nil, errors.New("not plain text: it is not UTF-8")
	}
	if strings.HasPrefix(string(file), "\ufeff") {
		return nil, errors.New("not plain text: it begins with a byte order mark (BOM)")
	}
	r := iniReader{order: []string{everywhere}, sections: []map[string][]string{{}}, seen: map[string]bool{}}
	for i, line := range Lines(file) {
		if what := r.line(line); what != "" {
			return nil, fmt.Errorf("line %d: %s", i+1, what)
		}
	}
	return r.finish(), nil
}

type iniReader struct {
	order    []string              // headers
	sections []map[string][]string // the lines of each value
	seen     map[string]bool       // headers

	in     map[string][]string // the section that lines go to; nil: none yet
	key    string              // the key that deeper lines belong to; "": none
	indent int                 // the key's
}

// line reads one line. It returns what is wrong with it, "" for nothing.
func (r *iniReader) line(line string) (wrong string) {
	text := strings.TrimFunc(line, pythonSpace)
	switch {
	case strings.HasPrefix(text, "#"), strings.HasPrefix(text, ";"):
		return ""
	case text == "":
		if r.key != "" {
			r.in[r.key] = append(r.in[r.key], "")
		}
		return ""
	}
	indent := strings.IndexFunc(line, func(c rune) bool { return !pythonSpace(c) })
	if indent = utf8.RuneCountInString(line[:indent]); r.key != "" && indent > r.indent {
		r.in[r.key] = append(r.in[r.key], text)
		return ""
	}
	r.indent = indent
	if end := strings.LastIndexByte(text, ']'); text[0] == '[' && end > 1 {
		return r.section(text[1:end])
	}
	if r.in == nil {
		return "it stands before any [section]"
	}
	return r.option(text)
}

// pythonSpace reports whether Python's str.strip takes r off.
func pythonSpace(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }

func (r *iniReader) section(header string) (wrong string) {
	r.key = ""
	switch {
	case header == everywhere:
		r.in = r.sections[0]
		return ""
	case r.seen[header]:
		return "its section stands there twice"
	}
	r.seen[header] = true
	r.in = map[string][]string{}
	r.order, r.sections = append(r.order, header), append(r.sections, r.in)
	return ""
}

func (r *iniReader) option(text string) (wrong string) {
	i := strings.IndexAny(text, "=:")
	if i < 0 {
		return "it is neither a [section] nor key = value"
	}
	key := strings.TrimRightFunc(text[:i], pythonSpace)
	key = strings.ToLower(strings.ReplaceAll(key, "İ", "i\u0307")) // of İ Go makes a plain i
	if key == "" {
		return "there is no key before the " + text[i:i+1]
	}
	if _, twice := r.in[key]; twice {
		return "its key stands there twice in one section"
	}
	r.key = key
	r.in[key] = []string{strings.TrimFunc(text[i+1:], pythonSpace)}
	return ""
}

func (r *iniReader) finish() []sectionOf {
	list := make([]sectionOf, len(r.order))
	for i, header := range r.order {
		list[i] = sectionOf{header, Values{}}
		for _, from := range []map[string][]string{r.sections[0], r.sections[i]} {
			for key, lines := range from {
				list[i].Values[key] = strings.TrimRightFunc(strings.Join(lines, "\n"), pythonSpace)
			}
		}
	}
	return list
}

// splitLines cuts a value as Python's str.splitlines does, by which botocore reads what is nested.
func splitLines(value string) []string {
	return strings.FieldsFunc(value, func(r rune) bool {
		return r >= '\n' && r <= '\r' || r >= 0x1c && r <= 0x1e || r == 0x85 || r == '\u2028' || r == '\u2029'
	})
}

// nestedOK reports whether a value on lines of its own is one that botocore can read: each line
// needs an equals sign, or the whole file is refused.
func nestedOK(value string) bool {
	rest, nested := strings.CutPrefix(value, "\n")
	if !nested {
		return true
	}
	for _, line := range splitLines(rest) {
		if line = strings.TrimFunc(line, pythonSpace); line != "" && !strings.Contains(line, "=") {
			return false
		}
	}
	return true
}

// Nested returns the settings that stand on lines of their own below a key.
func Nested(value string) map[string]string {
	below := map[string]string{}
	if !strings.HasPrefix(value, "\n") {
		return below
	}
	for _, line := range splitLines(value) {
		if key, value, ok := strings.Cut(line, "="); ok {
			below[strings.TrimFunc(key, pythonSpace)] = strings.TrimFunc(value, pythonSpace)
		}
	}
	return below
}

// splitWords cuts a line into words as a POSIX shell does that expands nothing (Python's
// shlex.split). ok is false where a quote doesn't end.
func splitWords(line string) (words []string, ok bool) {
	var word strings.Builder
	begun := false
	end := func() {
		if begun {
			words = append(words, word.String())
		}
		word.Reset()
		begun = false
	}
	quote := rune(0)
	escaped := false
	for _, c := range line {
		switch {
		case escaped:
			if quote == '"' && c != '"' && c != '\\' {
				word.WriteByte('\\')
			}
			word.WriteRune(c)
			escaped = false
		case c == '\\' && quote != '\'':
			escaped, begun = true, true
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(c)
		case c == '\'' || c == '"':
			quote, begun = c, true
		case strings.ContainsRune(" \t\r\n", c):
			end()
		default:
			word.WriteRune(c)
			begun = true
		}
	}
	end()
	return words, quote == 0 && !escaped
}
