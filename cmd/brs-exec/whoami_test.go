package main

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"
)

// What a terminal would obey, or would not show, stands in the JSON as an escape, and means the same.
func TestJSONIsPlain(t *testing.T) {
	t.Parallel()
	const said = "no \u009b31m \u202eX\u2066 \x7f \x1b[0m é 日本 \U000e0041 <a&b>\nend"
	var out strings.Builder
	if err := printJSON(&out, map[string]string{"Error": said}); err != nil {
		t.Fatal(err)
	}
	for _, r := range out.String() {
		if r != '\n' && !unicode.IsPrint(r) {
			t.Errorf("%q is in %s", r, out.String())
		}
	}
	var back map[string]string
	if err := json.Unmarshal([]byte(out.String()), &back); err != nil || back["Error"] != said {
		t.Errorf("%v: got %q; want %q", err, back["Error"], said)
	}
	if !strings.Contains(out.String(), "é 日本") || !strings.Contains(out.String(), "<a&b>") {
		t.Errorf("%s: what can be printed is as it was", out.String())
	}
}
