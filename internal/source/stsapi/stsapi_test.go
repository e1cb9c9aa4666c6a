package stsapi

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// TestMain gives every test an environment without anything of AWS's.
func TestMain(m *testing.M) {
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "AWS_") {
			os.Unsetenv(name)
		}
	}
	os.Setenv("HOME", "/no-home")
	os.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	os.Exit(m.Run())
}

// Clocks in step never measure less than 0: that would shorten lives.
func TestSkewOf(t *testing.T) {
	noon := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		ahead time.Duration // of the local clock
		want  time.Duration
	}{{0, 0}, {time.Hour, time.Hour}, {-time.Minute, -time.Minute}} {
		for _, fraction := range []time.Duration{0, time.Millisecond, 999 * time.Millisecond} {
			now := noon.Add(fraction)
			if got := skewOf(now.Add(c.ahead), now.Truncate(time.Second)); got != c.want+fraction {
				t.Errorf("%v ahead, Date cut by %v: %v; want %v", c.ahead, fraction, got, c.want+fraction)
			}
		}
	}
}

func TestCheckComplete(t *testing.T) {
	if err := CheckComplete(aws.Credentials{AccessKeyID: "A", SecretAccessKey: "S", SessionToken: "T"}); err != nil {
		t.Errorf("credentials that don't end: %v", err)
	}
}
