package sandbox

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// This file verifies signatures by
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html and not by the SDK's signer:
// what the SDK would sign wrongly must not pass.

const (
	algorithm = "AWS4-HMAC-SHA256"
	dateForm  = "20060102T150405Z" // X-Amz-Date

	// maxSkew is how far a signature's date may be from STS's clock.
	maxSkew = 15 * time.Minute

	signatureMismatch = "The request signature we calculated does not match the signature you provided. " +
		"Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
)

// A signature is what a request says about how it was signed.
type signature struct {
	keyID, day, region, service, terminator string // the credential scope

	headers []string // SignedHeaders
	mac     string   // lower-case hex
	date    string   // in dateForm
	token   string
}

// authenticate returns who signed r, or AWS's error. It fills c's key, region and caller as soon as
// they are known.
func (s *STS) authenticate(c *Call, r *http.Request, body []byte, now time.Time) (identity, error) {
	sig, err := parseAuthorization(r.Header)
	if err != nil {
		return identity{}, err
	}
	c.AccessKeyID, c.Region = sig.keyID, sig.region
	id, secret, err := s.resolve(sig.keyID, sig.token)
	if err != nil {
		return identity{}, err
	}
	c.CallerARN = id.ARN
	signed, err := sig.checkScope()
	if err != nil {
		return identity{}, err
	}
	if c.Signed = signed; id.Expires != 0 {
		c.Expires = time.Unix(id.Expires, 0)
	}
	if err := sig.checkDate(signed, now); err != nil {
		return identity{}, err
	}
	if id.Expires != 0 && !now.Before(time.Unix(id.Expires, 0)) {
		return identity{}, forbidden("ExpiredToken", "The security token included in the request is expired")
	}
	want := sig.sign(secret, canonicalRequest(r, sig, body))
	if !hmac.Equal([]byte(want), []byte(sig.mac)) {
		return identity{}, forbidden("SignatureDoesNotMatch", signatureMismatch)
	}
	return id, nil
}

// resolve returns the identity and the secret behind a key, without judging whether it has expired.
func (s *STS) resolve(keyID, token string) (identity, string, error) {
	if keyID == s.base.AccessKeyID && token == "" {
		return s.user(), s.base.SecretAccessKey, nil
	}
	id, ok := s.open(token)
	if !ok || id.KeyID != keyID {
		return identity{}, "", forbidden("InvalidClientTokenId",
			"The security token included in the request is invalid.")
	}
	return id, s.secret(token), nil
}

