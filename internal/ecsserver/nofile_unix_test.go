//go:build unix

package ecsserver

import (
	"math"
	"testing"
)

func TestConnLimit(t *testing.T) {
	for _, tt := range []struct {
		nofile uint64
		want   int
	}{
		{0, 16}, {64, 16}, {80, 16}, {81, 17}, {256, 192}, {1024, 960}, {4160, 4096}, {4161, 4096}, {math.MaxUint64, 4096},
	} {
		if got := connLimit(tt.nofile); got != tt.want {
			t.Errorf("NOFILE %d: got %d; want %d", tt.nofile, got, tt.want)
		}
	}
	if got := maxConns(); got < 16 || got > 4096 {
		t.Errorf("here: got %d; want 16 to 4096", got)
	}
}
