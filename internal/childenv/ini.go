package childenv

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The SDKs do not agree on how a shared file is read. botocore (Python's configparser) takes an indented line under
// "region = x" as more of that value, Go and JS as a key of its own; a lone CR ends a line in Python and Java, not in
// Go; a quoted profile name loses its quotes in Python only. This reader therefore keeps, of each line, what is safe
// under all of those readings, and the writer gives it back in a form that all of them read alike: nothing that was
// copied can turn into another key elsewhere. Where the readings differ in what they mean, Go's is followed, but for
// nesting, which goes by depth as in Python.

// section is what stands under one header. Repeated headers are one section, as in Go (Python refuses the file).
type section struct {
	header   string // what stands between the brackets, one space between words
	settings []setting
}

// setting is one line "key = value".
type setting struct {
	key  string // lower case
	text string // the line as it stands in the file, without its indentation
	sub  []setting
}

// value is the right-hand side as Go reads it: without a comment or quotes. Python keeps both.
func (s setting) value() string {
	text := s.text
	for _, comment := range []string{" #", " ;", "\t#", "\t;"} {
		text, _, _ = strings.Cut(text, comment)
	}
	_, v, _ := cutSetting(text)
	for _, q := range []string{`"`, `'`} {
		if len(v) >= 2 && strings.HasPrefix(v, q) && strings.HasSuffix(v, q) {
			return v[1 : len(v)-1]
		}
	}
	return v
}

// cutSetting cuts at the first = or :, as Python and Go do.
func cutSetting(line string) (key, value string, ok bool) {
	i := strings.IndexAny(line, "=:")
	if i < 0 {
		return "", "", false
	}
	return strings.ToLower(strings.Trim(line[:i], " \t")), strings.Trim(line[i+1:], " \t"), true
}

// readSections reads a shared file. It knows no error: what isn't understood belongs to nobody.
func readSections(file []byte) []section {
	var r reader
	for _, line := range lines(file) {
		r.line(line)
	}
	return r.sections
}

// lines ends a line at LF, CRLF or a lone CR: a reader that ends it earlier than another must not find a key there.
func lines(file []byte) []string {
	file = bytes.TrimPrefix(file, []byte("\ufeff"))
	text := strings.ReplaceAll(string(file), "\r\n", "\n")
	return strings.Split(strings.ReplaceAll(text, "\r", "\n"), "\n")
}

type reader struct {
	sections []section
	in       int      // index+1 of the section that lines go to; 0: none
	key      *setting // the setting that deeper lines belong to; nil: none
	depth    int      // its indentation
}

func (r *reader) line(line string) {
	text := strings.Trim(line, " \t")
	depth := len(line) - len(strings.TrimLeft(line, " \t"))
	switch {
	case trimmed(text) == "" || text[0] == '#' || text[0] == ';':
	case strings.HasPrefix(trimmed(text), "["):
		r.enter(text)
	case r.in == 0:
	case !printable(text):
		r.key, r.depth = &setting{}, depth // what is nested below it goes, too
	case r.key != nil && depth > r.depth && r.key.value() == "":
		r.nested(text)
	default:
		r.setting(text, depth)
	}
}

// enter goes to the section that a header names. A header that readers may take differently begins a section that
// nobody owns.
func (r *reader) enter(text string) {
	r.in, r.key, r.depth = 0, nil, 0
	header, ok := cutHeader(text)
	if !ok {
		return
	}
	for i := range r.sections {
		if r.sections[i].header == header {
			r.in = i + 1
			return
		}
	}
	r.sections = append(r.sections, section{header: header})
	r.in = len(r.sections)
}

// cutHeader returns what stands between the brackets of "[ profile  x ] # comment", one space between the words.
func cutHeader(text string) (string, bool) {
	if i := strings.IndexAny(text, "#;"); i >= 0 {
		text = text[:i]
	}
	text = strings.Trim(text, " \t")
	if len(text) < 2 || text[0] != '[' || text[len(text)-1] != ']' || !printable(text) {
		return "", false
	}
	text = strings.Trim(text[1:len(text)-1], " \t")
	if first, rest, ok := strings.Cut(strings.ReplaceAll(text, "\t", " "), " "); ok {
		text = first + " " + strings.TrimLeft(rest, " ")
	}
	return text, text != "" && !strings.ContainsAny(text, "[]")
}

// setting adds a line to the section. Go and JS take it for a setting even when it stands deeper than the last one,
// unless that one has no value. The later of two wins, and takes nothing over from the earlier.
func (r *reader) setting(text string, depth int) {
	r.key, r.depth = &setting{}, depth
	key, _, ok := cutSetting(text)
	if !ok {
		return
	}
	s := &r.sections[r.in-1]
	r.key = upsert(&s.settings, setting{key: key, text: text})
}

// nested adds a line below a setting without a value. Python demands "=" there, and refuses the whole file without.
func (r *reader) nested(text string) {
	key, _, ok := cutSetting(text)
	if ok && text[strings.IndexAny(text, "=:")] == '=' {
		upsert(&r.key.sub, setting{key: key, text: text})
	}
}

// upsert replaces the setting of the same key, or adds one, and returns where it is now.
func upsert(list *[]setting, s setting) *setting {
	for i := range *list {
		if (*list)[i].key == s.key {
			(*list)[i] = s
			return &(*list)[i]
		}
	}
	*list = append(*list, s)
	return &(*list)[len(*list)-1]
}

// trimmed removes what any reader removes from the ends of a line.
func trimmed(line string) string {
	return strings.TrimFunc(line, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })
}

// printable refuses what some reader takes for the end of a line, and what others cannot decode.
func printable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool {
		return unicode.IsControl(r) && r != '\t' || r == '\u2028' || r == '\u2029'
	})
}
