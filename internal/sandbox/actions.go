package sandbox

import (
	"cmp"
	"encoding/xml"
	"maps"
	"net/url"
	"strings"
	"time"
)

type assumedRoleUser struct{ AssumedRoleId, Arn string }

type assumeRoleResult struct {
	XMLName          xml.Name `xml:"AssumeRoleResult"`
	AssumedRoleUser  assumedRoleUser
	Credentials      credentials
	PackedPolicySize int    `xml:",omitempty"`
	SourceIdentity   string `xml:",omitempty"`
}

// assumeRole is https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html.
func (s *STS) assumeRole(r request) (any, error) {
	p := r.params
	var v validation
	v.roleParams(p)
	v.text("externalId", p, "ExternalId", 2, 1224, "+=,.@:/-")
	v.text("sourceIdentity", p, "SourceIdentity", 2, 64, wordChars)
	v.mfa(p)
	tags := v.tags(p)
	keys := v.list(p, "TransitiveTagKeys", "transitiveTagKeys", 50)
	life := v.duration(p, time.Hour, 12*time.Hour)
	if err := v.err(); err != nil {
		return nil, err
	}
	role, err := parseRole(p.Get("RoleArn"))
	if err != nil {
		return nil, err
	}
	if r.caller.Role && life > time.Hour {
		return nil, invalid("The requested DurationSeconds exceeds the 1 hour session limit for roles assumed " +
			"by role chaining")
	}
	if err := checkPolicies(p); err != nil {
		return nil, err
	}
	transitive, err := passOn(r.caller.Transitive, tags, keys)
	if err != nil {
		return nil, err
	}
	mfa, err := s.checkMFA(p, r.caller, r.now)
	if err != nil {
		return nil, err
	}
	source := p.Get("SourceIdentity")
	inherited := r.caller.SourceIdentity // once set it goes with every hop and can't be changed
	if role.deny(mfa || r.caller.MFA) || inherited != "" && source != "" && source != inherited {
		return nil, AccessDenied(Call{Action: "AssumeRole", Params: p, CallerARN: r.caller.ARN})
	}
	source = cmp.Or(source, inherited)
	id := role.session(p.Get("RoleSessionName"))
	id.SourceIdentity, id.Transitive, id.MFA = source, transitive, mfa
	return assumeRoleResult{
		AssumedRoleUser:  assumedRoleUser{id.UserID, id.ARN},
		Credentials:      s.issue(id, r.now, life, s.o.TTL),
		PackedPolicySize: packed(p, tags),
		SourceIdentity:   source,
	}, nil
}

type getSessionTokenResult struct {
	XMLName     xml.Name `xml:"GetSessionTokenResult"`
	Credentials credentials
}

// getSessionToken is https://docs.aws.amazon.com/STS/latest/APIReference/API_GetSessionToken.html.
func (s *STS) getSessionToken(r request) (any, error) {
	var v validation
	v.mfa(r.params)
	life := v.duration(r.params, 12*time.Hour, 36*time.Hour)
	if err := v.err(); err != nil {
		return nil, err
	}
	if r.caller.Expires != 0 {
		return nil, forbidden("AccessDenied", "Cannot call GetSessionToken with session credentials")
	}
	mfa, err := s.checkMFA(r.params, r.caller, r.now)
	if err != nil {
		return nil, err
	}
	id := r.caller
	id.MFA = mfa
	return getSessionTokenResult{Credentials: s.issue(id, r.now, life, cmp.Or(s.o.SessionTTL, s.o.TTL))}, nil
}

type getCallerIdentityResult struct {
	XMLName              xml.Name `xml:"GetCallerIdentityResult"`
	Arn, UserId, Account string
}

func (s *STS) getCallerIdentity(r request) (any, error) {
	return getCallerIdentityResult{Arn: r.caller.ARN, UserId: r.caller.UserID, Account: r.caller.Account}, nil
}

// role is a role ARN taken apart.
type role struct{ arn, partition, account, name string }

// parseRole wants arn:PARTITION:iam::ACCOUNT:role/PATH/NAME.
func parseRole(arn string) (role, error) {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" {
		return role{}, invalid(arn + " is invalid")
	}
	kind, path, _ := strings.Cut(parts[5], "/")
	name := path[strings.LastIndexByte(path, '/')+1:]
	account := parts[4]
	if !strings.HasPrefix(parts[1], "aws") || parts[2] != "iam" || parts[3] != "" || kind != "role" ||
		len(account) != 12 || !only(account, "", isDigit) ||
		name == "" || len(name) > 64 || !only(name, wordChars, isWord) {
		return role{}, invalid("Request ARN is invalid")
	}
	return role{arn: arn, partition: parts[1], account: account, name: name}, nil
}

// deny is the trust policy that the package comment gives.
func (r role) deny(mfa bool) bool {
	return strings.Contains(r.name, "denied") || strings.Contains(r.name, "mfa") && !mfa
}

// session is the identity of a session of r; as with AWS, the role's path is not part of it.
func (r role) session(name string) identity {
	return identity{
		ARN:     "arn:" + r.partition + ":sts::" + r.account + ":assumed-role/" + r.name + "/" + name,
		UserID:  uniqueID("AROA", r.arn) + ":" + name,
		Account: r.account,
		Role:    true,
	}
}

// passOn returns the session tags that the next hop inherits: the caller's and those of tags that
// keys names.
func passOn(inherited, tags map[string]string, keys []string) (map[string]string, error) {
	out := maps.Clone(inherited)
	for key := range tags {
		if _, ok := inherited[key]; ok {
			return nil, invalid("One of the specified transitive tag keys can't be set because it conflicts with " +
				"a transitive tag key from the calling session.")
		}
	}
	for _, key := range keys {
		value, ok := tags[strings.ToLower(key)]
		if !ok {
			return nil, invalid("The specified transitive tag key must be included in the requested tags.")
		}
		if out == nil {
			out = make(map[string]string)
		}
		out[strings.ToLower(key)] = value
	}
	return out, nil
}

// checkMFA says whether the call carries an MFA code; one that is wrong is an error.
func (s *STS) checkMFA(p url.Values, caller identity, now time.Time) (bool, error) {
	serial, code := p.Get("SerialNumber"), p.Get("TokenCode")
	switch {
	case serial == "" && code == "":
		return false, nil
	case serial == "" || code == "":
		return false, forbidden("AccessDenied",
			"MultiFactorAuthentication failed, must provide both MFA serial number and one time pass code.")
	case strings.Contains(serial, ":") && !strings.Contains(serial, ":iam::"+caller.Account+":mfa/"):
		return false, forbidden("AccessDenied", "MultiFactorAuthentication failed, unable to validate MFA code.  "+
			"Please verify your MFA serial number is valid and associated with this user.")
	case !s.useCode(code, now):
		return false, forbidden("AccessDenied",
			"MultiFactorAuthentication failed with invalid MFA one time pass code. ")
	}
	return true, nil
}

// useCode accepts a code once in 90 s, three steps of a TOTP clock, which is what AWS remembers of
// one.
func (s *STS) useCode(code string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.usedCodes, func(_ string, used time.Time) bool { return now.Sub(used).Abs() > 90*time.Second })
	if _, used := s.usedCodes[code]; used || code == "000000" {
		return false
	}
	s.usedCodes[code] = now
	return true
}

func invalid(msg string) Error { return badRequest("ValidationError", msg) }
