package source

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
)

// The limits of AssumeRole, checked before any network so that a typing error costs nothing.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
// Where AWS's pattern is narrower than what it is known to take (tags), the judgement is left to STS.
const (
	defaultDuration    = time.Hour
	minDuration        = 15 * time.Minute
	maxDuration        = 12 * time.Hour
	maxChainedDuration = time.Hour // of a role that another role's session assumes
	maxSessionDuration = 36 * time.Hour
	maxPolicy          = 2048 // characters
	maxPolicyARNs      = 10
	maxTags            = 50
	maxContexts        = 5
)

// params are the role flags, parsed.
type params struct {
	duration     time.Duration // 0: not asked for
	externalID   string
	policy       string
	policyARNs   []types.PolicyDescriptorType
	tags         []types.Tag
	transitive   []string
	identity     string // source identity
	contexts     []types.ProvidedContext
	askedSession string // --role-session-name
}

func parseParams(o *Options) (p params, err error) {
	p = params{duration: o.Duration, externalID: o.ExternalID, identity: o.SourceIdentity, askedSession: o.RoleSessionName}
	for _, check := range []func() error{
		func() error { return checkDuration(o.Duration) },
		func() error { return checkName("--role-session-name", o.RoleSessionName, 2, 64, "") },
		func() error { return checkName("--source-identity", o.SourceIdentity, 2, 64, "") },
		func() error { return checkName("--external-id", o.ExternalID, 2, 1224, ":/") },
		func() (err error) { p.policy, err = parsePolicy(o.Policy); return err },
		func() (err error) { p.policyARNs, err = parsePolicyARNs(o.PolicyARNs); return err },
		func() (err error) { p.tags, err = parseTags(o.Tags); return err },
		func() (err error) { p.transitive, err = parseTransitive(o.TransitiveTagKeys, p.tags); return err },
		func() (err error) { p.contexts, err = parseContexts(o.ProvidedContexts); return err },
	} {
		if err := check(); err != nil {
			return params{}, err
		}
	}
	return p, nil
}

// assumeRoleOnly names the first flag given that AssumeRole alone understands, or "".
func (p *params) assumeRoleOnly() string {
	switch {
	case p.externalID != "":
		return "--external-id"
	case len(p.tags) > 0:
		return "--tags"
	case p.identity != "":
		return "--source-identity"
	case len(p.contexts) > 0:
		return "--provided-contexts"
	}
	return ""
}

// narrowing names the first flag given that makes a session weaker than its role, or "".
func (p *params) narrowing() string {
	switch {
	case p.policy != "":
		return "--policy"
	case len(p.policyARNs) > 0:
		return "--policy-arns"
	}
	return ""
}

// checkRoleARN wants arn:PARTITION:iam::ACCOUNT:role/[PATH/]NAME. what names the place where s stands, write is how it
// is written there.
func checkRoleARN(what, write, s string) error {
	a, err := arn.Parse(s)
	switch {
	case err != nil && s != "" && strings.Trim(s, nameRunes) == "":
		return badInput(write+"arn:aws:iam::ACCOUNT:role/"+clip(s), "%s %q is no ARN of a role", what, clip(s))
	case err == nil && a.Service == "sts" && strings.HasPrefix(a.Resource, "assumed-role/"):
		name, _, _ := strings.Cut(strings.TrimPrefix(a.Resource, "assumed-role/"), "/")
		return badInput("the role itself is "+write+"arn:"+a.Partition+":iam::"+a.AccountID+":role/"+clip(name)+" (and its path, if it has one)",
			"%s %q is a session of a role, not the role", what, clip(s))
	case err != nil || a.Partition == "" || a.Service != "iam" || a.Region != "" || !isRole(a.Resource) || strings.ContainsAny(s, " \t\r\n") || len(s) > 2048:
		return badInput(write+"arn:aws:iam::ACCOUNT:role/NAME", "%s %q is no ARN of a role", what, clip(s))
	case len(a.AccountID) != 12 || strings.Trim(a.AccountID, "0123456789") != "":
		return badInput("an account is 12 digits: aws sts get-caller-identity shows yours", "%s %q: %q is no account", what, clip(s), clip(a.AccountID))
	}
	return checkRoleRunes(what, s, a)
}

