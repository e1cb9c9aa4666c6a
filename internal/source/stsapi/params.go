package stsapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"brs-exec/internal/source/problem"
	"brs-exec/internal/source/userfile"
)

// The limits of AssumeRole that people run into, checked before any network so that a typing error
// costs nothing. https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html Where
// AWS's pattern is narrower than what it is known to take (tags), the judgement is left to STS.
const (
	DefaultDuration    = time.Hour
	minDuration        = 15 * time.Minute
	maxDuration        = 12 * time.Hour
	maxPolicy          = 2048 // characters
	maxTags            = 50
	maxPolicyARNs      = 10
	MaxChainedDuration = time.Hour      // of a role that another role's session assumes
	MaxSessionDuration = 36 * time.Hour // of GetSessionToken
)

// A Role is what one call assumes. A field that is zero is not sent, except Duration.
type Role struct {
	ARN, SessionName  string
	Duration          time.Duration // 0: an hour
	ExternalID        string
	Policy            string
	PolicyARNs        []types.PolicyDescriptorType
	Tags              []types.Tag
	TransitiveTagKeys []string
	SourceIdentity    string
	Contexts          []types.ProvidedContext
}

// CheckRoleARN refuses what is not arn:PARTITION:iam::ACCOUNT:role/[PATH/]NAME.
func CheckRoleARN(in problem.Input, s string) error {
	const something = "arn:aws:iam::ACCOUNT:role/"
	a, err := arn.Parse(s)
	switch {
	case s == "":
		return problem.Bad("leave it out, or look where its value comes from", "%s is empty", in)
	case strings.ContainsAny(s, " \t\r\n"):
		return problem.Bad("take it out, where the value comes from",
			"%s %q has a space or a line break in it, which no ARN has", in, problem.Clip(s))
	case len(s) == 12 && strings.Trim(s, "0123456789") == "":
		return problem.Bad(in.With("arn:aws:iam::"+s+":role/NAME"),
			"%s %s is an account, and no ARN of a role in it", in, s)
	case err != nil && s[0] != '-' && strings.Trim(s, nameRunes) == "":
		return problem.Bad(in.With(something+problem.Clip(s)), "%s %q is no ARN of a role", in, problem.Clip(s))
	case err == nil && a.Service == "sts" && strings.HasPrefix(a.Resource, "assumed-role/"):
		name, _, _ := strings.Cut(strings.TrimPrefix(a.Resource, "assumed-role/"), "/")
		role := "arn:" + a.Partition + ":iam::" + a.AccountID + ":role/" + problem.Clip(name)
		return problem.Bad("the role itself is "+in.With(role)+" (and its path, if it has one)",
			"%s %q is a session of a role, not the role", in, problem.Clip(s))
	case err == nil && a.Service == "iam" && a.Region != "" && isRole(a.Resource):
		a.Region = ""
		return problem.Bad(in.With(problem.Clip(a.String())),
			"%s %q has a region, and IAM has none", in, problem.Clip(s))
	case err != nil || a.Partition == "" || a.Service != "iam" || !isRole(a.Resource) ||
		strings.ContainsAny(s, " \t\r\n") || len(s) > 2048:
		return problem.Bad(in.With(something+"NAME"), "%s %q is no ARN of a role", in, problem.Clip(s))
	case len(a.AccountID) != 12 || strings.Trim(a.AccountID, "0123456789") != "":
		return problem.Bad("an account is 12 digits: aws sts get-caller-identity shows yours",
			"%s %q: %q is no account", in, problem.Clip(s), problem.Clip(a.AccountID))
	}
	dir, name := path.Split(a.Resource)
	if printable(a.Partition+dir) && strings.Trim(name, nameRunes) == "" {
		return nil
	}
	return problem.Bad("letters, digits and _+=,.@- make a name: aws iam list-roles shows those there are",
		"%s %q is no ARN of a role: it has characters that AWS does not allow", in, problem.Clip(s))
}

func isRole(resource string) bool {
	name, ok := strings.CutPrefix(resource, "role/")
	return ok && name != "" && !strings.HasSuffix(name, "/")
}

func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f })
}

// CheckDuration refuses a duration that a role's session can't have. 0 passes: none is given.
func CheckDuration(in problem.Input, d time.Duration) error {
	if d != 0 && (d < minDuration || d > maxDuration) {
		return badDuration(in, d, "")
	}
	return nil
}

