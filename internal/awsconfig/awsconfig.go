// Package awsconfig knows the two files of the AWS tools, ~/.aws/config and ~/.aws/credentials:
// where they are, how they are read, and what their lines mean.
//
//	paths := awsconfig.Locate(env)           // from the variables, or in the home directory
//	identity, err := paths.ReadIdentity()    // the profiles and services, as botocore reads them
//	config, credentials, err := paths.Read() // the contents, bounded
//
// The SDKs do not agree on how such a file is read. botocore (Python's configparser) takes an
// indented line under "region = x" as more of that value, Go and JS as a key of its own; a lone CR
// ends a line in Python and Java, not in Go; a quoted profile name loses its quotes in Python only.
// [Identity] is botocore's reading, and what that refuses is an error. Whoever needs another one
// (the most suspicious) derives it from [Lines].
//
// Nothing here reads a variable of the process: the environment is an argument. All functions are
// linear in the size of a file, and none puts a line of one into an error: it may be a secret.
package awsconfig

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
)

// Default is the name of the profile that is used when none is named.
const Default = "default"

// ChosenProfile returns the profile that the environment chooses, and the variable that does so.
// Both are "" if none does. Of the two variables the older one counts, as in botocore; Go, Java
// and JS have it the other way round.
func ChosenProfile(env []string) (name, variable string) {
	for _, variable := range []string{"AWS_DEFAULT_PROFILE", "AWS_PROFILE"} {
		if name, _ := lookup(env, variable); name != "" {
			return name, variable
		}
	}
	return "", ""
}

// Paths are where the two files are.
type Paths struct{ Config, Credentials string }

// Locate returns the paths that botocore would read with this environment. A variable that is set
// to nothing names no file.
func Locate(env []string) Paths {
	path := func(variable, file string) string {
		if path, is := lookup(env, variable); is {
			return expand(env, path)
		}
		return expand(env, filepath.Join("~", ".aws", file))
	}
	return Paths{path("AWS_CONFIG_FILE", "config"), path("AWS_SHARED_CREDENTIALS_FILE", "credentials")}
}

// variables are those of Python's os.path.expandvars.
var variables = regexp.MustCompile(`\$(\w+|\{[^}]*\})`)

// expand replaces $NAME, ${NAME} and a leading ~ or ~USER as botocore does; other SDKs don't. They
// stand in the variable literally when systemd, a .env file or Docker's ENV has set it.
func expand(env []string, path string) string {
	path = variables.ReplaceAllStringFunc(path, func(found string) string {
		if value, ok := lookup(env, strings.Trim(found, "${}")); ok {
			return value
		}
		return found // a file may be called so
	})
	rest, ok := strings.CutPrefix(path, "~")
	if !ok {
		return path
	}
	name := rest
	if i := strings.IndexAny(rest, "/"+string(filepath.Separator)); i >= 0 {
		name = rest[:i]
	}
	if home, ok := homeOf(env); name == "" && ok {
		return strings.TrimRight(home, "/") + rest
	}
	if u, err := user.Lookup(name); err == nil {
		return u.HomeDir + rest[len(name):]
	}
	return path
}

// Home returns the user's home directory, "" if it isn't known.
func Home(env []string) string {
	home, _ := homeOf(env)
	return home
}

// homeOf is what ~ stands for; false: nobody knows, and it stays. An empty HOME is one: Python, and so
// aws, reads /.aws then.
func homeOf(env []string) (home string, ok bool) {
	name := "HOME"
	if runtime.GOOS == "windows" {
		name = "USERPROFILE"
	}
	if home, ok := lookup(env, name); ok {
		return home, true
	}
	if u, err := user.Current(); err == nil { // a daemon without HOME: the SDKs ask so, too
		return u.HomeDir, true
	}
	return "", false
}

// lookup finds a variable as getenv(3) does: of a repeated name the first entry counts.
func lookup(env []string, name string) (value string, ok bool) {
	for _, entry := range env {
		n, value, ok := strings.Cut(entry, "=")
		if ok && n == name {
			return value, true
		}
	}
	return "", false
}

// sizeLimit is far beyond any real file (a thousand profiles take 200 KB), and read in
// milliseconds.
const sizeLimit = 1 << 20

// ErrTooLarge is the error for a file of more than 1 MiB.
var ErrTooLarge = errors.New("larger than 1 MiB: no file of settings")

// Read returns the content of one file. Anything but a regular file counts as missing
// (fs.ErrNotExist), as in botocore: a device has no end, and a pipe may wait for ever.
func Read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file: %w", path, fs.ErrNotExist)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, sizeLimit+1))
	if len(content) > sizeLimit {
		return nil, fmt.Errorf("%s: %w", path, ErrTooLarge)
	}
	return content, err
}

// Read reads both files. As in the SDKs, a file that can't be read counts as empty; only one that
// is too large is an error.
func (p Paths) Read() (config, credentials []byte, err error) {
	config, configErr := Read(p.Config)
	credentials, credentialsErr := Read(p.Credentials)
	for _, err := range []error{configErr, credentialsErr} {
		if errors.Is(err, ErrTooLarge) {
			return nil, nil, err
		}
	}
	return config, credentials, nil
}
