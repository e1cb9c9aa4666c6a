package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec/internal/awsconfig"
	"brs-exec/internal/childenv"
	"brs-exec/internal/ecsserver"
	"brs-exec/internal/refresh"
	"brs-exec/internal/sandbox"
	"brs-exec/internal/source"
)

// versionOverride is for packagers: -ldflags "-X main.versionOverride=1.2.3".
var versionOverride string

func version() string {
	if versionOverride != "" {
		return versionOverride
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "devel"
}

// sourceOptions hands the identity flags to the source.
func (c *cli) sourceOptions(env []string, log *slog.Logger) source.Options {
	o := source.Options{
		RoleARNs:                c.RoleARN,
		RoleSessionName:         c.RoleSessionName,
		Duration:                c.Duration,
		ExternalID:              c.ExternalID,
		Policy:                  c.Policy,
		PolicyARNs:              c.PolicyARNs,
		Tags:                    c.Tags,
		TransitiveTagKeys:       c.TransitiveTagKeys,
		SourceIdentity:          c.SourceIdentity,
		ProvidedContexts:        c.ProvidedContexts,
		SerialNumber:            c.SerialNumber,
		TokenCode:               c.TokenCode,
		MFACommand:              c.MFACommand,
		Profile:                 c.Profile,
		WebIdentityTokenFile:    c.WebIdentityTokenFile,
		WebIdentityTokenCommand: c.WebIdentityTokenCommand,
		WebIdentity:             c.WebIdentity,
		Audience:                c.Audience,
		CredentialCommand:       c.CredentialCommand,
		IoTEndpoint:             c.IoTEndpoint,
		IoTRoleAlias:            c.IoTRoleAlias,
		IoTCertificate:          c.IoTCertificate,
		IoTPrivateKey:           c.IoTPrivateKey,
		IoTThingName:            c.IoTThingName,
		IoTCA:                   c.IoTCA,
		NoSession:               c.NoSession,
		Region:                  c.Region,
		STSEndpointURL:          c.STSEndpointURL,
		CABundle:                c.CABundle,
		UseFIPSEndpoint:         c.UseFIPSEndpoint,
		UseDualstackEndpoint:    c.UseDualstackEndpoint,
		ConnectTimeout:          c.ConnectTimeout,
		ReadTimeout:             c.ReadTimeout,
		Env:                     env,
		Names:                   c.optionNames,
		Version:                 version(),
		Log:                     log,
	}
	if c.sandbox != nil {
		base := c.sandbox.sts.BaseCredentials()
		o.Base, o.BaseName = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return base, nil }), "sandbox"
	}
	return o
}

// optionNames says how a user writes an option: as a flag, and as what it was given by.
func (c *cli) optionNames(o source.Option) (flag, given string) {
	flag = "--" + string(o)
	if slices.Contains(c.variables, string(o)) {
		return flag, variable(string(o))
	}
	return flag, flag
}

func (c *cli) refresh(src *source.Source, log *slog.Logger) refresh.Options {
	return refresh.Options{
		Log:          log,
		Permanent:    source.Permanent,
		Throttled:    source.Throttled,
		StartTimeout: c.StartTimeout,
		ReadTimeout:  c.ReadTimeout,
		Lazy:         c.Lazy,
		RetryDenied:  c.RetryDenied,
		Denied:       source.Denied,
		Skew:         src.Skew,
	}
}

// listen opens the endpoint, unless no way of --deliver needs it.
func (s *session) listen() (*ecsserver.Server, error) {
	if !s.delivery.served() {
		return nil, nil
	}
	return ecsserver.Listen(s.creds, s.serving())
}

func (c *cli) server(log *slog.Logger) ecsserver.Options {
	return ecsserver.Options{
		MaxTTL:     c.MaxTTL,
		Wait:       400 * time.Millisecond, // an answer is promised within 600 ms, on a busy machine too
		Port:       c.Port,
		Permanent:  source.Permanent,
		SameUser:   c.SameUser,
		AllowHosts: c.AllowHost,
		Log:        log,
	}
}

