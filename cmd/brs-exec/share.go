package main

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strings"

	"brs-exec/internal/ecsserver"
	"brs-exec/internal/share"
)

// shareRules refuse what leaves a share with nothing to serve.
func (c *cli) shareRules() []rule {
	if c.source.FromShare != "" && !share.Supported {
		return []rule{{true, c.given("from-share") + ": there are no shares on this system", "leave it out"}}
	}
	if c.share == "" {
		return nil
	}
	given := c.given("share")
	return []rule{
		{!share.Supported, given + ": there are no shares on this system", "leave it out"},
		{c.runsNothing() && !c.explain, given + " needs a run that serves", "give a command, or drop it"},
		{c.source.NoSession, c.given("no-session") + " hands the keys over as variables, and a share has none",
			"drop " + given + ", or " + c.given("no-session")},
	}
}

// openShare makes the folder ours; nil without --share.
func (s *session) openShare() (*share.Folder, error) {
	if s.flags.share == "" {
		return nil, nil
	}
	folder, err := share.Open(s.flags.share)
	if err != nil {
		return nil, s.shareError(err)
	}
	return folder, nil
}

func (s *session) shareError(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", s.flags.given("share"), err)
}

// keepsToken says whether the token outlives the run: with a port that the user named, a program
// that was started before is served again after a restart.
func (s *session) keepsToken() bool { return s.flags.server.Port != 0 || len(s.inherited) > 0 }

// shareThrough has the server serve the folder's socket, too, with the token that is there.
func (s *session) shareThrough(folder *share.Folder, o *ecsserver.Options) (err error) {
	if folder == nil {
		return nil
	}
	if s.keepsToken() {
		o.Token = folder.LastToken()
	}
	o.About = func() ecsserver.About {
		return ecsserver.About{Region: s.region(), RenewableUntil: s.src.RenewableUntil()}
	}
	for _, ln := range s.inherited {
		if u, ok := ln.(*net.UnixListener); ok {
			o.Socket = u
			return s.shareError(folder.Adopt(u))
		}
	}
	o.Socket, err = folder.Listen()
	return s.shareError(err)
}

// withdrawShare takes the share from those who look for it; closeShare lets go of the folder.
func (s *session) withdrawShare(folder *share.Folder) {
	if folder != nil {
		s.logError(s.shareError(folder.Withdraw(s.keepsToken())))
	}
}

func (s *session) closeShare(folder *share.Folder) {
	if folder != nil {
		s.withdrawShare(folder)
		s.logError(s.shareError(folder.Close()))
	}
}

// publish tells through the folder that credentials are there, and how to get them. environment is
// the command's.
func (s *session) publish(e *equipment, environment []string) error {
	if e.share == nil {
		return nil
	}
	if e.json != nil {
		if err := e.json.firstWrite(); err != nil {
			return err
		}
	}
	content, err := s.envFile(e, environment)
	if err == nil {
		err = e.share.Put(share.Env, content)
	}
	return s.shareError(err)
}

// envFile is what a client of the endpoint needs, a NAME=VALUE line each, for `docker --env-file`,
// systemd's EnvironmentFile= and `set -a; . FILE` alike.
//
// A file can't unset a variable. It blanks the keys, which SDKs then take for missing; a profile
// or a web identity would be an error when blank, and stays.
func (s *session) envFile(e *equipment, environment []string) ([]byte, error) {
	lines := []string{
		endpointVariable + "=" + cmp.Or(e.srv.URLAt(), e.srv.URL()),
		"AWS_CONTAINER_AUTHORIZATION_TOKEN=" + e.srv.Token(),
		"AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null",
		"AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=", "AWS_SESSION_TOKEN=",
	}
	inherited := []string{"AWS_REGION", "AWS_DEFAULT_REGION"}
	if e.srv.URLAt() == "" { // a container has no such path, and Go's SDK takes it before the token
		lines = append(lines, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE="+e.share.Path(share.Token))
	}
	if !s.flags.child.AllowIMDS {
		lines = append(lines, "AWS_EC2_METADATA_DISABLED=true")
	}
	if s.sts != nil { // nobody else knows these credentials
		inherited = append(inherited, "AWS_ENDPOINT_URL_STS")
	}
	for _, name := range inherited {
		if value := getenv(environment, name); value != "" {
			lines = append(lines, name+"="+value)
		}
	}
	slices.Sort(lines)
	for _, line := range lines {
		if name, value, _ := strings.Cut(line, "="); !share.Plain(value) {
			return nil, fmt.Errorf("%s can't be written plainly to the file env: %q", name, value)
		}
	}
	return []byte(strings.Join(lines, "\n") + "\n"), nil
}
