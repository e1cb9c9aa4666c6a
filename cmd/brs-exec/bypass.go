package main

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec/internal/awsconfig"
	"brs-exec/internal/bypass"
	"brs-exec/internal/ecsserver"
)

// watchFiles watches those files of the user's from which a program may take keys without asking
// the endpoint, until somebody has asked it. Where the command may rightly have its keys
// elsewhere, or see the files, nothing is watched.
func (s *session) watchFiles(env []string, e *equipment) *bypass.Watch {
	d := s.flags.delivery
	if e.srv == nil || d.file || d.env || e.keys.HasKeys() || s.flags.child.NoIsolation || nested(env) {
		return nil
	}
	dir, err := os.Getwd()
	if err != nil {
		return nil
	}
	return bypass.Start(bypass.Files(awsconfig.Home(env), dir))
}

// nested tells whether this brs-exec runs in another one, whose watch it leaves alone.
func nested(env []string) bool {
	u, err := url.Parse(getenv(env, endpointVariable))
	return err == nil && u.Hostname() == "127.0.0.1" && u.Path == "/credentials"
}

// unwatched is the provider p. What it opens of the user's files is no sign of the command.
func (s *session) unwatched(p aws.CredentialsProvider) aws.CredentialsProvider {
	return aws.CredentialsProviderFunc(func(ctx context.Context) (creds aws.Credentials, err error) {
		s.files.Without(func() { creds, err = p.Retrieve(ctx) })
		return creds, err
	})
}

// warnOfBypass warns if nobody came to the endpoint, and one of the files was opened meanwhile. It
// can't be seen by whom: the user's other programs open them, too.
func (s *session) warnOfBypass(command []string, env []string, asked ecsserver.Stats) (warned bool) {
	if came(asked) {
		return false
	}
	file := s.files.Opened()
	if file == "" {
		return false
	}
	shown, hide := file, `--dev-bind /dev/null "$PWD/.env"`
	if name, ok := strings.CutPrefix(file, awsconfig.Home(env)+string(filepath.Separator)); ok &&
		filepath.Base(file) != ".env" {
		shown, hide = filepath.Join("~", name), "--tmpfs ~/.aws"
	}
	name := filepath.Base(command[0])
	s.log.Warn(fmt.Sprintf("nobody asked the endpoint, and %s, which holds credentials, was opened meanwhile: "+
		"%s may have used those credentials, or another program opened it", shown, name),
		"hint", cmp.Or(s.flags.reachHint(command, awsconfig.Home(env)),
			fmt.Sprintf("this hides the file: brs-exec … -- bwrap --dev-bind / / %s %s", hide, typed(command))))
	return true
}

// typed is the command as it can be typed in a shell. Its arguments may hold secrets: none is
// shown.
func typed(command []string) string {
	name := command[0]
	if shellWord(name) != name {
		name = "COMMAND" // it would need quotes, perhaps within others, and may be a whole line
	}
	if len(command) > 1 {
		name += " …"
	}
	return name
}
