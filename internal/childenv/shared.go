package childenv

import (
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strings"
)

// ReadShared reads the two files that an SDK with the parent's environment would read, for [ChildConfig] and
// [LeakingDefault]. As in the SDKs, a file that can't be read is an empty one.
func ReadShared(env []string) (config, credentials []byte) {
	e := environ{env, runtime.GOOS == "windows"}
	home := e.home()
	return e.readShared("AWS_CONFIG_FILE", filepath.Join(home, ".aws", "config")),
		e.readShared("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(home, ".aws", "credentials"))
}

func (e environ) readShared(variable, otherwise string) []byte {
	path := e.get(variable)
	if path == "" {
		path = otherwise
	}
	content, err := os.ReadFile(path)
	if err != nil {
		content, _ = os.ReadFile(e.expand(path))
	}
	return content
}

// expand is what botocore does to these paths, and other SDKs do not: ~ and variables.
func (e environ) expand(path string) string {
	path = os.Expand(path, e.get)
	if rest, ok := strings.CutPrefix(path, "~"); ok && (rest == "" || os.IsPathSeparator(rest[0])) {
		return e.home() + rest
	}
	return path
}

func (e environ) home() string {
	name := "HOME"
	if runtime.GOOS == "windows" {
		name = "USERPROFILE"
	}
	if home := e.get(name); home != "" {
		return home
	}
	if u, err := user.Current(); err == nil { // a daemon without HOME: the SDK asks so, too
		return u.HomeDir
	}
	return ""
}
