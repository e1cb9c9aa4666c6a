package hint

import (
	"errors"
	"fmt"
	"testing"
)

func TestOf(t *testing.T) {
	t.Parallel()
	inner := Errorf("do this", "%w", errors.ErrUnsupported)
	for _, tt := range []struct {
		name string
		err  error
		want string
	}{
		{"no error", nil, ""},
		{"none", errors.ErrUnsupported, ""},
		{"its own", inner, "do this"},
		{"of one within", fmt.Errorf("x: %w", inner), "do this"},
		{"outermost", Errorf("do that", "x: %w", inner), "do that"},
		{"nothing is known any more", Errorf("", "x: %w", inner), ""},
	} {
		if got := Of(tt.err); got != tt.want {
			t.Errorf("%s: got %q; want %q", tt.name, got, tt.want)
		}
		if tt.err != nil && !errors.Is(tt.err, errors.ErrUnsupported) {
			t.Errorf("%s: %v hides what it wraps", tt.name, tt.err)
		}
	}
}
