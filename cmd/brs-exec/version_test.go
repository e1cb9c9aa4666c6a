package main

import (
	"runtime/debug"
	"testing"
)

func TestCommitLine(t *testing.T) {
	t.Parallel()
	revision := debug.BuildSetting{Key: "vcs.revision", Value: "7b10f2c"}
	date := debug.BuildSetting{Key: "vcs.time", Value: "2026-11-28T17:54:30Z"}
	for _, c := range []struct {
		name, want string
		settings   []debug.BuildSetting
	}{
		{"clone", "commit 7b10f2c 2026-11-28T17:54:30Z\n",
			[]debug.BuildSetting{revision, date, {Key: "vcs.modified", Value: "false"}}},
		{"changed", "commit 7b10f2c 2026-11-28T17:54:30Z modified\n",
			[]debug.BuildSetting{revision, date, {Key: "vcs.modified", Value: "true"}}},
		{"go install", "", []debug.BuildSetting{{Key: "GOOS", Value: "linux"}}},
	} {
		if got := commitLine(c.settings); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestVersionOf(t *testing.T) {
	t.Parallel()
	for noted, want := range map[string]string{
		"": "devel", "(devel)": "devel", "v1.2.3": "1.2.3",
		"v0.0.0-20261128175430-7b10f2c1a2b3": "0.0.0-20261128175430-7b10f2c1a2b3",
	} {
		if got := versionOf(noted); got != want {
			t.Errorf("%q: %q, want %q", noted, got, want)
		}
	}
}
