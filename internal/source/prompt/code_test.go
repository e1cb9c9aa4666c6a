package prompt

import (
	"strings"
	"testing"
)

func TestFindCode(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"123456\n", "123456"}, {"", ""}, {"12345", ""}, {"1234567", ""}, {"Code: 123456.", "123456"}, {"x123456", ""}, {"123456x", ""},
		{"111111 222222", "222222"}, {"222222 (30s)", "222222"}, {"took 1.123456 s", ""}, {"123456.5", ""}, {"2026-112233", ""}, {"code=123456,", "123456"},
		{"aws:123456", "123456"}, {"_123456", ""}, {"123456ö", ""}, {"111111\r\n", "111111"}, {"-123456", "123456"},
	} {
		if got := FindCode(c.in); got != c.want {
			t.Errorf("FindCode(%q) = %q; want %q", c.in, got, c.want)
		}
	}
}

func FuzzFindCode(f *testing.F) {
	for _, s := range []string{"123456", "a 123456 b 654321", "1.123456", "ö123456", "123456-", "-123456-7"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		code := FindCode(s)
		if code != "" && (!IsCode(code) || !strings.Contains(s, code)) {
			t.Errorf("FindCode(%q) = %q", s, code)
		}
	})
}
