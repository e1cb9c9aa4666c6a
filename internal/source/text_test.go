package source

import "testing"

// No text of an option is touched.
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
