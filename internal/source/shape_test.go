package source

import (
	"strings"
	"testing"
)

func TestRegionShape(t *testing.T) {
	useTestKeys(t)
	for _, r := range []string{"-x", "x-", "-", "eu_west_1", "EU-WEST-1", "eu west", "eu-west-1.evil.example", "é", "a/b", strings.Repeat("x", 64)} {
		_, err := newSource(t, Options{RoleARNs: []string{testRole}, Region: r})
		if err == nil || !strings.HasPrefix(err.Error(), `--region "`) || !strings.Contains(hintOf(err), "eu-west-1") || !Permanent(err) {
			t.Errorf("%q: %v; hint %q", r, err, hintOf(err))
		}
	}
	for _, r := range []string{"eu-west-1", "local", "us-isob-east-1", "x", "0"} {
		mustNew(t, Options{RoleARNs: []string{testRole}, Region: r})
	}
}

// AWS's [\w+=,.@-] for the name, printable ASCII for the path.
func TestRoleShape(t *testing.T) {
	useTestKeys(t)
	const account = "arn:aws:iam::123456789012:role/"
	for _, s := range []string{account + "a\x1bb", account + "日本", account + "a!b", account + "pa\x1bth/a", account + "ü/a", account + "a\x7f", "arn:a\x1bws:iam::123456789012:role/a"} {
		_, err := newSource(t, Options{RoleARNs: []string{s}})
		if err == nil || !strings.HasPrefix(err.Error(), "--role-arn ") || hintOf(err) == "" || strings.ContainsAny(err.Error()+hintOf(err), "\x1b\n") {
			t.Errorf("%q: %v; hint %q", s, err, hintOf(err))
		}
	}
	for _, s := range []string{account + "a", account + "p/q!~/a_+=,.@-Z9", "arn:aws-us-gov:iam::123456789012:role/a"} {
		mustNew(t, Options{RoleARNs: []string{s}})
	}
}

// However long a value is, an error is a line that one can read.
func TestLongValues(t *testing.T) {
	useTestKeys(t)
	long := strings.Repeat("x", 100_000)
	for name, o := range map[string]Options{
		"profile": {Profile: long}, "role": {RoleARNs: []string{long}}, "session of a role": {RoleARNs: []string{"arn:aws:sts::123456789012:assumed-role/" + long + "/x"}},
		"account": {RoleARNs: []string{"arn:aws:iam::" + long + ":role/x"}}, "name": {RoleARNs: []string{testRole}, RoleSessionName: long},
		"policy file": {RoleARNs: []string{testRole}, Policy: "file:///" + long}, "tag": {RoleARNs: []string{testRole}, Tags: []string{long}},
		"transitive": {RoleARNs: []string{testRole}, TransitiveTagKeys: []string{long}}, "token file": {RoleARNs: []string{testRole}, WebIdentityTokenFile: "/" + long},
		"bundle": {CABundle: "/" + long}, "region": {Region: long}, "url": {STSEndpointURL: "http://" + long},
		"endpoint": {IoTEndpoint: long, IoTRoleAlias: "a", IoTCertificate: long, IoTPrivateKey: long}, "serial": {RoleARNs: []string{testRole}, SerialNumber: long},
	} {
		_, err := newSource(t, o)
		if err == nil || len(err.Error()) > 1000 || len(hintOf(err)) > 1000 || hintOf(err) == "" {
			t.Errorf("%s: %d bytes, hint %d", name, len(err.Error()), len(hintOf(err)))
		}
	}
	_, err := newSource(t, Options{Profile: long})
	if !strings.Contains(err.Error(), "x… in ") && !strings.Contains(err.Error(), "x…: ") {
		t.Errorf("%.200s", err)
	}
}
