package refresh

import (
	"testing"
	"time"
)

// Who wants so much left gets it where lives are long enough, and the schedule of everybody else where they are not.
func TestLeaving(t *testing.T) {
	t.Parallel()
	const least = 16 * time.Minute
	var issued time.Time
	for _, tt := range []struct{ life, due, want time.Duration }{
		{time.Hour, 30 * time.Minute, 30 * time.Minute},
		{20 * time.Minute, 10 * time.Minute, 4 * time.Minute},
		{least + 30*time.Second, 8 * time.Minute, 30 * time.Second},
		{least + 29*time.Second, 8 * time.Minute, 8 * time.Minute},
		{time.Minute, 30 * time.Second, 30 * time.Second},
	} {
		if got := withLeastLeft(least, issued, issued.Add(tt.life), issued.Add(tt.due)).Sub(issued); got != tt.want {
			t.Errorf("a life of %v: due after %v; want %v", tt.life, got, tt.want)
		}
		if got := withLeastLeft(0, issued, issued.Add(tt.life), issued.Add(tt.due)).Sub(issued); got != tt.due {
			t.Errorf("a life of %v, nothing wanted: due after %v", tt.life, got)
		}
	}
}
