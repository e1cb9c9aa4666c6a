package sandbox

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"
)

// An identity is who owns a credential. A session token is its JSON, sealed.
type identity struct {
	KeyID          string    `json:"k"`
	ARN            string    `json:"arn"`
	UserID         string    `json:"uid"`
	Account        string    `json:"acct"`
	Expires        time.Time `json:"exp,omitzero"` // zero: never, as long-term keys
	Role           bool      `json:"role,omitempty"`
	MFA            bool      `json:"mfa,omitempty"`
	SourceIdentity string    `json:"src,omitempty"`
}

// credentials is the element of that name in three answers.
type credentials struct {
	AccessKeyId, SecretAccessKey, SessionToken, Expiration string
}

func (s *STS) user() identity {
	return identity{
		KeyID:   s.base.AccessKeyID,
		ARN:     "arn:aws:iam::" + Account + ":user/sandbox",
		UserID:  uniqueID("AIDA", Account),
		Account: Account,
	}
}

// issue seals id for life, or for less: most, which is one of Options' TTLs; 0: no cap.
func (s *STS) issue(id identity, now time.Time, life, most time.Duration) credentials {
	if most > 0 {
		life = min(life, most)
	}
	id.KeyID = keyID("ASIA")
	// Expiration has whole seconds, and the same instant is enforced: a life may be shorter than
	// asked by less than one.
	id.Expires = now.Add(life).Truncate(time.Second).UTC()
	token := s.seal(id)
	return credentials{
		AccessKeyId:     id.KeyID,
		SecretAccessKey: s.secret(token),
		SessionToken:    token,
		Expiration:      id.Expires.Format(time.RFC3339),
	}
}

func (s *STS) seal(id identity) string {
	claims, err := json.Marshal(id)
	if err != nil {
		panic(err) // a time beyond the year 9999
	}
	return base64.StdEncoding.EncodeToString(append(s.mac("token", claims), claims...))
}

// open returns what a session token seals, and whether this STS sealed it.
func (s *STS) open(token string) (id identity, ok bool) {
	raw, err := base64.StdEncoding.Strict().DecodeString(token)
	if err != nil || len(raw) < sha256.Size || strings.ContainsAny(token, "\r\n") { // base64 skips newlines
		return identity{}, false
	}
	mac, claims := raw[:sha256.Size], raw[sha256.Size:]
	if !hmac.Equal(mac, s.mac("token", claims)) {
		return identity{}, false
	}
	return id, json.Unmarshal(claims, &id) == nil
}

// secret derives the secret access key that belongs to a token: 40 characters, as AWS's have.
func (s *STS) secret(token string) string {
	return base64.StdEncoding.EncodeToString(s.mac("secret", []byte(token)))[:40]
}

func (s *STS) mac(use string, b []byte) []byte {
	h := hmac.New(sha256.New, s.key)
	h.Write([]byte(use + "\x00"))
	h.Write(b)
	return h.Sum(nil)
}

// keyID is prefix and 16 random characters, as AWS's identifiers of that kind are.
func keyID(prefix string) string { return prefix + rand.Text()[:16] }

// uniqueID is the identifier that AWS gives to the thing of that name; here the same in every run.
func uniqueID(prefix, name string) string {
	sum := sha256.Sum256([]byte(name))
	return prefix + strings.TrimRight(base32.StdEncoding.EncodeToString(sum[:]), "=")[:17]
}