// CheckSessionDuration refuses a duration that a session of long-term keys can't have. It may be
// longer than a role's.
func CheckSessionDuration(in problem.Input, d time.Duration) error {
	switch {
	case d != 0 && (d < minDuration || d > MaxSessionDuration):
		return badDuration(in, d, ", or 1h")
	case d%time.Second != 0:
		return problem.Bad(in.With("3600, or 1h"), "%s %v: AWS counts whole seconds", in, d)
	}
	return nil
}

func badDuration(in problem.Input, d time.Duration, or string) error {
	return problem.Bad(in.With("3600")+or, "%s %d: AWS gives 900 to 43200 seconds", in, d/time.Second)
}

// CheckName refuses a name that is shorter than least, longer than most, or has other characters
// than AWS's [\w+=,.@-] and those of more. "" passes: none is given.
func CheckName(in problem.Input, s string, least, most int, more string) error {
	if s == "" {
		return nil
	}
	shown := " " + strconv.Quote(problem.Clip(s))
	if in.Option == problem.ExternalID { // some take it for a secret
		shown = ""
	}
	switch n := len(s); {
	case n < least:
		hint := fmt.Sprintf("lengthen it to %d characters or more", least)
		if in.Option == problem.ExternalID {
			hint = fmt.Sprintf("is it all that the owner of the role gave you? it has %d characters or more", least)
		}
		return problem.Bad(hint, "%s%s is too short for AWS", in, shown)
	case n > most:
		hint := fmt.Sprintf("shorten it to %d characters", most)
		return problem.Bad(hint, "%s%s has %d characters; AWS takes %d", in, shown, n, most)
	}
	if rest := strings.TrimLeft(s, nameRunes+more); rest != "" {
		r, _ := utf8.DecodeRuneInString(rest)
		return problem.Bad("letters, digits and _+=,.@-"+more+" are allowed",
			"%s%s: AWS does not allow %q in it", in, shown, r)
	}
	return nil
}

const nameRunes = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+=,.@-"

// ValidName replaces what AWS forbids in a session's name, and cuts it at AWS's 64 characters.
func ValidName(s string) string {
	s = strings.Map(func(r rune) rune {
		if strings.ContainsRune(nameRunes, r) {
			return r
		}
		return '-'
	}, s)
	return strings.TrimRight(s[:min(len(s), 64)], "-")
}

// ParsePolicy reads JSON, or file://PATH as the aws cli does.
func ParsePolicy(ctx context.Context, in problem.Input, s string) (string, error) {
	if s == "" {
		return "", nil
	}
	where := ""
	if path, ok := strings.CutPrefix(s, "file://"); ok {
		data, err := userfile.Read(ctx, path)
		if err != nil {
			hint := "file:// takes a path as it is: file://policy.json, file:///etc/policy.json"
			if !errors.Is(err, fs.ErrNotExist) {
				hint = "name a file with a policy in JSON, of 2048 characters at most"
			}
			return "", problem.Bad(hint, "%s: %v", in, err)
		}
		where, s = " "+s, string(data)
	}
	s = strings.TrimSpace(s)
	var object map[string]json.RawMessage
	if err := json.Unmarshal([]byte(s), &object); err != nil || object == nil {
		hint := in.With(`'{"Version":"2012-10-17","Statement":[…]}'`) + ", or " + in.With("file://PATH")
		return "", problem.Bad(hint, "%s%s is no JSON object%s", in, where, syntaxError(err))
	}
	var compact bytes.Buffer
	if utf8.RuneCountInString(s) > maxPolicy && json.Compact(&compact, []byte(s)) == nil {
		s = compact.String()
	}
	if n := utf8.RuneCountInString(s); n > maxPolicy {
		return "", problem.Bad(in.Hint("make a managed policy of it and name that: %v", problem.PolicyARNs),
			"%s%s has %d characters; AWS takes %d", in, where, n, maxPolicy)
	}
	return s, nil
}

// syntaxError says where the JSON is wrong. If it is well-formed but no object, there is nothing to
// add.
func syntaxError(err error) string {
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Sprintf(": %v (byte %d)", e, e.Offset)
	}
	return ""
}