func parseAuthorization(h http.Header) (signature, error) {
	scheme, rest, _ := strings.Cut(h.Get("Authorization"), " ")
	switch scheme {
	case algorithm:
	case "":
		return signature{}, forbidden("MissingAuthenticationToken", "Request is missing Authentication Token")
	default:
		return signature{}, incomplete("Unsupported AWS 'algorithm': '" + scheme + "'.")
	}
	fields := make(map[string]string)
	for part := range strings.SplitSeq(rest, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok {
			return signature{}, incomplete("'" + name +
				"' not a valid key=value pair (missing equal-sign) in Authorization header.")
		}
		fields[name] = value
	}
	var missing []string
	for _, name := range []string{"Credential", "Signature", "SignedHeaders"} {
		if fields[name] == "" {
			missing = append(missing, "Authorization header requires '"+name+"' parameter.")
		}
	}
	sig := signature{mac: fields["Signature"], token: h.Get("X-Amz-Security-Token"), date: h.Get("X-Amz-Date")}
	if sig.date == "" {
		if t, err := http.ParseTime(h.Get("Date")); err == nil {
			sig.date = t.UTC().Format(dateForm)
		} else {
			missing = append(missing,
				"Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
		}
	}
	if missing != nil {
		return signature{}, incomplete(strings.Join(missing, " "))
	}
	return sig.withScope(fields["Credential"], fields["SignedHeaders"])
}

// withScope adds the credential scope and the names of the signed headers.
func (g signature) withScope(credential, headers string) (signature, error) {
	parts := strings.Split(credential, "/")
	if len(parts) != 5 {
		return signature{}, incomplete(
			"Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term.")
	}
	g.keyID, g.day, g.region, g.service, g.terminator = parts[0], parts[1], parts[2], parts[3], parts[4]
	g.headers = strings.Split(strings.ToLower(headers), ";")
	if !slices.Contains(g.headers, "host") {
		return signature{}, forbidden("SignatureDoesNotMatch",
			"'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
	}
	return g, nil
}

// checkScope holds the scope to this service and returns the time of signing.
func (g signature) checkScope() (time.Time, error) {
	signed, err := time.Parse(dateForm, g.date)
	if err != nil {
		return time.Time{}, incomplete("Date must be in ISO-8601 'basic format'. Got '" + g.date +
			"'. See http://en.wikipedia.org/wiki/ISO_8601")
	}
	var wrong []string
	if g.region == "" {
		wrong = append(wrong, "Credential should be scoped to a valid region.")
	}
	if g.service != "sts" {
		wrong = append(wrong, "Credential should be scoped to correct service: 'sts'.")
	}
	if g.terminator != "aws4_request" {
		wrong = append(wrong,
			"Credential should be scoped with a valid terminator: 'aws4_request', not '"+g.terminator+"'.")
	}
	if day := signed.Format("20060102"); g.day != day {
		wrong = append(wrong, "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of "+
			"date from HTTP: '"+
			g.day+"' != '"+day+"', from '"+g.date+"'.")
	}
	if wrong != nil {
		return time.Time{}, forbidden("SignatureDoesNotMatch", strings.Join(wrong, " "))
	}
	return signed, nil
}

func (g signature) checkDate(signed, now time.Time) error {
	form := func(t time.Time) string { return t.UTC().Format(dateForm) }
	switch oldest, newest := now.Add(-maxSkew), now.Add(maxSkew); {
	case signed.Before(oldest):
		return forbidden("SignatureDoesNotMatch", "Signature expired: "+g.date+" is now earlier than "+form(oldest)+
			" ("+form(now)+" - 15 min.)")
	case signed.After(newest):
		return forbidden("SignatureDoesNotMatch", "Signature not yet current: "+g.date+
			" is still later than "+form(newest)+" ("+form(now)+" + 15 min.)")
	}
	return nil
}

// sign returns the signature that secret gives to the canonical request.
func (g signature) sign(secret, canonical string) string {
	sum := sha256.Sum256([]byte(canonical))
	scope := strings.Join([]string{g.day, g.region, g.service, g.terminator}, "/")
	text := algorithm + "\n" + g.date + "\n" + scope + "\n" + hex.EncodeToString(sum[:])
	key := []byte("AWS4" + secret)
	for _, part := range []string{g.day, g.region, g.service, g.terminator, text} {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(part))
		key = h.Sum(nil)
	}
	return hex.EncodeToString(key)
}

// canonicalRequest is the text whose hash is signed.
func canonicalRequest(r *http.Request, g signature, body []byte) string {
	var b strings.Builder
	b.WriteString(r.Method + "\n" + canonicalPath(r.URL) + "\n" + canonicalQuery(r.URL.RawQuery) + "\n")
	for _, name := range g.headers {
		b.WriteString(name + ":" + canonicalHeader(r, name) + "\n")
	}
	sum := sha256.Sum256(body)
	b.WriteString("\n" + strings.Join(g.headers, ";") + "\n" + hex.EncodeToString(sum[:]))
	return b.String()
}

// canonicalPath encodes the path that was sent once more: every service but S3 signs it doubly
// encoded.
func canonicalPath(u *url.URL) string {
	segments := strings.Split(cmp.Or(u.EscapedPath(), "/"), "/")
	for i, s := range segments {
		segments[i] = escape(s)
	}
	return strings.Join(segments, "/")
}

func canonicalQuery(raw string) string {
	q, _ := url.ParseQuery(raw) // params has refused what can't be parsed
	var pairs [][2]string
	for name, values := range q {
		for _, v := range values {
			pairs = append(pairs, [2]string{escape(name), escape(v)})
		}
	}
	slices.SortFunc(pairs, func(a, b [2]string) int {
		return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1]))
	})
	var out []string
	for _, p := range pairs {
		out = append(out, p[0]+"="+p[1])
	}
	return strings.Join(out, "&")
}

// canonicalHeader joins a header's values as RFC 9110 5.3 does and folds runs of spaces. net/http's
// server takes Host away from the headers.
func canonicalHeader(r *http.Request, name string) string {
	if name == "host" {
		return r.Host
	}
	values := r.Header.Values(name)
	folded := make([]string, len(values))
	for i, v := range values {
		folded[i] = strings.Join(strings.Fields(v), " ")
	}
	return strings.Join(folded, ",")
}

// escape is RFC 3986's encoding of everything that is not unreserved, in upper-case hex: as
// QueryEscape's but for the space.
func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

func forbidden(code, msg string) Error {
	return Error{Status: http.StatusForbidden, Code: code, Message: msg}
}

func incomplete(msg string) Error { return badRequest("IncompleteSignature", msg) }

func badRequest(code, msg string) Error {
	return Error{Status: http.StatusBadRequest, Code: code, Message: msg}
}
