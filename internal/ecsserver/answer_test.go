package ecsserver

import (
	"math"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// creds returns usable credentials; n tells rotations apart.
func creds(n string, expires time.Time) aws.Credentials {
	return aws.Credentials{
		AccessKeyID:     "ASIA" + n,
		SecretAccessKey: "secret/" + n,
		SessionToken:    "session+token/" + n + "==",
		CanExpire:       !expires.IsZero(),
		Expires:         expires,
		AccountID:       "000000000000",
	}
}

func TestEncode(t *testing.T) {
	end := time.Date(2026, 11, 23, 16, 24, 44, 0, time.UTC)
	for _, tt := range []struct {
		name string
		edit func(*aws.Credentials)
		want string
	}{
		{"whole", func(*aws.Credentials) {},
			`{"AccessKeyId":"ASIA1","SecretAccessKey":"secret/1","Token":"session+token/1==","Expiration":"2026-11-23T16:24:44Z","AccountId":"000000000000"}`},
		{"no account", func(c *aws.Credentials) { c.AccountID = "" },
			`{"AccessKeyId":"ASIA1","SecretAccessKey":"secret/1","Token":"session+token/1==","Expiration":"2026-11-23T16:24:44Z"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := creds("1", end)
			tt.edit(&c)
			a := encode(c, end.Unix(), nil)
			if got := string(a.body); got != tt.want {
				t.Errorf("got %s; want %s", got, tt.want)
			}
		})
	}
}

func TestAdvertise(t *testing.T) {
	const now = 1_000_000
	at := func(s float64) time.Time {
		whole, frac := math.Modf(s)
		return time.Unix(now+int64(whole), int64(frac*1e9))
	}
	for _, tt := range []struct {
		name    string
		expires time.Time
		maxTTL  time.Duration
		want    int64
	}{
		{"as it is", at(3600), 0, 3600},
		{"rounded down", at(3599.999), 0, 3599},
		{"never lengthened", at(60), time.Hour, 60},
		{"capped", at(3600), time.Minute, 60},
		{"cap at the end exactly", at(60), time.Minute, 60},
		{"cap rounded down", at(3600), 1900 * time.Millisecond, 1},
		{"no end", time.Time{}, 0, 3600},
		{"no end, capped", time.Time{}, time.Minute, 60},
		{"no end, cap above the roll", time.Time{}, 2 * time.Hour, 3600},
	} {
		c := creds("1", tt.expires)
		if got := advertise(&c, now, tt.maxTTL) - now; got != tt.want {
			t.Errorf("%s: got %d s ahead; want %d", tt.name, got, tt.want)
		}
	}
}

func TestUsable(t *testing.T) {
	end := time.Unix(1_000_000, 0)
	for _, tt := range []struct {
		name string
		edit func(*aws.Credentials)
		now  time.Time
		want bool
	}{
		{"1 ns before the end", nil, end.Add(-1), true},
		{"at the end", nil, end, false},
		{"1 ns after the end", nil, end.Add(1), false},
		{"in the last second, cut off", func(c *aws.Credentials) { c.Expires = end.Add(time.Second - 1) }, end, false},
		{"no end", func(c *aws.Credentials) { c.CanExpire = false }, end.Add(time.Hour), true},
		{"no key", func(c *aws.Credentials) { c.AccessKeyID = "" }, end.Add(-time.Hour), false},
		{"no secret", func(c *aws.Credentials) { c.SecretAccessKey = "" }, end.Add(-time.Hour), false},
		{"no session token", func(c *aws.Credentials) { c.SessionToken = "" }, end.Add(-time.Hour), false},
	} {
		c := creds("1", end)
		if tt.edit != nil {
			tt.edit(&c)
		}
		if got := usable(&c, tt.now.Unix()); got != tt.want {
			t.Errorf("%s: got %v; want %v", tt.name, got, tt.want)
		}
	}
}
