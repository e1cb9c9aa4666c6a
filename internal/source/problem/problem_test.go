package problem

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// An option is written as a flag in hints, and as what it was given by where it is wrong.
func TestInput(t *testing.T) {
	names := Names(func(o Option) (flag, given string) { return "--" + string(o), "VAR_" + string(o) })
	for _, c := range []struct {
		in            Input
		string, write string
	}{
		{names.Input(RoleARN), "VAR_role-arn", "--role-arn x"},
		{Names(nil).Input(RoleARN), "role-arn", "role-arn x"},
		{Input{Variable: "AWS_ROLE_ARN"}, "AWS_ROLE_ARN", "export AWS_ROLE_ARN=x"},
		{Input{Key: "role_arn", Profile: "dev"}, "role_arn of profile dev", "role_arn = x"},
	} {
		if got, write := c.in.String(), c.in.With("x"); got != c.string || write != c.write {
			t.Errorf("got %q, %q; want %q, %q", got, write, c.string, c.write)
		}
	}
}

// Hint and verdict go with the error, through all that is said of it.
func TestBad(t *testing.T) {
	long := strings.Repeat("x", 10_000)
	err := Bad("do this", "%s: %s", Input{Variable: "A"}, long)
	err = Prefix(Input{Variable: "B"}, err)
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Verdict != Permanent || !slices.Equal(e.Hints(), []string{"do this"}) {
		t.Errorf("got %+v", err)
	}
	if text := err.Error(); !strings.HasPrefix(text, "B: A: x") || len(text) > 1000 {
		t.Errorf("got %d bytes: %.20s", len(text), text)
	}
	if err := Prefix(Input{Variable: "B"}, fmt.Errorf("no")); err.Error() != "B: no" {
		t.Errorf("got %v", err)
	}
}