// ParsePolicyARNs reads ARN or, as the aws cli writes it, arn=ARN.
func ParsePolicyARNs(in problem.Input, list []string) (out []types.PolicyDescriptorType, err error) {
	if len(list) > maxPolicyARNs {
		return nil, problem.Bad("leave some out, or make one managed policy of them",
			"%s: %d policies; AWS takes %d", in, len(list), maxPolicyARNs)
	}
	for _, s := range list {
		s = strings.TrimPrefix(s, "arn=")
		a, err := arn.Parse(s)
		if err != nil || a.Service != "iam" || !strings.HasPrefix(a.Resource, "policy/") {
			name := "NAME"
			if strings.Trim(s, nameRunes) == "" && s != "" {
				name = problem.Clip(s)
			}
			hint := "write " + in.With("arn:aws:iam::aws:policy/"+name) + ", or arn:aws:iam::ACCOUNT:policy/" + name
			return nil, problem.Bad(hint,
				"%s %q is no ARN of a managed policy", in, problem.Clip(s))
		}
		out = append(out, types.PolicyDescriptorType{Arn: &s})
	}
	return out, nil
}

// ParseTags reads K=V or, as the aws cli writes it, Key=K,Value=V.
func ParseTags(in problem.Input, list []string) (out []types.Tag, err error) {
	seen := map[string]bool{}
	for _, s := range list {
		k, v, err := parseTag(in, s)
		if err != nil {
			return nil, err
		}
		if folded := strings.ToLower(k); seen[folded] {
			return nil, problem.Bad("drop one: keys that differ in upper and lower case only are one key",
				"%s: the key %q is there twice", in, problem.Clip(k))
		} else {
			seen[folded] = true
		}
		out = append(out, types.Tag{Key: &k, Value: &v})
	}
	if len(out) > maxTags {
		return nil, problem.Bad("leave some out, or write several values into one",
			"%s: %d tags; AWS takes %d", in, len(out), maxTags)
	}
	return out, nil
}

func parseTag(in problem.Input, s string) (k, v string, err error) {
	k, v, ok := strings.Cut(s, "=")
	if rest, long := strings.CutPrefix(s, "Key="); long {
		if key, value, both := strings.Cut(rest, ",Value="); both {
			k, v = key, value
		}
	}
	write := func(tag string) string { return "write " + in.With(tag) + ", once for each tag" }
	switch {
	case !ok:
		return "", "", problem.Bad(write(problem.Clip(s)+"=VALUE"), "%s %q has no =", in, problem.Clip(s))
	case k == "":
		return "", "", problem.Bad(write("KEY="+problem.Clip(v)), "%s %q has no key", in, problem.Clip(s))
	case utf8.RuneCountInString(k) > 128:
		return "", "", problem.Bad("shorten it", "%s: the key %q has more than 128 characters", in, problem.Clip(k))
	case utf8.RuneCountInString(v) > 256:
		return "", "", problem.Bad("shorten it",
			"%s: the value of %q has more than 256 characters", in, problem.Clip(k))
	case strings.HasPrefix(strings.ToLower(k), "aws:"):
		return "", "", problem.Bad("another key: "+in.With("team=data"),
			"%s: the key %q is AWS's own: aws: cannot begin a key", in, problem.Clip(k))
	}
	return k, v, nil
}

// CheckTransitive refuses keys of which there is no tag, as AWS does.
func CheckTransitive(in problem.Input, keys []string, tags []types.Tag) error {
	for _, k := range keys {
		if !slices.ContainsFunc(tags, func(t types.Tag) bool { return strings.EqualFold(*t.Key, k) }) {
			k = problem.Clip(k)
			return problem.Bad(in.Hint("add %v %s=VALUE", problem.Tags, k), "%s %q: there is no such tag", in, k)
		}
	}
	return nil
}

// IsTransitive says whether AWS is to hand the tag key on to the roles that are assumed from here.
func IsTransitive(key string, transitive []string) bool {
	return slices.ContainsFunc(transitive, func(k string) bool { return strings.EqualFold(k, key) })
}

// ParseContexts reads ProviderArn=…,ContextAssertion=…, in either order. An assertion is a token:
// it is never shown.
func ParseContexts(in problem.Input, list []string) (out []types.ProvidedContext, err error) {
	for _, s := range list {
		var provider, assertion string
		if rest, ok := strings.CutPrefix(s, "ProviderArn="); ok {
			provider, assertion, _ = strings.Cut(rest, ",ContextAssertion=")
		} else if rest, ok := strings.CutPrefix(s, "ContextAssertion="); ok {
			assertion, provider, _ = strings.Cut(rest, ",ProviderArn=")
		}
		if assertion == "" || !arn.IsARN(provider) {
			example := in.With("ProviderArn=arn:aws:iam::aws:contextProvider/IdentityCenter,ContextAssertion=…")
			return nil, problem.Bad("write "+example, "%s: a context has a ProviderArn and a ContextAssertion", in)
		}
		out = append(out, types.ProvidedContext{ProviderArn: &provider, ContextAssertion: &assertion})
	}
	return out, nil
}