// checkRoleRunes holds AWS's patterns of a role's path and name.
func checkRoleRunes(what, s string, a arn.ARN) error {
	dir, name := path.Split(a.Resource)
	i := strings.IndexFunc(a.Partition+dir, func(r rune) bool { return r <= ' ' || r >= 0x7f })
	j := strings.IndexFunc(name, func(r rune) bool { return !nameRune(r) })
	if i < 0 && j < 0 {
		return nil
	}
	return badInput("letters, digits and _+=,.@- make a name: aws iam list-roles shows those there are", "%s %q is no ARN of a role: it has characters that AWS does not allow", what, clip(s))
}

func isRole(resource string) bool {
	name, ok := strings.CutPrefix(resource, "role/")
	return ok && name != "" && !strings.HasSuffix(name, "/")
}

func checkDuration(d time.Duration) error {
	switch {
	case d == 0:
	case d < minDuration || d > maxSessionDuration:
		return badInput("--duration-seconds 3600, or 1h", "--duration-seconds %d: AWS gives 900 to 43200 seconds", d/time.Second)
	case d%time.Second != 0:
		return badInput("--duration-seconds 3600, or 1h", "--duration-seconds %v: AWS counts whole seconds", d)
	}
	return nil
}

// checkRoleDuration holds what only sessions of a role obey.
func checkRoleDuration(what, write string, d time.Duration) error {
	if d != 0 && (d < minDuration || d > maxDuration) {
		return badInput(write+"3600", "%s %d: AWS gives 900 to 43200 seconds", what, d/time.Second)
	}
	return nil
}

// checkName holds AWS's [\w+=,.@-], and whatever more.
func checkName(flag, s string, least, most int, more string) error {
	if s == "" {
		return nil
	}
	shown := " " + strconv.Quote(clip(s))
	if flag == "--external-id" {
		shown = "" // some take it for a secret
	}
	switch n := len(s); {
	case n < least:
		return badInput(fmt.Sprintf("lengthen it to %d characters or more", least), "%s%s is too short for AWS", flag, shown)
	case n > most:
		return badInput(fmt.Sprintf("shorten it to %d characters", most), "%s%s has %d characters; AWS takes %d", flag, shown, n, most)
	}
	if i := strings.IndexFunc(s, func(r rune) bool { return !nameRune(r) && !strings.ContainsRune(more, r) }); i >= 0 {
		r, _ := utf8.DecodeRuneInString(s[i:])
		return badInput("letters, digits and _+=,.@-"+more+" are allowed", "%s%s: AWS does not allow %q in it", flag, shown, r)
	}
	return nil
}

const nameRunes = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+=,.@-"

func nameRune(r rune) bool { return strings.ContainsRune(nameRunes, r) }

// clip keeps a message readable when the value is not.
func clip(s string) string {
	if r := []rune(s); len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return s
}

// parsePolicy reads JSON, or file://PATH as the aws cli does.
func parsePolicy(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	where := "--policy"
	if path, ok := strings.CutPrefix(s, "file://"); ok {
		data, err := os.ReadFile(path)
		if err != nil {
			return "", badInput("file:// takes a path as it is: file://policy.json, file:///etc/policy.json", "--policy: %v", err)
		}
		where, s = "--policy "+s, string(data)
	}
	s = strings.TrimSpace(s)
	var object map[string]json.RawMessage
	if err := json.Unmarshal([]byte(s), &object); err != nil || object == nil {
		hint := `--policy '{"Version":"2012-10-17","Statement":[…]}', or --policy file://PATH`
		return "", badInput(hint, "%s is no JSON object%s", where, because(err))
	}
	if utf8.RuneCountInString(s) > maxPolicy {
		s = compact(s)
	}
	if n := utf8.RuneCountInString(s); n > maxPolicy {
		return "", badInput("make a managed policy of it and name that: --policy-arns", "%s has %d characters; AWS takes %d", where, n, maxPolicy)
	}
	return s, nil
}

// because says where the syntax is wrong; that it is an array says "no JSON object" already.
func because(err error) string {
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Sprintf(": %v (byte %d)", e, e.Offset)
	}
	return ""
}

func compact(s string) string {
	var b bytes.Buffer
	if json.Compact(&b, []byte(s)) != nil {
		return s
	}
	return b.String()
}

