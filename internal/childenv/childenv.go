// Package childenv computes the environment in which nothing but our endpoint can answer for
// credentials.
//
// An SDK asks a container endpoint last: variables, both shared files, web identity and older
// spellings all outrank it, and each of them is another identity. Three things together close
// every one of those ways:
//
//   - [Build] turns the parent's variables into the child's. One table (table.go) says what happens
//     to each and why.
//   - [ChildConfig] writes the AWS_CONFIG_FILE of the child: the settings of the chosen profile
//     without its credentials, and the profiles whose role the SDK can assume from our endpoint.
//   - [Dir] is the private directory that holds those files and the endpoint token, kept while the
//     child runs.
//
// All but Dir is pure: environments and contents of files are arguments. Nothing here ever puts a
// value of the environment or of a shared file into an error, a warning or a log line: any of them
// may be a secret.
//
// What stays out of reach: PHP reads $HOME/.aws/config whatever AWS_CONFIG_FILE says, .NET on
// Windows has an encrypted store of its own, and a program that is told keys or files in its code
// uses them. HOME is not redirected for these.
//
// The order in which each SDK looks is in
// https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html and, client by
// client, in docs/CLIENTS.md.
package childenv

import (
	"runtime"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Where the child is told the endpoint token. Anything else means both: some clients know only the
// one, some only the other.
const (
	TokenInEnv  = "env"
	TokenInFile = "file"
)

// Endpoint is what the child is told. The zero value isolates fully.
type Endpoint struct {
	URL   string // http://127.0.0.1:PORT/PATH; empty: the child is not to know it
	Token string // sent verbatim as Authorization

	Keys aws.Credentials // for the variables of a child that gets nothing better; zero: none

	Region         string // for a child that has none; with RegionExplicit for any child
	RegionExplicit bool   // the user asks for Region: it beats both inherited variables
	RoleARN        string // for prompts only (BRS_ROLE_ARN)
	STSURL         string // for the child's own STS calls; empty leaves what is inherited

	TokenIn     string // without a file it is always the variable
	AllowIMDS   bool   // leave AWS_EC2_METADATA_DISABLED as it is
	NoIsolation bool   // leave AWS_CONFIG_FILE and the credentials file variables as they are
}

// Files are the absolute paths the child is given. An empty path means that there was no place for
// the file: both AWS files are then the null device, and the token goes by variable only.
type Files struct {
	Config      string // the settings that ChildConfig kept
	Credentials string // empty, but for [Dir.SetCredentials]
	Token       string // the endpoint token, without a newline
}

// Build returns the child's environment: parent's entries in their order, without those that the
// table removes, and then ours. Entries without "=" and repeated names that are none of our
// business pass through.
func Build(parent []string, e Endpoint, f Files) []string {
	return build(environ{parent, runtime.GOOS == "windows"}, e, f)
}

func build(env environ, e Endpoint, f Files) []string {
	values := env.values(e, f)
	replaced := map[string]bool{}
	var prefixes, ours []string
	for _, v := range variables {
		value, named := values[v.name]
		name := env.fold(v.name)
		if v.kind == setting && !named || replaced[name] { // on Windows NO_PROXY and no_proxy are one
			continue
		}
		replaced[name] = true
		if prefix, ok := strings.CutSuffix(name, "*"); ok {
			prefixes = append(prefixes, prefix)
		}
		if value != "" {
			ours = append(ours, v.name+"="+value)
		}
	}
	kept := slices.DeleteFunc(slices.Clone(env.list), func(entry string) bool {
		name, _, ok := env.split(entry)
		hasPrefix := func(prefix string) bool { return strings.HasPrefix(name, prefix) }
		return ok && (replaced[name] || slices.ContainsFunc(prefixes, hasPrefix))
	})
	return append(kept, ours...)
}

// environ is a list of NAME=value as execve(2) takes it.
type environ struct {
	list       []string
	ignoreCase bool // Windows: Path and PATH are one variable
}

func (e environ) fold(name string) string {
	if e.ignoreCase {
		return strings.ToUpper(name)
	}
	return name
}

// split cuts an entry into its folded name and its value. Windows hides drive directories in names
// that begin with "=", as in "=C:=C:\dir".
func (e environ) split(entry string) (name, value string, ok bool) {
	i := strings.IndexByte(entry[min(1, len(entry)):], '=') + 1
	if i == 0 {
		return "", "", false
	}
	return e.fold(entry[:i]), entry[i+1:], true
}

// get is getenv(3): of a repeated name the first entry counts. An empty variable is an unset one.
func (e environ) get(name string) string {
	name = e.fold(name)
	for _, entry := range e.list {
		if n, value, ok := e.split(entry); ok && n == name {
			return value
		}
	}
	return ""
}
