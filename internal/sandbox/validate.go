package sandbox

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// wordChars is what AWS allows in names beside \w: [\w+=,.@-].
const wordChars = "+=,.@-"

// A validation collects all that is wrong with a call's parameters: AWS tells it at once and before
// anything else.
type validation []string

func (v validation) err() error {
	if len(v) == 0 {
		return nil
	}
	plural := ""
	if len(v) > 1 {
		plural = "s"
	}
	return invalid(fmt.Sprintf("%d validation error%s detected: %s", len(v), plural, strings.Join(v, "; ")))
}

func (v *validation) add(value, at, rule string) {
	*v = append(*v, "Value "+value+" at '"+at+"' failed to satisfy constraint: Member must "+rule)
}

// roleParams checks what both AssumeRole actions have.
func (v *validation) roleParams(p url.Values) {
	v.required("roleArn", p, "RoleArn")
	v.text("roleArn", p, "RoleArn", 20, 2048, "")
	v.required("roleSessionName", p, "RoleSessionName")
	v.text("roleSessionName", p, "RoleSessionName", 2, 64, wordChars)
	v.text("policy", p, "Policy", 1, 2048, "")
	v.list(p, "PolicyArns", "policyArns", 10)
	v.list(p, "ProvidedContexts", "providedContexts", 5)
}

func (v *validation) required(at string, p url.Values, name string) {
	if !p.Has(name) {
		v.add("null", at, "not be null")
	}
}

// text checks length and characters (\w and extra; any if extra is "") of a parameter that is
// given.
func (v *validation) text(at string, p url.Values, name string, least, most int, extra string) {
	if !p.Has(name) {
		return
	}
	value := p.Get(name)
	switch n := len([]rune(value)); {
	case n < least:
		v.add("'"+value+"'", at, "have length greater than or equal to "+strconv.Itoa(least))
	case n > most:
		v.add("'"+value+"'", at, "have length less than or equal to "+strconv.Itoa(most))
	}
	if extra != "" && !only(value, extra, isWord) {
		v.add("'"+value+"'", at, `satisfy regular expression pattern: [\w`+extra+"]*")
	}
}

func (v *validation) mfa(p url.Values) {
	v.text("serialNumber", p, "SerialNumber", 9, 256, "+=/:,.@-")
	v.text("tokenCode", p, "TokenCode", 6, 6, "")
	if code := p.Get("TokenCode"); !only(code, "", isDigit) {
		v.add("'"+code+"'", "tokenCode", `satisfy regular expression pattern: [\d]*`)
	}
}

// duration returns DurationSeconds, from 900 to most, or standard if it isn't given.
func (v *validation) duration(p url.Values, standard, most time.Duration) time.Duration {
	if !p.Has("DurationSeconds") {
		return standard
	}
	text := p.Get("DurationSeconds")
	n, err := strconv.ParseInt(text, 10, 32)
	limit := int64(most / time.Second)
	switch {
	case err != nil:
		v.add("'"+text+"'", "durationSeconds", "be an integer")
	case n < 900:
		v.add("'"+text+"'", "durationSeconds", "have value greater than or equal to 900")
	case n > limit:
		v.add("'"+text+"'", "durationSeconds", fmt.Sprintf("have value less than or equal to %d", limit))
	}
	return time.Duration(n) * time.Second
}

// tags returns the session tags by their lower-case key: keys differ by more than case.
func (v *validation) tags(p url.Values) map[string]string {
	tags := make(map[string]string)
	for i := range len(v.list(p, "Tags", "tags", 50)) {
		prefix, at := fmt.Sprintf("Tags.member.%d.", i+1), fmt.Sprintf("tags.%d.member.", i+1)
		v.required(at+"key", p, prefix+"Key")
		v.text(at+"key", p, prefix+"Key", 1, 128, "")
		v.required(at+"value", p, prefix+"Value")
		v.text(at+"value", p, prefix+"Value", 0, 256, "")
		key := strings.ToLower(p.Get(prefix + "Key"))
		if _, twice := tags[key]; twice {
			*v = append(*v, "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
		}
		tags[key] = p.Get(prefix + "Value")
	}
	return tags
}

// list returns the members NAME.member.1 … (or NAME.member.1.Field …, then as empty strings) up to
// the first gap.
func (v *validation) list(p url.Values, name, at string, most int) []string {
	named := make(map[string]bool)
	for key := range p {
		if rest, ok := strings.CutPrefix(key, name+".member."); ok {
			number, _, _ := strings.Cut(rest, ".")
			named[number] = true
		}
	}
	var out []string
	for i := 1; named[strconv.Itoa(i)]; i++ {
		out = append(out, p.Get(fmt.Sprintf("%s.member.%d", name, i)))
	}
	if len(out) > most {
		v.add(fmt.Sprintf("'[%d members]'", len(out)), at, fmt.Sprintf("have length less than or equal to %d", most))
	}
	return out
}

// checkPolicies looks at the session policies as far as they can be judged without knowing IAM.
func checkPolicies(p url.Values) error {
	if policy := p.Get("Policy"); policy != "" {
		var doc struct{ Statement json.RawMessage }
		if json.Unmarshal([]byte(policy), &doc) != nil {
			return malformedPolicy("This policy contains invalid Json")
		}
		if doc.Statement == nil {
			return malformedPolicy("Syntax errors in policy.")
		}
	}
	for i := 1; p.Has(fmt.Sprintf("PolicyArns.member.%d.arn", i)); i++ {
		arn := p.Get(fmt.Sprintf("PolicyArns.member.%d.arn", i))
		if !strings.HasPrefix(arn, "arn:") || !strings.Contains(arn, ":policy/") {
			return invalid("ARN " + arn + " is not valid.")
		}
	}
	return nil
}

func malformedPolicy(msg string) Error { return badRequest("MalformedPolicyDocument", msg) }

// packed is a PackedPolicySize in per cent; AWS's packing is its own, so this one only grows with
// what is sent.
func packed(p url.Values, tags map[string]string) int {
	n := len(p.Get("Policy"))
	for key, value := range tags {
		n += len(key) + len(value)
	}
	return min(99, (n+40)/41)
}

// only reports whether each byte of s is of class or in extra.
func only(s, extra string, class func(byte) bool) bool {
	for i := range len(s) {
		if !class(s[i]) && strings.IndexByte(extra, s[i]) < 0 {
			return false
		}
	}
	return true
}

func isWord(c byte) bool {
	return isDigit(c) || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || c == '_'
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