// settings are the contents of the child's AWS_CONFIG_FILE: the harmless ones of
// the user's. With --no-isolation the command sees the user's files themselves:
// a [default] that outranks the endpoint is refused then.
func (s *session) settings(env []string) ([]byte, error) {
	config, credentials, err := awsconfig.Locate(env).Read()
	if err != nil {
		return nil, err
	}
	if s.NoIsolation {
		if key, leaks := childenv.LeakingDefault(config, credentials); leaks {
			return nil, hinted(fmt.Errorf("--no-isolation: [default] has %s, which outranks the endpoint in most SDKs", key),
				"give that profile another name, or drop --no-isolation")
		}
	}
	fromEnv, _ := awsconfig.ChosenProfile(env)
	s.profile = cmp.Or(s.cli.Profile, fromEnv, awsconfig.Default)
	c := childenv.Chosen{
		Name:      s.profile,
		CarryOver: s.src.Profile() == s.profile && !s.NoSession, // the endpoint's identity is the profile's
		InFile:    s.delivery.file && !s.delivery.served(),
		InEnv:     s.delivery == delivery{env: true},
	}
	if s.delivery.process {
		if c.Process, err = fetchCommand(); err != nil {
			return nil, err
		}
	}
	return childenv.ChildConfig(config, credentials, c), nil
}

// newDir makes the private directory. There may be no place for it: the command
// then has the token by variable only, and no settings.
func (c *cli) newDir(env []string, settings []byte, srv *ecsserver.Server, log *slog.Logger) *childenv.Dir {
	o := childenv.Options{Places: childenv.Places(env), Config: settings, Log: log}
	if srv != nil && c.TokenIn != childenv.TokenInEnv {
		o.Token = srv.Token()
	}
	return childenv.NewDir(o)
}

// readsDescriptors tells whether a refresh may want a descriptor that we inherited: a token in /dev/fd/3, a command of ours
// that reads from one.
func (c *cli) readsDescriptors(args, env []string) bool {
	if c.MFACommand+c.CredentialCommand+c.WebIdentityTokenCommand != "" {
		return true
	}
	ours := slices.DeleteFunc(slices.Clone(env), func(kv string) bool { return !strings.HasPrefix(kv, "AWS_") && !strings.HasPrefix(kv, "BRS_EXEC_") })
	return slices.ContainsFunc(append(ours, args[:max(0, len(args)-len(c.Command))]...), func(s string) bool {
		return strings.Contains(s, "/dev/fd/") || strings.Contains(s, "/dev/std") || strings.Contains(s, "/proc/self/fd/")
	})
}

// sandboxServer is the embedded STS of --sandbox.
type sandboxServer struct {
	sts *sandbox.STS
	url string
}

const (
	sandboxRegion = "us-east-1"
	sandboxRole   = "arn:aws:iam::000000000000:role/sandbox"
	sandboxLife   = 15 * time.Minute
)

// startSandbox starts the STS, and fills in what it stands for: the role, the
// base credentials, and without a command the demonstration.
func (c *cli) startSandbox() (stop func(), err error) {
	life := cmp.Or(c.SandboxTTL, sandboxLife)
	if len(c.Command) == 0 && !c.runsNothing() {
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("find brs-exec itself for the demonstration: %w", err)
		}
		life = cmp.Or(c.SandboxTTL, demoLife)
		c.Command = []string{self, "--demo-client=" + life.String()}
	}
	if len(c.RoleARN) == 0 {
		c.RoleARN = []string{sandboxRole}
	}
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	c.sandbox = &sandboxServer{sandbox.New(sandbox.Options{TTL: life}), "http://" + ln.Addr().String()}
	c.STSEndpointURL = c.sandbox.url
	srv := &http.Server{Handler: c.sandbox.sts, ReadHeaderTimeout: 10 * time.Second}
	var wg sync.WaitGroup
	wg.Go(func() { srv.Serve(ln) })
	return func() { srv.Close(); wg.Wait() }, nil
}
