package sandbox

import (
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"strings"
	"time"
)

// WebIdentityToken returns a JWT that AssumeRoleWithWebIdentity takes until expires. Its signature is
// a constant: a script can as well write a token itself.
func WebIdentityToken(subject, audience string, expires time.Time) string {
	part := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			panic(err) // maps of strings and numbers: it can't
		}
		return base64.RawURLEncoding.EncodeToString(b)
	}
	head := map[string]string{"alg": "RS256", "typ": "JWT", "kid": "sandbox"}
	claims := map[string]any{"iss": "https://oidc.sandbox.invalid", "sub": subject, "aud": audience, "exp": expires.Unix()}
	return part(head) + "." + part(claims) + "." + base64.RawURLEncoding.EncodeToString([]byte("not checked"))
}

type webIdentityResult struct {
	XMLName         xml.Name `xml:"AssumeRoleWithWebIdentityResult"`
	AssumedRoleUser assumedRoleUser
	Credentials     credentials
}

// assumeRoleWithWebIdentity is
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html.
func (s *STS) assumeRoleWithWebIdentity(r request) (any, error) {
	p := r.params
	role, life, err := roleParams(p)
	if err != nil {
		return nil, err
	}
	if err := checkJWT(p.Get("WebIdentityToken"), r.now); err != nil {
		return nil, err
	}
	if role.deny(false) {
		return nil, AccessDenied(Call{Action: "AssumeRoleWithWebIdentity"})
	}
	id := role.session(p.Get("RoleSessionName"))
	return webIdentityResult{
		AssumedRoleUser: assumedRoleUser{id.UserID, id.ARN},
		Credentials:     s.issue(id, r.now, life, s.o.TTL),
	}, nil
}

// checkJWT judges a token at now. No error shows it.
func checkJWT(token string, now time.Time) error {
	var claims struct {
		Sub string
		Aud any // a string or a list of them: RFC 7519 4.1.3
		Exp float64
	}
	_, rest, _ := strings.Cut(token, ".")
	middle, _, whole := strings.Cut(rest, ".")
	raw, err := base64.RawURLEncoding.DecodeString(middle)
	switch {
	case !whole || err != nil || json.Unmarshal(raw, &claims) != nil:
		return badToken("The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)")
	case claims.Exp == 0 || claims.Sub == "":
		return badToken("Missing a required claim: exp, sub")
	case claims.Aud == nil || claims.Aud == "":
		return badToken("Incorrect token audience")
	case float64(now.Unix()) >= claims.Exp:
		return badRequest("ExpiredTokenException", fmt.Sprintf(
			"Token expired: current date/time %d must be before the expiration date/time %.0f", now.Unix(), claims.Exp))
	}
	return nil
}

func badToken(msg string) Error { return badRequest("InvalidIdentityToken", msg) }