// parsePolicyARNs reads ARN or, as the aws cli writes it, arn=ARN.
func parsePolicyARNs(list []string) ([]types.PolicyDescriptorType, error) {
	var out []types.PolicyDescriptorType
	for _, s := range list {
		s = strings.TrimPrefix(s, "arn=")
		a, err := arn.Parse(s)
		if err != nil || a.Service != "iam" || !strings.HasPrefix(a.Resource, "policy/") {
			return nil, badInput("write --policy-arns arn:aws:iam::aws:policy/ReadOnlyAccess", "--policy-arns %q is no ARN of a managed policy", clip(s))
		}
		out = append(out, types.PolicyDescriptorType{Arn: aws.String(s)})
	}
	if len(out) > maxPolicyARNs {
		return nil, badInput("put several into one managed policy", "--policy-arns: %d policies; AWS takes %d", len(out), maxPolicyARNs)
	}
	return out, nil
}

// parseTags reads K=V or, as the aws cli writes it, Key=K,Value=V.
func parseTags(list []string) ([]types.Tag, error) {
	var out []types.Tag
	seen := map[string]bool{}
	for _, s := range list {
		k, v, err := parseTag(s)
		if err != nil {
			return nil, err
		}
		if folded := strings.ToLower(k); seen[folded] {
			return nil, badInput("keys differ by more than upper and lower case", "--tags: the key %q is there twice", clip(k))
		} else {
			seen[folded] = true
		}
		out = append(out, types.Tag{Key: aws.String(k), Value: aws.String(v)})
	}
	if len(out) > maxTags {
		return nil, badInput("leave some out, or write several values into one", "--tags: %d tags; AWS takes %d", len(out), maxTags)
	}
	return out, nil
}

func parseTag(s string) (k, v string, err error) {
	k, v, ok := strings.Cut(s, "=")
	if rest, long := strings.CutPrefix(s, "Key="); long {
		if key, value, both := strings.Cut(rest, ",Value="); both {
			k, v = key, value
		}
	}
	const hint = "write --tags Team=data, once for each tag"
	switch {
	case !ok:
		return "", "", badInput(hint, "--tags %q has no =", clip(s))
	case k == "":
		return "", "", badInput(hint, "--tags %q has no key", clip(s))
	case utf8.RuneCountInString(k) > 128:
		return "", "", badInput("shorten it", "--tags: the key %q has more than 128 characters", clip(k))
	case utf8.RuneCountInString(v) > 256:
		return "", "", badInput("shorten it", "--tags: the value of %q has more than 256 characters", clip(k))
	case strings.HasPrefix(strings.ToLower(k), "aws:"):
		return "", "", badInput("another key: --tags team=data", "--tags: the key %q is AWS's own: aws: cannot begin a key", clip(k))
	}
	return k, v, nil
}

// parseTransitive wants keys of tags that are there: AWS refuses others.
func parseTransitive(keys []string, tags []types.Tag) ([]string, error) {
	for _, k := range keys {
		if !slices.ContainsFunc(tags, func(t types.Tag) bool { return strings.EqualFold(*t.Key, k) }) {
			return nil, badInput("add --tags "+clip(k)+"=VALUE", "--transitive-tag-keys %q: there is no such tag", clip(k))
		}
	}
	return keys, nil
}

func isTransitive(key string, transitive []string) bool {
	return slices.ContainsFunc(transitive, func(k string) bool { return strings.EqualFold(k, key) })
}

// parseContexts reads ProviderArn=…,ContextAssertion=…, in either order. An assertion is a token: never shown.
func parseContexts(list []string) ([]types.ProvidedContext, error) {
	var out []types.ProvidedContext
	for _, s := range list {
		var provider, assertion string
		if rest, ok := strings.CutPrefix(s, "ProviderArn="); ok {
			provider, assertion, _ = strings.Cut(rest, ",ContextAssertion=")
		} else if rest, ok := strings.CutPrefix(s, "ContextAssertion="); ok {
			assertion, provider, _ = strings.Cut(rest, ",ProviderArn=")
		}
		if provider == "" || assertion == "" || !arn.IsARN(provider) {
			return nil, badInput("write --provided-contexts ProviderArn=arn:aws:iam::aws:contextProvider/IdentityCenter,ContextAssertion=…",
				"--provided-contexts: a context has a ProviderArn and a ContextAssertion")
		}
		if n := len(assertion); n < 4 || n > 2048 {
			return nil, badInput("ContextAssertion is what the provider handed out, whole", "--provided-contexts: the ContextAssertion has %d characters; AWS takes 4 to 2048", n)
		}
		out = append(out, types.ProvidedContext{ProviderArn: aws.String(provider), ContextAssertion: aws.String(assertion)})
	}
	if len(out) > maxContexts {
		return nil, badInput("leave some out", "--provided-contexts: %d contexts; AWS takes %d", len(out), maxContexts)
	}
	return out, nil
}
