package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"brs-exec/internal/runner"
)

// versionOverride is for packagers who build without a clone: -ldflags "-X main.versionOverride=1.2.3".
var versionOverride string

// version is the release's number without Go's leading v, as packages have it.
func version() string {
	if versionOverride != "" {
		return versionOverride
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		return versionOf(info.Main.Version)
	}
	return "devel"
}

// versionOf turns what Go has noted: the tag or a pseudo-version, of the clone or of `go install`.
func versionOf(noted string) string {
	if noted == "" || noted == "(devel)" {
		return "devel"
	}
	return strings.TrimPrefix(noted, "v")
}

// versionPage is what --version prints. Scripts read its first line, a report of a fault needs the
// rest.
func versionPage() string {
	page := "brs-exec " + version() + "\n"
	if info, ok := debug.ReadBuildInfo(); ok {
		page += commitLine(info.Settings)
	}
	page += fmt.Sprintf("%s %s/%s\n", runtime.Version(), runtime.GOOS, runtime.GOARCH)
	if runtime.GOOS == "linux" {
		page += "early entry point: " + map[bool]string{true: "yes", false: "no"}[runner.EarlyEntry()] + "\n"
	}
	return page
}

// commitLine tells the commit and its date as go build has noted them in a clone. `go install
// MODULE@VERSION` notes neither, for it has no clone: the version names the commit there.
func commitLine(settings []debug.BuildSetting) string {
	noted := map[string]string{}
	for _, s := range settings {
		noted[s.Key] = s.Value
	}
	if noted["vcs.revision"] == "" {
		return ""
	}
	words := []string{"commit", noted["vcs.revision"], noted["vcs.time"]}
	if noted["vcs.modified"] == "true" {
		words = append(words, "modified")
	}
	return strings.Join(words, " ") + "\n"
}
