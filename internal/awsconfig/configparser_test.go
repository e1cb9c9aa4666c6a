package awsconfig

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"brs-exec/need"
)

func TestMain(m *testing.M) { os.Exit(need.Run(m)) }

// parsed writes down what readINI reads, in Python's own notation, so that both can be compared.
func parsed(file []byte) string {
	sections, err := readINI(file)
	if err != nil {
		return "error"
	}
	var b strings.Builder
	for _, s := range sections[1:] { // Python doesn't list [DEFAULT]
		fmt.Fprintf(&b, "[%x]", s.header)
		for _, key := range slices.Sorted(maps.Keys(s.Values)) {
			fmt.Fprintf(&b, "%x=%x;", key, s.Values[key])
		}
	}
	return b.String()
}

// pythonParser says what Python reads in each file of its input, in the same notation.
const pythonParser = `
import configparser, io, sys
for line in sys.stdin:
    try:
        text = bytes.fromhex(line.strip()).decode('utf-8').replace('\r\n', '\n').replace('\r', '\n')
        p = configparser.RawConfigParser()
        p.read_file(io.StringIO(text, newline='\n'))
        out = ''
        for s in p.sections():
            out += '[%s]' % s.encode().hex()
            for k in sorted(p.options(s), key=lambda k: k.encode()):
                out += '%s=%s;' % (k.encode().hex(), p.get(s, k).encode().hex())
        print(out)
    except Exception:
        print('error')
`

var iniSeeds = []string{
	"", "\n", "a = 1\n", "[default]\n", "[default]\na=1\nB : 'two' # c\n", "[default]\na = 1\n  b = 2\nc=3\n",
	"[default]\ns3 =\n    x = 1\n\n    y = 2\n\n[p]\n", "[a]\nx=1\n[a]\ny=2\n", "[a]\nx=1\nX=2\n", "[a]\nx\n", "[a]\n= 1\n",
	"[DEFAULT]\nx=1\n[a]\ny=2\n[b]\nx=3\n", "[DEFAULT]\nx=1\n[DEFAULT]\nx=2\n[a]\n", "[a] # comment ] x\nx=1\n", "[a\nx=1\n", "[]\nx=1\n", "[a]]\nx=1\n",
	"# c\n; d\n[a]\n # e\nx = 1\n # f\n  more\n", "[a]\r\nx=1\r\ry=2\n", "\ufeff[a]\nx=1\n", "[a]\n x = 1\ny = 2\n  z\n", "[a]\nx = 1\n\n\n",
	"[a]\nx = 1\n\u00a0\n\u2003y = 2\n", "[ a ]\nx=1\n[a b]\n", "  [a]\n  x=1\n", "[a]\nx = 1\n  [b]\n", "[a]\nkey with spaces = v\n", "[a]\nx=1\x1c\n",
	"[a]\naws_access_key_İd = A\n", "[a]\naws_access_key_İd = A\naws_access_key_id = B\n", "[a]\nKÄY = v\n",
}

// TestReadINIIsPython compares with Python's own parser.
func TestReadINIIsPython(t *testing.T) {
	need.Tools(t, "python3")
	var in strings.Builder
	for _, seed := range iniSeeds {
		fmt.Fprintf(&in, "%x\n", seed)
	}
	cmd := exec.Command("python3", "-c", pythonParser)
	cmd.Stdin = strings.NewReader(in.String())
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if len(lines) != len(iniSeeds) {
		t.Fatalf("python answered %d of %d", len(lines), len(iniSeeds))
	}
	for i, seed := range iniSeeds {
		if got := parsed([]byte(seed)); got != lines[i] {
			t.Errorf("%q: got %s; want %s", seed, got, lines[i])
		}
	}
}

func TestReadINIErrorsHoldNoSecret(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"hush\n", "[a]\nhush\n", "[a]\n=hush\n", "[a]\nk=hush\nk=hush\n", "[hush]\n[hush]\n", "hush\xff\n", "\ufeffhush\n"} {
		_, err := readINI([]byte(file))
		if err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("%q: got %v; want an error without the file's text", file, err)
		}
	}
}

func FuzzReadINI(f *testing.F) {
	for _, seed := range iniSeeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		sections, err := readINI(file)
		if err != nil && len(sections) > 0 {
			t.Error("sections came with an error")
		}
	})
}

func TestSplitWords(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		line string
		want []string
		ok   bool
	}{
		{"profile dev", []string{"profile", "dev"}, true},
		{"profile 'my etl'", []string{"profile", "my etl"}, true},
		{`profile "a \" b"`, []string{"profile", `a " b`}, true},
		{`profile "a \x b"`, []string{"profile", `a \x b`}, true},
		{`profile a\ b`, []string{"profile", "a b"}, true},
		{"profile\ta  b", []string{"profile", "a", "b"}, true},
		{"profile ''", []string{"profile", ""}, true},
		{"profile d\x00ev", []string{"profile", "d\x00ev"}, true},
		{"profile 'half", nil, false},
		{`profile a\`, nil, false},
	} {
		words, ok := splitWords(tt.line)
		if ok != tt.ok || ok && !slices.Equal(words, tt.want) {
			t.Errorf("%q: got %q, %v; want %q, %v", tt.line, words, ok, tt.want, tt.ok)
		}
	}
}
