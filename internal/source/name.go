package source

import (
	"os"
	"os/user"
	"strconv"
	"strings"
)

// sessionName is what CloudTrail shows: the flag's, else AWS_ROLE_SESSION_NAME, else who runs it where.
func sessionName(asked, env string) (string, error) {
	if asked != "" {
		return asked, nil // checked with the other flags
	}
	if env != "" {
		return env, checkName("AWS_ROLE_SESSION_NAME", env, 2, 64, "")
	}
	host, _ := os.Hostname()
	return validName("brs-exec-" + userName() + "-" + host), nil
}

// userName asks the variables first: os/user may ask a directory server for what is only a label.
func userName() string {
	for _, v := range []string{"USER", "LOGNAME"} {
		if name := os.Getenv(v); name != "" {
			return name
		}
	}
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return strconv.Itoa(os.Getuid()) // containers run as uids that have no name
}

// validName replaces what AWS forbids in a session name and cuts at its 64 characters.
func validName(s string) string {
	s = strings.Map(func(r rune) rune {
		if nameRune(r) {
			return r
		}
		return '-'
	}, s)
	return strings.TrimRight(s[:min(len(s), 64)], "-")
}
