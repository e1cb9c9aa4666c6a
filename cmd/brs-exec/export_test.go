package main

import (
	"io"
	"net/http"
	"net/http/httptest"
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
		if got := earlier(real, now, 0).Format(time.RFC3339); err != nil || got != want {
			t.Errorf("%s: got %s, %v; want %s", end, got, err, want)
		}
	}
}

// What is no answer of an endpoint is an error, never credentials.
func TestFetchRefusesOtherAnswers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		status int
		body   string
		want   string
		again  bool
	}{
		{200, "", "the endpoint's answer is no JSON of credentials", false},
		{200, "{}", "the endpoint's answer is no JSON of credentials", false},
		{200, "hush", "the endpoint's answer is no JSON of credentials", false},
		{200, `{"AccessKeyId":""}`, "the endpoint's answer is no JSON of credentials", false},
		{200, `{"AccessKeyId":"A","SecretAccessKey":"s","Expiration":"soon"}`, "the endpoint's answer is no JSON of credentials", false},
		{503, `{"code":"Throttling","message":"later"}`, "the endpoint has no credentials: Throttling: later", true},
		{403, `{"code":"AccessDenied","message":"no"}`, "the endpoint has no credentials: AccessDenied: no", false},
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "token" {
				t.Errorf("got token %q", r.Header.Get("Authorization"))
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(tt.status)
			io.WriteString(w, tt.body)
		}))
		env := []string{"AWS_CONTAINER_CREDENTIALS_FULL_URI=" + srv.URL + "/x", "AWS_CONTAINER_AUTHORIZATION_TOKEN=token"}
		_, again, err := get(t.Context(), wanted{}, env)
		srv.Close()
		if err == nil || err.Error() != tt.want || again != tt.again {
			t.Errorf("%d %s: got %v, %t; want %s, %t", tt.status, tt.body, err, again, tt.want, tt.again)
		}
	}
}
