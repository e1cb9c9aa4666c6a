package ecsserver

import (
	"encoding/json"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// rolling is how far ahead credentials that never end are told to expire: clients demand an
// Expiration, and it is the pace at which they ask again.
const rolling = time.Hour

// answer is an encoded 200. It is immutable.
type answer struct {
	creds   aws.Credentials
	expires int64 // advertised, Unix seconds
	body    []byte
	further []byte // the body for the socket's clients; nil without Options.About
}

// document is the body. All but AccountId are demanded by one SDK or another; none may be null or
// empty.
type document struct {
	AccessKeyId, SecretAccessKey, Token, Expiration string
	AccountId                                       string `json:",omitempty"`

	Region, RenewableUntil string `json:",omitempty"` // see About
}

// encode does the work that a GET is spared. about may be nil.
func encode(c aws.Credentials, expires int64, about func() About) *answer {
	d := document{
		AccessKeyId:     c.AccessKeyID,
		SecretAccessKey: c.SecretAccessKey,
		Token:           c.SessionToken,
		// JS refuses fractions of a second and +00:00.
		Expiration: time.Unix(expires, 0).UTC().Format("2006-01-02T15:04:05Z"),
		AccountId:  c.AccountID,
	}
	a := &answer{creds: c, expires: expires, body: encodeJSON(d)}
	if about != nil {
		more := about()
		d.Region = more.Region
		if !more.RenewableUntil.IsZero() {
			d.RenewableUntil = more.RenewableUntil.UTC().Format(time.RFC3339)
		}
		a.further = encodeJSON(d)
	}
	return a
}

// encodeJSON is for what holds nothing but strings, which always marshal.
func encodeJSON(v any) []byte {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return body
}

// bodyFor is what the client of a connection gets.
func (a *answer) bodyFor(c *conn) []byte {
	if c != nil && c.isLocal() && a.further != nil {
		return a.further
	}
	return a.body
}

// fits reports whether the answer is still the one to give.
func (a *answer) fits(c *aws.Credentials, expires int64) bool {
	return a != nil && a.expires == expires &&
		a.creds.AccessKeyID == c.AccessKeyID &&
		a.creds.SecretAccessKey == c.SecretAccessKey &&
		a.creds.SessionToken == c.SessionToken &&
		a.creds.AccountID == c.AccountID
}

// advertise returns the expiry that is told, in Unix seconds, to a client that asks at second now.
// The fraction of the end is cut off, and so is that of now, so that a rolling expiry moves once a
// second.
func advertise(c *aws.Credentials, now int64, maxTTL time.Duration) int64 {
	end := now + int64(rolling/time.Second)
	if c.CanExpire {
		end = c.Expires.Unix()
	}
	if maxTTL > 0 {
		end = min(end, now+int64(maxTTL/time.Second))
	}
	return end
}

// usable reports whether c may be sent at second now. The wall clock decides, as it does at the
// client: Unix() knows no monotonic reading, which stands still while the machine sleeps.
func usable(c *aws.Credentials, now int64) bool {
	return c.AccessKeyID != "" && c.SecretAccessKey != "" && c.SessionToken != "" &&
		(!c.CanExpire || now < c.Expires.Unix())
}
