package main

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"brs-exec/internal/awsconfig"
	"brs-exec/internal/childenv"
	"brs-exec/internal/ecsserver"
	"brs-exec/internal/hint"
	"brs-exec/internal/message"
	"brs-exec/internal/refresh"
	"brs-exec/internal/rehearse"
	"brs-exec/internal/runner"
	"brs-exec/internal/share"
	"brs-exec/internal/source"
)

// stderr is for all that brs-exec says itself, in one order.
var stderr = message.NewSink(runner.Stderr)

// output is for what was asked of brs-exec itself.
func output() io.Writer {
	if runner.StdoutClosed() {
		return closed{}
	}
	return os.Stdout
}

// closed is a stdout that came in closed. Nobody would see what is asked for, so that is no
// success.
type closed struct{}

func (closed) Write([]byte) (int, error) {
	return 0, hint.Errorf("whoever runs it must read what it prints", "stdout is closed")
}

// newLogger makes the logger of --log-level, --log-format and --log-file, what is to be called at
// the end, and what opens the file again.
func newLogger(flags *cli) (log *slog.Logger, flush func(), reopen func() error, err error) {
	form := message.NewLogger
	switch {
	case flags.logFormat == "json":
		form = message.NewJSONLogger
	case flags.logFile != "":
		form = message.NewFileLogger
	}
	if flags.logFile == "" {
		return stderr.Logger(form, flags.level()), func() {}, func() error { return nil }, nil
	}
	given := flags.given("log-file")
	f, err := runner.OpenLog(flags.logFile)
	if err != nil {
		return nil, nil, nil, hint.Errorf("name a file in a directory that is there and can be written to",
			"%s: %w", given, err)
	}
	sink := message.NewSink(f)
	flush = func() {
		if lost := sink.Flush(); lost > 0 {
			message.NewLogger(stderr, flags.level()).Warn(given + ": " + message.Lost(lost))
		}
	}
	reopen = func() error { return runner.ReopenLog(f, flags.logFile) }
	return sink.Logger(form, flags.level()), flush, reopen, nil
}

func (c *cli) level() (level slog.Level) {
	level.UnmarshalText([]byte(c.logLevel)) // each of the choices is one
	return level
}

// sourceOptions hands the identity flags to the source. sts is nil without --sandbox.
func sourceOptions(flags *cli, sts *sandboxSTS, env []string, log *slog.Logger) source.Options {
	o := flags.source
	o.Env, o.Names, o.Version, o.Log = env, flags.optionNames, version(), log
	o.AnyServer = flags.expectAccount != ""
	if sts != nil {
		sts.standIn(&o)
	}
	return o
}

// optionNames says how an option is written as a flag, and what the user gave it by.
func (c *cli) optionNames(o source.Option) (flag, given string) {
	return "--" + string(o), c.given(string(o))
}

func refreshOptions(flags *cli, src *source.Source, log *slog.Logger) refresh.Options {
	o := flags.refresh
	o.ReadTimeout, o.Skew, o.Asked, o.Log = flags.source.ReadTimeout, src.Skew, src.Asked, log
	o.Permanent, o.Throttled, o.Denied = permanent, source.Throttled, source.Denied
	return o
}

// listen opens the endpoint, and with --rehearse watches who fetches from it. folder is nil without
// --share.
func (s *session) listen(folder *share.Folder) (*ecsserver.Server, *rehearse.Watch, error) {
	o := s.flags.server
	o.Wait = 400 * time.Millisecond // an answer is promised within 600 ms, on a busy machine too
	o.Permanent, o.Log = permanent, s.log
	o.FirstServed = func() { go s.files.Close() } // the kernel takes its time: the answer does not wait
	watch := s.rehearsal(&o)
	if s.further != nil {
		o.Named, o.Names = s.further.named, s.further.Names()
	}
	if err := s.shareThrough(folder, &o); err != nil {
		return nil, nil, err
	}
	if s.flags.serve { // whoever restarts it loses no client; nobody waits for the end
		o.Grace = 400 * time.Millisecond
	}
	for _, ln := range s.inherited {
		if tcp, ok := ln.(*net.TCPListener); ok {
			o.Inherited = append(o.Inherited, tcp)
		}
	}
	srv, err := ecsserver.Listen(s.creds, o)
	if bad, ok := errors.AsType[*ecsserver.OptionError](err); ok {
		bad.Option = s.flags.given(serverFlags[bad.Option])
	}
	if err == nil && folder != nil {
		err = s.shareError(folder.Put(share.Token, []byte(srv.Token())))
	}
	return srv, watch, err
}

