package source

import (
	"strings"
	"testing"
)

// What is not UTF-8 comes from the command line as U+FFFD, or as it is: either way STS would be
// told something else.
func TestNoUTF8(t *testing.T) {
	for _, c := range []struct {
		flag string
		o    Options
	}{
		{"--tags", Options{Tags: []string{"a=b", "k=\ufffd"}}},
		{"--tags", Options{Tags: []string{"k=\xff"}}},
		{"--transitive-tag-keys", Options{Tags: []string{"k=v"}, TransitiveTagKeys: []string{"\ufffd"}}},
		{"--policy", Options{Policy: `{"Sid":"\ufffd` + "\ufffd" + `"}`}},
		{"--provided-contexts", Options{ProvidedContexts: []string{"ProviderArn=arn:aws:iam::aws:x,ContextAssertion=abcd\ufffd"}}},
		{"--profile", Options{Profile: "\ufffd"}},
		{"--credential-command", Options{CredentialCommand: "hush \ufffd"}},
		{"--mfa-command", Options{MFACommand: "hush \xff"}},
		{"--web-identity-token-command", Options{WebIdentityTokenCommand: "hush \ufffd"}},
		{"--web-identity-token-file", Options{WebIdentityTokenFile: "/\ufffd"}},
		{"--audience", Options{WebIdentity: "github-actions", Audience: "\ufffd"}},
		{"--external-id", Options{ExternalID: "ab\ufffd"}},
	} {
		_, err := newSource(t, c.o)
		if err == nil || err.Error() != c.flag+" is not UTF-8" || !strings.Contains(hintOf(err), "UTF-8") || !Permanent(err) {
			t.Errorf("%s: %v; hint %q", c.flag, err, hintOf(err))
		}
	}
}

// Nothing but that is touched.
func TestTextIsKept(t *testing.T) {
	useTestKeys(t)
	sts := newStub(t)
	o := Options{RoleARNs: []string{testRole}}
	for _, v := range []string{`a\,b`, `C:\x\`, "a,b;c", "日本 ü", " x ", "a\tb", `"`, "%41+&=="} {
		o.Tags = []string{"k=" + v}
		mustRetrieve(t, mustNew(t, o))
		if got := sts.last(t).Get("Tags.member.1.Value"); got != v {
			t.Errorf("%q arrived as %q", v, got)
		}
	}
}
