package stsapi

import (
	"strings"
	"testing"

	"brs-exec/internal/source/problem"
)

func TestValidName(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"brs-exec-a b-höst", "brs-exec-a-b-h-st"},
		{"brs-exec-DOMAIN\\u-h.example.com", "brs-exec-DOMAIN-u-h.example.com"},
		{"brs-exec-u-" + strings.Repeat("h", 99), "brs-exec-u-" + strings.Repeat("h", 53)},
		{"brs-exec-u-", "brs-exec-u"},
	} {
		if got := ValidName(c.in); got != c.want || CheckName(problem.Input{}, got, 2, 64, "") != nil {
			t.Errorf("ValidName(%q) = %q; want %q", c.in, got, c.want)
		}
	}
}

func FuzzParseTag(f *testing.F) {
	for _, s := range []string{"K=V", "Key=K,Value=V", "Key=K", "=", "", "a=b=c", "Key=a,b,Value=c", "aws:x=1", "\xff=1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		k, v, err := parseTag(problem.Input{}, s)
		if err != nil {
			return
		}
		if k == "" || k+"="+v != s && "Key="+k+",Value="+v != s {
			t.Errorf("parseTag(%q) = %q, %q", s, k, v)
		}
	})
}

func FuzzCheckRoleARN(f *testing.F) {
	for _, s := range []string{"arn:aws:iam::123456789012:role/etl", "arn:aws:sts::1:assumed-role/a/b", "arn:::::", "x", "arn:aws:iam::123456789012:role/p/a,b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if err := CheckRoleARN(problem.Input{}, s); err == nil && (!strings.Contains(s, ":iam::") || !strings.Contains(s, ":role/")) {
			t.Errorf("%q passes for a role", s)
		}
	})
}

func FuzzParseContexts(f *testing.F) {
	f.Add("ProviderArn=arn:aws:iam::aws:contextProvider/x,ContextAssertion=abcd")
	f.Add("ContextAssertion=a,b,ProviderArn=arn:aws:iam::aws:contextProvider/x")
	f.Fuzz(func(t *testing.T, s string) {
		out, err := ParseContexts(problem.Input{}, []string{s})
		if err == nil && len(*out[0].ProviderArn)+len(*out[0].ContextAssertion)+len("ProviderArn=,ContextAssertion=") != len(s) {
			t.Errorf("ParseContexts(%q) = %q, %q", s, *out[0].ProviderArn, *out[0].ContextAssertion)
		}
	})
}
