package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

func median(d []time.Duration) time.Duration {
	d = slices.Sorted(slices.Values(d))
	return (d[(len(d)-1)/2] + d[len(d)/2]) / 2
}

func ratio(a, b []time.Duration) float64 {
	return float64(median(a)) / float64(max(median(b), 1))
}

// by finds a subject by its name.
func by(all []*subject, name string) *subject {
	i := slices.IndexFunc(all, func(s *subject) bool { return s.name == name })
	return all[i]
}

func table(all []*subject) string {
	base := by(all, "bare + server")
	var b strings.Builder
	b.WriteString("| | wall, ms | × | CPU, ms | × | idle RSS, MiB | binary, MB |\n|---|---|---|---|---|---|---|\n")
	for _, s := range all {
		rss := "–"
		if s.rss > 0 {
			rss = fmt.Sprintf("%.1f", float64(s.rss)/1024)
		}
		fmt.Fprintf(&b, "| %s | %s | %.2f | %s | %.2f | %s | %.1f |\n", s.name,
			times(s.wall), ratio(s.wall, base.wall), times(s.cpu), ratio(s.cpu, base.cpu), rss, float64(s.size)/1e6)
	}
	return b.String()
}

func times(d []time.Duration) string {
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	return fmt.Sprintf("%.1f (%.1f)", ms(median(d)), ms(slices.Min(d)))
}

// limit is what brs-exec is held to.
type limit struct {
	what      string
	got, most float64
}

func (l limit) broken() bool { return l.got > l.most }

func (l limit) String() string {
	verdict := "holds "
	if l.broken() {
		verdict = "BROKEN"
	}
	return fmt.Sprintf("%s %s: %.2f, at most %.2f", verdict, l.what, l.got, l.most)
}

// limits are ratios of medians in one run, so that a slow machine breaks none of them.
func limits(all []*subject) []limit {
	base := by(all, "bare + server")
	plain, secure, watching := by(all, "brs-exec, http"), by(all, "brs-exec, https"), by(all, keysInHome)
	return []limit{
		{"http, wall to bare + server", ratio(plain.wall, base.wall), 2.4},
		{"http, CPU to bare + server", ratio(plain.cpu, base.cpu), 2.4},
		{"https, wall or CPU to bare + server", max(ratio(secure.wall, base.wall), ratio(secure.cpu, base.cpu)), 3.2},
		{"http with keys in ~/.aws, wall to bare + server", ratio(watching.wall, base.wall), 2.5},
		{"idle RSS after https, MiB", float64(secure.rss) / 1024, 16},
		{"binary, MB", float64(plain.size) / 1e6, 14},
	}
}
