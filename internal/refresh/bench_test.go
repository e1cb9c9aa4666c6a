package refresh

import (
	"testing"
	"time"
)

// What every GET costs while a credential is valid. "time" is the baseline in the same run: reading
// the two clocks.
func BenchmarkRetrieve(b *testing.B) {
	r := New(&sts{life: time.Hour}, Options{})
	if err := r.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	ctx := b.Context()
	b.Run("one", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := r.Retrieve(ctx); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := r.Retrieve(ctx); err != nil {
					b.Error(err)
				}
			}
		})
	})
	b.Run("time", func(b *testing.B) {
		for b.Loop() {
			r.instant()
		}
	})
}

func TestRetrieveDoesNotAllocate(t *testing.T) {
	for _, lazy := range []bool{false, true} {
		r := New(&sts{life: time.Hour}, Options{Lazy: lazy})
		if err := r.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx := t.Context()
		if n := testing.AllocsPerRun(100, func() { r.Retrieve(ctx) }); n != 0 {
			t.Errorf("lazy %v: %v allocations; want none", lazy, n)
		}
	}
}
