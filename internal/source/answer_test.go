package source

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// An answer that lacks what every session has is an error of its own, and comes again at every
// try.
func TestIncompleteAnswers(t *testing.T) {
	useTestKeys(t)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("t"), 0o600); err != nil {
		t.Fatal(err)
	}
	all := map[string]string{"AccessKeyId": "A", "SecretAccessKey": "hush", "SessionToken": "T", "Expiration": "2036-01-01T00:00:00Z"}
	for _, lacks := range []string{"Expiration", "SessionToken", "SecretAccessKey", "AccessKeyId"} {
		for op, o := range map[string]Options{
			"assume role " + testRole + ": ":                        {RoleARNs: []string{testRole}},
			"assume role " + testRole + " with the token of ":       {WebIdentityTokenFile: token, RoleARNs: []string{testRole}},
			"get session token with environment variables: ":        {},
			"assume role arn:aws:iam::111111111111:role/a: an answ": {RoleARNs: []string{"arn:aws:iam::111111111111:role/a", testRole}},
		} {
			t.Run(op+lacks, func(t *testing.T) {
				sts := newStub(t)
				sts.answer = func(w http.ResponseWriter, r request) bool {
					action := r.Get("Action")
					fmt.Fprintf(w, `<%[1]sResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><%[1]sResult><Credentials>`, action)
					for name, value := range all {
						if name != lacks {
							fmt.Fprintf(w, "<%[1]s>%[2]s</%[1]s>", name, value)
						}
					}
					fmt.Fprintf(w, `</Credentials></%[1]sResult></%[1]sResponse>`, action)
					return true
				}
				_, err := mustNew(t, o).Retrieve(t.Context())
				if err == nil || !strings.HasPrefix(err.Error(), op) || !strings.HasSuffix(err.Error(), ": an answer without "+lacks) {
					t.Fatalf("got %v", err)
				}
				if !Permanent(err) || hintOf(err) == "" || strings.Contains(err.Error(), "hush") {
					t.Errorf("%v: permanent %v, hint %q", err, Permanent(err), hintOf(err))
				}
			})
		}
	}
}
