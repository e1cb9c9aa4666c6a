package source

import (
	"strings"
	"time"
)

// timeLayouts are the forms of ISO 8601 that people's scripts and older tools write: `date
// +%FT%T%z` prints the second, aws cli v1 wrote the last into its SSO cache.
var timeLayouts = []string{
	time.RFC3339, "2006-01-02T15:04:05-0700", "2006-01-02T15:04:05-07",
	"20060102T150405Z0700", "20060102T150405Z07:00", "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05MST",
}

// parseTime reads an instant in any of these forms. One without a zone is none.
func parseTime(s string) (time.Time, bool) {
	s = strings.Replace(strings.TrimSpace(s), " ", "T", 1)
	for _, layout := range timeLayouts {
		t, err := time.Parse(layout, s)
		if err == nil &&
			(!strings.HasSuffix(layout, "MST") || strings.HasSuffix(s, "UTC") || strings.HasSuffix(s, "GMT")) {
			return t, true
		}
	}
	return time.Time{}, false
}
