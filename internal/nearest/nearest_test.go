package nearest

import "testing"

func TestTo(t *testing.T) {
	t.Parallel()
	names := []string{"BRS_EXEC_ROLE_ARN", "BRS_EXEC_PROFILE", "BRS_EXEC_REGION", "dev", "prod"}
	for in, want := range map[string]string{
		"BRS_EXEC_ROLE_ARM":     "BRS_EXEC_ROLE_ARN",
		"BRS_EXEC_ROLEARN":      "BRS_EXEC_ROLE_ARN",
		"BRS_EXEC_REGIONS":      "BRS_EXEC_REGION",
		"BRS_EXEC_":             "",
		"BRS_EXEC_SOMETHING_AT": "",
		"dve":                   "dev", // a swap counts once, not as two changes
		"xyz":                   "",
		"":                      "",
	} {
		if got := To(in, names); got != want {
			t.Errorf("To(%q): got %q; want %q", in, got, want)
		}
	}
	if got := To("pro", nil); got != "" {
		t.Errorf("without candidates: got %q", got)
	}
}

func TestDistance(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"abc", "abc", 0},
		{"abc", "abd", 1}, {"abc", "acb", 1}, {"abc", "bca", 2}, {"kitten", "sitting", 3},
	} {
		if got := distance(test.a, test.b); got != test.want {
			t.Errorf("distance(%q, %q): got %d; want %d", test.a, test.b, got, test.want)
		}
	}
}
