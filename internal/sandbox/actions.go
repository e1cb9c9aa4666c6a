package sandbox

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"maps"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
)

const digits = "0123456789"

type assumedRoleUser struct{ AssumedRoleId, Arn string }

type assumeRoleResult struct {
	XMLName         xml.Name `xml:"AssumeRoleResult"`
	AssumedRoleUser assumedRoleUser
	Credentials     credentials
	SourceIdentity  string `xml:",omitempty"`
}

// assumeRole is https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html.
func (s *STS) assumeRole(r request) (any, error) {
	p := r.params
	role, life, err := roleParams(p)
	if err != nil {
		return nil, err
	}
	if r.caller.Role && life > time.Hour {
		return nil, invalid("The requested DurationSeconds exceeds the 1 hour session limit for roles assumed " +
			"by role chaining")
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
	id.SourceIdentity, id.MFA = source, mfa
	return assumeRoleResult{
		AssumedRoleUser: assumedRoleUser{id.UserID, id.ARN},
		Credentials:     s.issue(id, r.now, life, s.o.TTL),
		SourceIdentity:  source,
	}, nil
}

type getSessionTokenResult struct {
	XMLName     xml.Name `xml:"GetSessionTokenResult"`
	Credentials credentials
}

// getSessionToken is https://docs.aws.amazon.com/STS/latest/APIReference/API_GetSessionToken.html.
func (s *STS) getSessionToken(r request) (any, error) {
	life, err := duration(r.params, 12*time.Hour, 36*time.Hour)
	if err != nil {
		return nil, err
	}
	if !r.caller.Expires.IsZero() {
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

// roleParams returns the role and the life that both AssumeRole actions ask for.
func roleParams(p url.Values) (role, time.Duration, error) {
	life, err := duration(p, time.Hour, 12*time.Hour)
	if err != nil {
		return role{}, 0, err
	}
	if p.Get("RoleSessionName") == "" {
		return role{}, 0, violated("null", "roleSessionName", "not be null")
	}
	r, err := parseRole(p.Get("RoleArn"))
	return r, life, err
}

// duration returns DurationSeconds, from 900 to most, or standard if it isn't given.
func duration(p url.Values, standard, most time.Duration) (time.Duration, error) {
	if !p.Has("DurationSeconds") {
		return standard, nil
	}
	text, rule := p.Get("DurationSeconds"), ""
	n, _ := strconv.ParseInt(text, 10, 32)
	life := time.Duration(n) * time.Second
	switch {
	case n < 900: // or no number
		rule = "have value greater than or equal to 900"
	case life > most:
		rule = fmt.Sprintf("have value less than or equal to %.0f", most.Seconds())
	default:
		return life, nil
	}
	return 0, violated("'"+text+"'", "durationSeconds", rule)
}

func violated(value, at, rule string) Error {
	return invalid("1 validation error detected: Value " + value + " at '" + at +
		"' failed to satisfy constraint: Member must " + rule)
}

// role is a role ARN taken apart.
type role struct{ arn, partition, account, name string }

// parseRole wants arn:PARTITION:iam::ACCOUNT:role/PATH/NAME.
func parseRole(text string) (role, error) {
	a, err := arn.Parse(text)
	if err != nil {
		return role{}, invalid(text + " is invalid")
	}
	name := a.Resource[strings.LastIndexByte(a.Resource, '/')+1:]
	if !strings.HasPrefix(a.Partition, "aws") || a.Service != "iam" || a.Region != "" || name == "" ||
		!strings.HasPrefix(a.Resource, "role/") || len(a.AccountID) != 12 || strings.Trim(a.AccountID, digits) != "" {
		return role{}, invalid("Request ARN is invalid")
	}
	return role{arn: text, partition: a.Partition, account: a.AccountID, name: name}, nil
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

// useCode accepts six digits once in 90 s, three steps of a TOTP clock, which is what AWS remembers
// of a code.
func (s *STS) useCode(code string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.usedCodes, func(_ string, used time.Time) bool { return now.Sub(used).Abs() > 90*time.Second })
	if _, used := s.usedCodes[code]; used || len(code) != 6 || strings.Trim(code, digits) != "" || code == "000000" {
		return false
	}
	s.usedCodes[code] = now
	return true
}

func invalid(msg string) Error { return badRequest("ValidationError", msg) }
