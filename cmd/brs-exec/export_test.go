package main

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec/internal/credformat"
)

func TestExportedEnd(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 0, 0, 0, 5e8, time.UTC)
	for _, tt := range []struct {
		max, life time.Duration // life 0: no end
		want      string
	}{
		{0, 0, ""},
		{0, time.Hour, "2026-11-24T01:00:00Z"},
		{time.Minute, time.Hour, "2026-11-24T00:01:00Z"},
		{2 * time.Hour, time.Hour, "2026-11-24T01:00:00Z"},
		{time.Minute, 0, "2026-11-24T00:01:00Z"},
	} {
		creds := endBy(aws.Credentials{CanExpire: tt.life > 0, Expires: now.Add(tt.life)}, tt.max, now)
		text, err := credformat.Process(creds)
		_, got, _ := strings.Cut(text, `"Expiration": "`)
		got, _, _ = strings.Cut(got, `"`)
		if err != nil || got != tt.want {
			t.Errorf("%v of %v: got %q, %v; want %q", tt.max, tt.life, got, err, tt.want)
		}
	}
}

func TestFetchTellsAnEarlierEnd(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	for end, want := range map[string]string{
		"2026-11-24T01:00:00Z": "2026-11-24T00:54:00Z",
		"2026-11-24T00:00:08Z": "2026-11-24T00:00:07Z",
		"2026-11-24T00:00:02Z": "2026-11-24T00:00:01Z",
		"2026-11-24T00:00:01Z": "2026-11-24T00:00:01Z",
		"2026-11-23T00:00:00Z": "2026-11-23T00:00:00Z",
	} {
		real, err := time.Parse(time.RFC3339, end)
		if got := earlier(real, now).Format(time.RFC3339); err != nil || got != want {
			t.Errorf("%s: got %s, %v; want %s", end, got, err, want)
		}
	}
}

// What is no answer of an endpoint is an error, never credentials.
func TestFetchRefusesOtherAnswers(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		"", "{}", "hush", `{"AccessKeyId":""}`, `{"AccessKeyId":"A","SecretAccessKey":"s","Expiration":"soon"}`,
	} {
		if creds, err := readAnswer(200, []byte(body), time.Now()); err == nil {
			t.Errorf("%s: got %v; want an error", body, creds.AccessKeyID)
		}
	}
	if _, err := readAnswer(503, []byte(`{"Code":"Throttling","Message":"later"}`), time.Now()); err == nil ||
		err.Error() != "the endpoint has no credentials: Throttling: later" {
		t.Errorf("got %v", err)
	}
}
