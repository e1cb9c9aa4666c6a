package childenv

import (
	"runtime"
	"slices"
	"strings"
)

// A Rival is something here that outranks the endpoint for some SDK, and what is done about it. It holds no value.
type Rival struct {
	Name string // the variables, or the section of a file
	In   string // the SDKs in which it does
	Why  string
	Does string // what happens to it in the child's environment
}

// part are rows that describe an identity, but yield none by themselves, or that no SDK reads.
const part = `AWS_SESSION_TOKEN AWS_SECURITY_TOKEN AWS_CREDENTIAL_EXPIRATION AMAZON_SESSION_TOKEN AWS_ACCOUNT_ID
	AWS_ROLE_ARN AWS_ROLE_SESSION_NAME BRS_COMMANDS BRS_EXEC_*`

// countsEmpty are those whose mere presence counts for botocore.
const countsEmpty = `AWS_PROFILE AWS_CONTAINER_CREDENTIALS_RELATIVE_URI`

// Rivals says what of the parent's environment and of its two shared files would outrank the endpoint, were it left where
// it is. What one line of the table says of several variables is one Rival.
func Rivals(parent []string, config, credentials []byte, noIsolation bool) []Rival {
	env := environ{parent, runtime.GOOS == "windows"}
	out := []Rival{}
	for _, v := range variables {
		if !v.gone() && v.Name != "BOTO_CONFIG" || among(part, v.Name) || !env.has(v.Name) {
			continue
		}
		why, _, _ := strings.Cut(v.Why, " (CLIENTS") // our own survey: nobody else has it
		r := Rival{v.Name, v.Reads, why, strings.TrimSuffix(v.Does, orKeys)}
		if i := slices.IndexFunc(out, func(o Rival) bool { return o.In == r.In && o.Why == r.Why }); i >= 0 {
			out[i].Name += ", " + r.Name
			continue
		}
		out = append(out, r)
	}
	for _, f := range []struct {
		name string
		text []byte
	}{{"config", config}, {"credentials", credentials}} {
		key, leaks := leakingDefault(f.text)
		if !leaks {
			continue
		}
		r := Rival{"[default] in the " + f.name + " file (" + key + ")", fileSDKs, "a default profile with credentials outranks the endpoint", "left out of the file that the command is given"}
		if noIsolation {
			r.Does = "--no-isolation leaves the file: refused"
		}
		out = append(out, r)
	}
	return out
}

// has says whether an SDK would heed the variable, or one with the prefix that ends in *.
func (e environ) has(name string) bool {
	prefix, isPrefix := strings.CutSuffix(e.fold(name), "*")
	return slices.ContainsFunc(e.list, func(entry string) bool {
		n, value, ok := e.split(entry)
		return ok && (value != "" || among(countsEmpty, name)) && (n == prefix || isPrefix && strings.HasPrefix(n, prefix))
	})
}

func among(words, word string) bool { return slices.Contains(strings.Fields(words), word) }
