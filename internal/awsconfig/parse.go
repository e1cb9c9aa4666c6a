package awsconfig

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Section is what stands under one header. Repeated headers are one section, as in Go (Python
// refuses the file).
type Section struct {
	Header string // what stands between the brackets, one space between words
	Settings
}

// Settings are lines "key = value": each key once, in the order in which they first stood there.
type Settings struct {
	List  []Setting
	index map[string]int // of each key in List
}

// Setting is one line "key = value", with those that are nested below it.
type Setting struct {
	Key    string // lower case
	Line   string // the line as it stands in the file, without its indentation
	Nested Settings
}

// Value returns the right-hand side as Go reads it: without a comment or quotes. Python keeps
// both.
func (s Setting) Value() string {
	line := s.Line
	for _, comment := range []string{" #", " ;", "\t#", "\t;"} {
		line, _, _ = strings.Cut(line, comment)
	}
	_, v, _ := cutSetting(line)
	return unquote(v)
}

// Value returns the value of a key, "" if there is none.
func (s Settings) Value(key string) string {
	if i, ok := s.index[key]; ok {
		return s.List[i].Value()
	}
	return ""
}

// put replaces the setting of the same key, or adds one. The later of two wins, and takes over
// nothing of the earlier.
func (s *Settings) put(setting Setting) *Setting {
	i, known := s.index[setting.Key]
	if !known {
		if s.index == nil {
			s.index = map[string]int{}
		}
		i = len(s.List)
		s.index[setting.Key] = i
		s.List = append(s.List, Setting{})
	}
	s.List[i] = setting
	return &s.List[i]
}

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

// sections reads one file. It returns no error: what it doesn't understand belongs to no section.
func sections(file []byte) []*Section {
	p := parser{sections: map[string]*Section{}}
	for _, line := range Lines(file) {
		p.line(line)
	}
	return p.order
}

type parser struct {
	order    []*Section
	sections map[string]*Section // by header
	in       *Section            // the section that lines go to; nil: none
	above    *Setting            // the setting that deeper lines belong to; nil: none
	depth    int                 // its indentation
}

func (p *parser) line(line string) {
	text := strings.Trim(line, " \t")
	depth := len(line) - len(strings.TrimLeft(line, " \t"))
	switch {
	case Trim(text) == "" || text[0] == '#' || text[0] == ';':
	case strings.HasPrefix(Trim(text), "["):
		p.enter(text)
	case p.in == nil:
	case !Printable(text):
		p.above, p.depth = &Setting{}, depth // what is nested below it goes, too
	case p.above != nil && depth > p.depth && p.above.Value() == "":
		p.nested(text)
	default:
		p.setting(text, depth)
	}
}

// enter goes to the section that a header names. A header that readers may take differently begins
// a section that nobody owns.
func (p *parser) enter(text string) {
	p.in, p.above, p.depth = nil, nil, 0
	header, ok := cutHeader(text)
	if !ok {
		return
	}
	if p.sections[header] == nil {
		p.sections[header] = &Section{Header: header}
		p.order = append(p.order, p.sections[header])
	}
	p.in = p.sections[header]
}

// setting adds a line to the section. Go and JS take it for a setting even when it stands deeper
// than the last one, unless that one has no value.
func (p *parser) setting(text string, depth int) {
	p.above, p.depth = &Setting{}, depth
	if key, _, ok := cutSetting(text); ok {
		p.above = p.in.put(Setting{Key: key, Line: text})
	}
}

// nested adds a line below a setting without a value. Python demands "=" there, and refuses the
// whole file without.
func (p *parser) nested(text string) {
	key, _, ok := cutSetting(text)
	if ok && text[strings.IndexAny(text, "=:")] == '=' {
		p.above.Nested.put(Setting{Key: key, Line: text})
	}
}

// cutSetting cuts at the first = or :, as Python and Go do.
func cutSetting(line string) (key, value string, ok bool) {
	i := strings.IndexAny(line, "=:")
	if i < 0 {
		return "", "", false
	}
	return strings.ToLower(strings.Trim(line[:i], " \t")), strings.Trim(line[i+1:], " \t"), true
}

// cutHeader returns what stands between the brackets of "[ profile  x ] # comment", one space
// between the words.
func cutHeader(text string) (string, bool) {
	if i := strings.IndexAny(text, "#;"); i >= 0 {
		text = text[:i]
	}
	text = strings.Trim(text, " \t")
	if len(text) < 2 || text[0] != '[' || text[len(text)-1] != ']' || !Printable(text) {
		return "", false
	}
	text = strings.Trim(text[1:len(text)-1], " \t")
	if first, rest, ok := strings.Cut(strings.ReplaceAll(text, "\t", " "), " "); ok {
		text = first + " " + strings.TrimLeft(rest, " ")
	}
	return text, text != "" && !strings.ContainsAny(text, "[]")
}

// unquote takes off one pair of quotes of either kind.
func unquote(s string) string {
	for _, q := range []string{`"`, `'`} {
		if len(s) >= 2 && strings.HasPrefix(s, q) && strings.HasSuffix(s, q) {
			return s[1 : len(s)-1]
		}
	}
	return s
}
