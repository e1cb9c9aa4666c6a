//go:build linux && (amd64 || arm64)

package runner

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// BenchmarkStream sends 1 GB through `w cat` in a pipeline, and 64 MB through a terminal: `w --pty`
// beside script(1). The rounds are interleaved; the ratios are those of medians.
//
//	go test ./internal/runner -run '^$' -bench Stream -benchtime 9x
func BenchmarkStream(b *testing.B) {
	const pipeline = `head -c 1000000000 /dev/zero | w cat | cat >/dev/null`
	b.Run("pipeline", func(b *testing.B) {
		ratio(b, func() time.Duration { return took(b, bare, pipeline) }, func() time.Duration { return took(b, wrapped, pipeline) })
	})
	b.Run("pty", func(b *testing.B) {
		const lines = `yes 0123456789012345678901234567890123456789012345678901234567890 | head -c 64000000`
		ratio(b, func() time.Duration { return took(b, bare, `script -qec '`+lines+`' /dev/null >/dev/null </dev/null`) },
			func() time.Duration { return took(b, wrapped, `w --pty sh -c '`+lines+`' >/dev/null </dev/null`) })
	})
}

func took(b *testing.B, s side, script string) time.Duration {
	begin := time.Now()
	if r := s.script(b, script); !strings.HasSuffix(r.String(), "[exit 0]") {
		b.Fatalf("%s: %v %s", script, r, r.err)
	}
	return time.Since(begin)
}

func ratio(b *testing.B, base, ours func() time.Duration) {
	var bases, all []time.Duration
	for b.Loop() {
		bases, all = append(bases, base()), append(all, ours())
	}
	slices.Sort(bases)
	slices.Sort(all)
	want, got := bases[len(bases)/2], all[len(all)/2]
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(want.Milliseconds()), "ms-bare")
	b.ReportMetric(float64(got.Milliseconds()), "ms-wrapped")
	b.ReportMetric(float64(got)/float64(want), "ratio")
}
