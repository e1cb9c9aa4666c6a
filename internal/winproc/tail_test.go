package winproc

import (
	"os"
	"testing"

	"brs-exec/need"
)

func TestMain(m *testing.M) { os.Exit(need.Run(m)) }

func TestTail(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		line string
		n    int
		want string
	}{
		{`brs-exec -- cmd.exe /c echo "ab" "c d"`, 2, `cmd.exe /c echo "ab" "c d"`},
		{`"C:\Program Files\brs-exec.exe"  --role-arn  x   --  msiexec PROP="a b"`, 4, `msiexec PROP="a b"`},
		{`b --x="a \" b" -- cmd.exe /s /c ""C:\a b\x.exe" "two words""`, 3, `cmd.exe /s /c ""C:\a b\x.exe" "two words""`},
		{`b "a\\" -- c`, 3, `c`},
		{`b "a "" b c d`, 2, `b c d`},
		{"b\t--sandbox\t--\thello.bat 'a\" & echo", 3, "hello.bat 'a\" & echo"},
		{`"C:\a\" x`, 1, `x`}, // a name ends at the quote
		{`b`, 3, ``},
		{`b x`, 1, `x`},
	} {
		if got := Tail(tt.line, tt.n); got != tt.want {
			t.Errorf("Tail(%s, %d) = %s; want %s", tt.line, tt.n, got, tt.want)
		}
	}
}

func FuzzTail(f *testing.F) {
	f.Add(`a "b c" d`, 2)
	f.Fuzz(func(t *testing.T, line string, n int) {
		if got := Tail(line, n%10); len(got) > len(line) || line[len(line)-len(got):] != got {
			t.Errorf("%q is no end of %q", got, line)
		}
	})
}
