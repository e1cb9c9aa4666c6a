package awsconfig

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// dump writes down what was read: profiles, their lines, and in braces what is nested.
func dump(f *Files) string {
	var b strings.Builder
	lines := func(s Settings) {
		for _, x := range s.List {
			b.WriteString(" " + x.Key + "=" + x.Value())
			for _, n := range x.Nested.List {
				b.WriteString("{" + n.Line + "}")
			}
			b.WriteString(";")
		}
	}
	for _, p := range f.Profiles {
		b.WriteString("[" + p.Name + "]")
		lines(p.Settings)
	}
	for name, s := range f.Services {
		b.WriteString("<" + name + ">")
		lines(s)
	}
	return b.String()
}

func TestParse(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, config, credentials, want string }{
		{"nothing", "", "", ""},
		{"before any section", "a = 1\n[default]\n", "", "[default]"},
		{"values", "[default]\na=1\nB : 'two' # c\nc = \"x ; y\"\n", "", `[default] a=1; b=two; c="x;`},
		{"whose section is it", "[profile p]\na=1\n[q]\na=2\n[services s]\nx =\n  u = v\n[sso-session t]\na=3\n", "[profile x]\n[q]\na=4\n",
			"[p] a=1;[q] a=4;<s> x={u = v};"},
		{"the credentials file wins by key", "[profile p]\na=1\nb=1\n", "[p]\nb=2\nc=2\n", "[p] a=1; b=2; c=2;"},
		{"[profile default] beats [default]", "[profile default]\na=1\n[default]\na=2\n", "", "[default] a=1;"},
		{"quoted", "[profile 'my etl']\na=1\n[profile \"x\"]\n", "", "[my etl] a=1;[x]"},
		{"twice", "[default]\na=1\nb=1\n[profile p]\n[default]\na=2\n", "", "[default] a=2; b=1;[p]"},
		{"the later takes over nothing", "[default]\ns3 =\n  x = 1\ns3 =\n  y = 2\n", "", "[default] s3={y = 2};"},
		{"continuation", "[default]\na = 1\n  b = 2\n", "", "[default] a=1; b=2;"},
		{"nested twice", "[default]\ns3 =\n  x = 1\n  X = 2\n  y : 3\n", "", "[default] s3={X = 2};"},
		{"line ends", "\ufeff[default]\r\na=1\rb=2\n", "", "[default] a=1; b=2;"},
		{"broken headers", "[default\na=1\n[x]y\na=2\n[]\na=3\n[a]b]\na=4\n", "", ""},
	} {
		if got := dump(Parse([]byte(tt.config), []byte(tt.credentials))); got != tt.want {
			t.Errorf("%s: got\n%s\nwant\n%s", tt.name, got, tt.want)
		}
	}
}

// The time per line is that of a small file, whatever is many: keys, sections, nested keys.
func BenchmarkParse(b *testing.B) {
	for name, form := range map[string]struct{ start, line string }{
		"keys": {"[default]\n", "%x=\n"}, "sections": {"", "[%x]\n"}, "nested": {"[default]\nx=\n", " %x=\n"},
	} {
		for _, n := range []int{1_000, 64_000} {
			b.Run(fmt.Sprint(name, n), func(b *testing.B) {
				b.ReportAllocs()
				file := []byte(form.start)
				for i := range n {
					file = fmt.Appendf(file, form.line, i)
				}
				for b.Loop() {
					Parse(nil, file)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/line")
			})
		}
	}
}

// What Parse returns reads the same wherever it is copied to, and belongs to a section that the
// file has.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"[default]\nregion = r\n  aws_access_key_id = A\n", "[profile \"p\"]\ns3 =\n addressing_style = path\n[p]\nx=y",
		"[services s]\nsts =\n  endpoint_url = u\n[profile p]\nservices = s\n", "[default]\rrole_arn: x\r\nsource_profile=p\n",
		"\ufeff[default]\n[DEFAULT]\naws_access_key_id = x\n", "[profile p]\nregion:a=A\ns3 : x\n  region = y\n  [default]\n",
		"[corp] ; mine\nx_security_token_expires = 2090-01-02T03:04:05Z\n",
	} {
		f.Add(s, s)
		f.Add(s, "")
	}
	f.Fuzz(func(t *testing.T, config, credentials string) {
		files := Parse([]byte(config), []byte(credentials))
		var copied strings.Builder
		for _, p := range files.Profiles {
			if !SafeName(p.Name) || files.Profile(p.Name) != p || !strings.Contains(config+credentials, strings.Fields(p.Name)[0]) {
				t.Fatalf("profile %q is in no file", p.Name)
			}
			fmt.Fprintf(&copied, "[%s]\n", p.Name)
			checkSettings(t, p.Settings, config+credentials)
			for _, s := range p.List {
				fmt.Fprintln(&copied, s.Line)
				for _, n := range s.Nested.List {
					fmt.Fprintln(&copied, "  "+n.Line)
				}
			}
		}
		files.Services = nil
		if want, got := dump(files), dump(Parse(nil, []byte(copied.String()))); got != want {
			t.Fatalf("copied as\n%s\ngot\n%s\nwant\n%s", &copied, got, want)
		}
	})
}

func checkSettings(t *testing.T, settings Settings, file string) {
	t.Helper()
	var keys []string
	for _, s := range settings.List {
		key, _, ok := cutSetting(s.Line)
		if !ok || key != s.Key || slices.Contains(keys, key) {
			t.Fatalf("%q is line %q", s.Key, s.Line)
		}
		if !Printable(s.Line) || strings.Trim(s.Line, " \t") != s.Line || !strings.Contains(file, s.Line) {
			t.Fatalf("%q is no line of the file", s.Line)
		}
		keys = append(keys, key)
		checkSettings(t, s.Nested, file)
	}
}
