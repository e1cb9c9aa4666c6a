package source

import (
	"cmp"
	"os"
	"os/user"
	"strconv"

	"brs-exec/internal/source/problem"
	"brs-exec/internal/source/stsapi"
)

// sessionName is what CloudTrail shows: the option's, else AWS_ROLE_SESSION_NAME, else who runs it where.
func (b *builder) sessionName() (string, error) {
	if b.o.RoleSessionName != "" {
		return b.o.RoleSessionName, nil // checked with the other options
	}
	if name := b.env.RoleSessionName; name != "" {
		return name, stsapi.CheckName(problem.Input{Variable: "AWS_ROLE_SESSION_NAME"}, name, 2, 64, "")
	}
	host, _ := os.Hostname()
	return stsapi.ValidName("brs-exec-" + b.userName() + "-" + host), nil
}

// userName asks the variables first: os/user may ask a directory server for what is only a label.
func (b *builder) userName() string {
	if name := cmp.Or(b.vars["USER"], b.vars["LOGNAME"]); name != "" {
		return name
	}
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return strconv.Itoa(os.Getuid()) // containers run as uids that have no name
}
