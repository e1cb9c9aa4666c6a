package explain

import (
	"strings"
	"testing"
	"time"
)

// The first screen answers; what was not found out is said, not left blank.
func TestText(t *testing.T) {
	t.Parallel()
	end := time.Date(2026, 11, 24, 1, 0, 0, 0, time.UTC)
	ahead := 90.0
	for _, tt := range []struct {
		name string
		page Page
		want []string
	}{
		{"works", Page{Works: true, Arn: "arn:aws:iam::1:user/me", Remedy: []string{"a", "b"}, AccessKeyID: "…ABCD", Expiration: &end,
			Life: 3600, RefreshAfter: []float64{1620, 1980}}, []string{
			"WORKS: the command would be arn:aws:iam::1:user/me\nTo do      a\n           b\n\n",
			"\nExpires    2026-11-24T01:00:00Z, in 1h\n",
			"\nRefreshed  between 27m and 33m after each fetch, about half of the life\n",
			"\nRenewable  without a person: no end is known\n", "\nClock      not compared", "\n  nothing\n"}},
		{"fails", Page{Error: "no", ClockAhead: &ahead}, []string{"DOES NOT WORK: no\n", "\nClock      1m30s ahead of STS's\n"}},
		{"nameless", Page{Works: true, AccessKeyID: "…ABCD", UnknownEnd: true}, []string{"would be somebody whom STS doesn't name\n",
			"\nExpires    some day", "\nRefreshed  nothing says when", "\nRenewable  not by brs-exec"}},
		{"on request", Page{AccessKeyID: "…ABCD", RefreshAfter: []float64{60, 60}, OnRequest: "--lazy"},
			[]string{"\nRefreshed  by the first request that comes 1m after a fetch, or later (--lazy)\n"}},
		{"steps", Page{Steps: []Step{{Name: "one", Outcome: OK, Milliseconds: 12}, {Name: "two", Outcome: Failed, Error: "no", Hint: "yes"},
			{Name: "three", Outcome: NotReached}}}, []string{"\n  ok              12 ms  one\n", "\n  failed           0 ms  two\n",
			"\n                         no\n                         hint: yes\n", "\n  not reached            three\n"}},
		{"rivals", Page{Outranking: []Rival{{"A", "some", "it does", "unset"}}},
			[]string{"\n  A, in some\n      why: it does\n      for the command: unset\n"}},
	} {
		got := tt.page.Text(strings.Clone)
		for _, want := range tt.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s: got\n%s\nwithout %q", tt.name, got, want)
			}
		}
	}
	if raw := (&Page{NoEndpoint: true}).Text(strings.Clone); strings.Contains(raw, "outrank") {
		t.Errorf("got\n%s\nwant nothing about an endpoint that isn't there", raw)
	}
}

// No text of a page is left as others wrote it.
func TestClean(t *testing.T) {
	t.Parallel()
	const foreign = "a\nb"
	page := Page{Error: foreign, Remedy: []string{foreign}, Account: foreign, Arn: foreign, UserId: foreign, Source: foreign, STS: foreign,
		AccessKeyID: foreign, Candidates: []Candidate{{foreign, foreign, foreign}}, Outranking: []Rival{{foreign, foreign, foreign, foreign}},
		Steps: []Step{{Name: foreign, Error: foreign, Hint: foreign}}, Messages: []string{foreign}}
	clean := func(s string) string { return strings.ReplaceAll(s, "\n", " ") }
	for _, works := range []bool{true, false} {
		if page.Works = works; strings.Contains(page.Text(clean), foreign) {
			t.Errorf("got\n%s", page.Text(clean))
		}
	}
}

func TestShort(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0s", 1500 * time.Millisecond: "2s", time.Minute: "1m", time.Hour: "1h", 90 * time.Minute: "1h30m",
		time.Hour + time.Second: "1h0m1s", 10 * time.Second: "10s",
	} {
		if got := Short(d); got != want {
			t.Errorf("%d: got %s; want %s", d, got, want)
		}
	}
}
