package sandbox

import (
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"math"
	"strings"
	"time"
)

// Issuer is the identity provider of the tokens that WebIdentityToken makes.
const Issuer = "https://oidc.sandbox.invalid"

// WebIdentityToken returns a JWT of Issuer that AssumeRoleWithWebIdentity takes until expires. Its
// signature is a constant: a script can as well write a token itself.
func WebIdentityToken(subject, audience string, expires time.Time) string {
	part := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			panic(err) // maps of strings and numbers: it can't
		}
		return base64.RawURLEncoding.EncodeToString(b)
	}
	head := map[string]string{"alg": "RS256", "typ": "JWT", "kid": "sandbox"}
	claims := map[string]any{"iss": Issuer, "sub": subject, "aud": audience, "exp": expires.Unix()}
	return part(head) + "." + part(claims) + "." + base64.RawURLEncoding.EncodeToString([]byte("not checked"))
}

type webIdentityResult struct {
	XMLName                     xml.Name `xml:"AssumeRoleWithWebIdentityResult"`
	SubjectFromWebIdentityToken string
	Audience                    string
	AssumedRoleUser             assumedRoleUser
	Credentials                 credentials
	Provider                    string // as AWS answers it: the provider's ARN
}

// assumeRoleWithWebIdentity is
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html.
func (s *STS) assumeRoleWithWebIdentity(r request) (any, error) {
	p := r.params
	role, life, err := roleParams(p)
	if err != nil {
		return nil, err
	}
	t, err := parseJWT(p.Get("WebIdentityToken"), r.now)
	if err != nil {
		return nil, err
	}
	if role.deny(false) {
		return nil, AccessDenied(Call{Action: "AssumeRoleWithWebIdentity"})
	}
	id := role.session(p.Get("RoleSessionName"))
	return webIdentityResult{
		SubjectFromWebIdentityToken: t.Sub,
		Audience:                    t.audience,
		AssumedRoleUser:             assumedRoleUser{id.UserID, id.ARN},
		Credentials:                 s.issue(id, r.now, life, s.o.TTL),
		Provider: "arn:" + role.partition + ":iam::" + role.account + ":oidc-provider/" +
			strings.TrimPrefix(t.Iss, "https://"),
	}, nil
}

// jwt is what STS looks at in a token.
type jwt struct {
	Iss, Sub string
	Aud      any // a string or a list of them: RFC 7519 4.1.3
	Exp      *float64
	Nbf      float64

	audience string
}

// parseJWT judges a token at now. No error shows the token.
func parseJWT(token string, now time.Time) (jwt, error) {
	const malformed = "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return jwt{}, badToken(malformed)
	}
	var head struct{ Alg string }
	var t jwt
	for i, into := range []any{&head, &t} {
		raw, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil || json.Unmarshal(raw, into) != nil {
			return jwt{}, badToken(malformed)
		}
	}
	if t.Exp == nil || head.Alg == "" || t.Sub == "" || math.Abs(*t.Exp) > 1<<40 {
		return jwt{}, badToken("Missing a required claim: exp, sub")
	}
	if list, ok := t.Aud.([]any); ok && len(list) > 0 {
		t.Aud = list[0]
	}
	if t.audience, _ = t.Aud.(string); t.audience == "" {
		return jwt{}, badToken("Incorrect token audience")
	}
	if !strings.HasPrefix(t.Iss, "https://") {
		return jwt{}, badToken("No OpenIDConnect provider found in your account for " + t.Iss)
	}
	if exp := int64(*t.Exp); now.Unix() >= exp {
		return jwt{}, badRequest("ExpiredTokenException", fmt.Sprintf(
			"Token expired: current date/time %d must be before the expiration date/time %d", now.Unix(), exp))
	}
	if t.Nbf > float64(now.Add(5*time.Minute).Unix()) {
		return jwt{}, badToken("The token is not yet valid")
	}
	return t, nil
}

func badToken(msg string) Error { return badRequest("InvalidIdentityToken", msg) }