// serverFlags are the flags that the server's options come from.
var serverFlags = map[string]string{
	"Port": "port", "SameUser": "same-user", "AllowHosts": "allow-host", "Inherited": "serve",
}

// childConfig returns the profile that was chosen, perhaps one without credentials of its own, and
// the contents of the child's AWS_CONFIG_FILE. With --no-isolation the command sees the user's
// files themselves: a [default] that outranks the endpoint is refused then.
func (s *session) childConfig(env []string) (profile string, content []byte, err error) {
	files := awsconfig.Locate(env)
	config, credentials, err := files.Read()
	if err != nil {
		return "", nil, err
	}
	identity, err := files.ParseIdentity(config, credentials)
	if s.flags.sandbox && err != nil { // whose source reads no files: wrong ones don't matter
		identity, err = new(awsconfig.Identity), nil
	}
	if err != nil {
		return "", nil, err
	}
	if s.flags.child.NoIsolation {
		if key, leaks := childenv.LeakingDefault(identity, config, credentials); leaks {
			return "", nil, hint.Errorf("give that profile another name, or drop --no-isolation",
				"--no-isolation: [default] has %s, which outranks the endpoint in most SDKs", key)
		}
	}
	if !s.flags.child.NoIsolation && hasPlugins(config) {
		s.log.Warn("the [plugins] of your config file are left out, since a plugin can be another identity; " +
			"--no-isolation keeps them")
	}
	profile = chosenProfile(s.flags, env)
	c := childenv.Chosen{
		Name:      profile,
		Unnamed:   s.src.OutranksProfile(),
		CarryOver: s.src.Profile() == profile && !s.flags.source.NoSession, // the endpoint's identity is the profile's
		InFile:    s.flags.delivery.file && !s.flags.delivery.served(),
		InEnv:     s.flags.delivery.envOnly(),
	}
	if s.flags.delivery.process {
		if c.Process, err = fetchCommand("--deliver process"); err != nil {
			return "", nil, err
		}
	}
	if c.Further, err = s.further.forCommand(); err != nil {
		return "", nil, err
	}
	content = childenv.ChildConfig(identity, c)
	if c.Unnamed {
		profile = awsconfig.Default
	}
	return profile, content, nil
}

// hasPlugins says whether the aws cli would load modules that a config file names.
func hasPlugins(config []byte) bool {
	return slices.ContainsFunc(awsconfig.Lines(config),
		func(line string) bool { return strings.HasPrefix(line, "[plugins]") })
}

// newDir makes the private directory. There may be no place for it: the command then has the token
// by variable only, and no settings.
func (s *session) newDir(env []string, config []byte, srv *ecsserver.Server) *childenv.Dir {
	if s.flags.serve {
		return new(childenv.Dir) // nobody is told of one
	}
	o := childenv.Options{Places: childenv.Places(env), Config: config, Log: s.log}
	if srv != nil && s.flags.child.TokenIn != childenv.TokenInEnv {
		o.Token = srv.Token()
	}
	return childenv.NewDir(o)
}

// inheritsDescriptors tells whether a refresh may want a descriptor that came to us: a token in
// /dev/fd/3, a command of ours that reads from one. args are without the command's own.
func inheritsDescriptors(flags *cli, args, env []string) bool {
	if flags.source.MFACommand+flags.source.CredentialCommand+flags.source.WebIdentityTokenCommand != "" {
		return true
	}
	ours := slices.DeleteFunc(slices.Clone(env), func(entry string) bool {
		return !strings.HasPrefix(entry, "AWS_") && !strings.HasPrefix(entry, variablePrefix)
	})
	descriptor := regexp.MustCompile(`/dev/fd/|/dev/std|/proc/self/fd/`)
	return slices.ContainsFunc(append(ours, args...), descriptor.MatchString)
}

// getenv returns a variable as getenv(3) does: the first entry counts. An empty variable is an
// unset one.
func getenv(env []string, name string) string {
	for _, entry := range env {
		if key, value, ok := strings.Cut(entry, "="); ok && key == name {
			return value
		}
	}
	return ""
}
