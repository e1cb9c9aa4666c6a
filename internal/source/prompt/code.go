package prompt

// FindCode returns the last stand-alone six-digit number of s, or "": commands print "Code: 123456"
// and the like.
func FindCode(s string) (code string) {
	for i := 0; i < len(s); {
		j := i
		for j < len(s) && digit(s[j]) {
			j++
		}
		if j-i == 6 && !joined(s, i-1, -1) && !joined(s, j, 1) {
			code = s[i:j]
		}
		i = max(j, i+1)
	}
	return code
}

// joined says that the byte at i makes one word with the number beside it: a letter, or a point or
// hyphen between digits (1.123456, 2026-112233). step leads away from the number.
func joined(s string, i, step int) bool {
	if i < 0 || i >= len(s) {
		return false
	}
	switch c := s[i]; {
	case c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80:
		return true
	case c == '.' || c == ',' || c == '-':
		next := i + step
		return next >= 0 && next < len(s) && digit(s[next])
	}
	return false
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// IsCode says whether s is six digits and nothing else.
func IsCode(s string) bool { return len(s) == 6 && FindCode(s) == s }
