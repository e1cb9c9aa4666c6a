package main

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/alecthomas/kong"
)

const usage = `Usage: brs-exec [flags] [--] COMMAND [ARG ...]

Run a command with AWS credentials that never expire under it.

brs-exec assumes the role, serves its credentials on a loopback endpoint that
every AWS SDK knows, keeps them fresh, and returns the command's exit status.
Flags end at -- or at the first word that is no flag.`

const usageEnd = `
A flag beats its variable; an empty variable is an unset one; a list stands one
value a line. Durations are 1h30m, or a bare number of seconds.

Exit status: the command's own, or death by its signal; 125 brs-exec failed
before the command was started; 124 it failed while the command ran; 126 the
command cannot be run; 127 it was not found.

Examples:
  $ brs-exec --role-arn arn:aws:iam::123456789012:role/etl -- python3 etl.py
  $ brs-exec --profile etl terraform apply
  $ brs-exec --sandbox -- aws sts get-caller-identity
`

// An option is a flag: what --help says of it, and where its value goes. Help is a fragment without
// a full stop; the default is named, the variable is added.
type option struct {
	name, placeholder, help string
	field                   any // *string, *[]string, *bool, *int or *time.Duration
}

// A group of flags has a heading in --help.
type group struct {
	title string
	flags []*option
}

// withoutVariable are the flags that ask for something once, and configure nothing.
var withoutVariable = []string{
	"token-code", "whoami", "explain", "output", "export", "format", "version", "help", "sandbox", "demo-client",
	"serve", "ready",
}

// choices are the values of the flags that have but a few.
var choices = map[string][]string{
	"token-in":         {"both", "env", "file"},
	"on-wrapper-death": {"term", "hup", "kill", "none"},
	"on-rotation":      {"HUP", "USR1", "USR2"},
	"log-level":        {"error", "warn", "info", "debug"},
	"log-format":       {"text", "json"},
	"output":           {"text", "json"},
	"format":           {"process", "env", "env-no-export", "fish", "powershell", "windows-cmd"},
}

// groups are all flags but one, in the order of --help. Names are those of `aws sts assume-role`
// and the aws cli.
func (c *cli) groups() []group {
	return []group{
		c.roleFlags(), c.codeFlags(), c.baseFlags(), c.stsFlags(),
		c.serverFlags(), c.commandFlags(), c.tellingFlags(), c.tryingFlags(),
	}
}

func (c *cli) roleFlags() group {
	o := &c.source
	return group{"Role:", []*option{
		{"role-arn", "ARN", "Role to assume; repeat it for a chain, assumed in order", &o.RoleARNs},
		{"role-session-name", "NAME",
			"Session name; default $AWS_ROLE_SESSION_NAME, else brs-exec-USER-HOST-JOB", &o.RoleSessionName},
		{"duration-seconds", "DURATION", "Life to ask for each credential; default 3600 s", &o.Duration},
		{"external-id", "ID", "External id that the role's trust policy asks for", &o.ExternalID},
		{"policy", "JSON", "Session policy: JSON, or file://PATH", &o.Policy},
		{"policy-arns", "ARN", "Managed session policy, as ARN or arn=ARN; repeatable", &o.PolicyARNs},
		{"tags", "K=V", "Session tag, as K=V or Key=K,Value=V; repeatable", &o.Tags},
		{"transitive-tag-keys", "KEY",
			"Session tag that later roles of the chain inherit; repeatable", &o.TransitiveTagKeys},
		{"source-identity", "NAME", "Source identity that CloudTrail shows through the chain", &o.SourceIdentity},
		{"provided-contexts", "CONTEXT", "ProviderArn=ARN,ContextAssertion=TEXT; repeatable", &o.ProvidedContexts},
		{"expect-account", "ID", "Serve no identity but this account's, by STS's own word", &c.expectAccount},
		{"allow-identity-change", "",
			"Serve new credentials even if they are another role's or user's than the first", &c.allowIdentityChange},
	}}
}

func (c *cli) codeFlags() group {
	o := &c.source
	return group{"MFA (else a prompt on the terminal):", []*option{
		{"serial-number", "ARN", "MFA device; default the profile's mfa_serial", &o.SerialNumber},
		{"token-code", "CODE", "MFA code, good for one use", &o.TokenCode},
		{"mfa-command", "COMMAND", "Shell command whose output's last 6-digit number is the MFA code", &o.MFACommand},
	}}
}

func (c *cli) baseFlags() group {
	o := &c.source
	return group{"Base credentials (else the AWS SDK's default chain):", []*option{
		{"profile", "NAME", "Profile of ~/.aws/config that yields the base credentials", &o.Profile},
		{"with-profile", "NAME",
			"Further profile that the command may use by its name; repeatable, * and ? match several", &c.withProfile},
		{"region", "REGION", "Region of STS and of the command", &o.Region},
		{"web-identity-token-file", "FILE",
			"Web identity token that buys the first --role-arn; read again at every refresh", &o.WebIdentityTokenFile},
		{"web-identity-token-command", "COMMAND", "Shell command that prints such a token", &o.WebIdentityTokenCommand},
		{"web-identity", "ISSUER", "Where such a token is asked for: github-actions", &o.WebIdentity},
		{"audience", "NAME", "Audience of the --web-identity token; default sts.amazonaws.com", &o.Audience},
		{"credential-command", "COMMAND", "Shell command that prints credential_process JSON", &o.CredentialCommand},
		{"from-share", "DIR",
			"Folder of another brs-exec's --share, or its socket: serve what that one serves (not on " +
				"Windows)", &o.FromShare},
		{"iot-endpoint", "HOST", "AWS IoT credential provider endpoint, with the five below", &o.IoTEndpoint},
		{"iot-role-alias", "NAME", "Role alias to ask it for", &o.IoTRoleAlias},
		{"iot-certificate", "FILE", "Device certificate, PEM", &o.IoTCertificate},
		{"iot-private-key", "FILE", "Its private key, PEM, not encrypted", &o.IoTPrivateKey},
		{"iot-thing-name", "NAME", "Thing name, if the policy asks for it", &o.IoTThingName},
		{"iot-ca", "FILE", "PEM file of the roots that the endpoint is verified against", &o.IoTCA},
		{"no-session", "",
			"Without a role: hand long-term keys to the command as variables, instead of a session", &o.NoSession},
		{"must-last", "DURATION",
			"Fail at the start unless the credentials can be renewed unattended for so long", &c.mustLast},
	}}
}

func (c *cli) stsFlags() group {
	o := &c.source
	return group{"STS client (brs-exec's own; the command does not see it):", []*option{
		{"sts-endpoint-url", "URL", "STS to ask; http only on loopback", &o.STSEndpointURL},
		{"ca-bundle", "FILE", "PEM file of the roots that STS is verified against", &o.CABundle},
		{"use-fips-endpoint", "", "Ask STS's FIPS endpoint", &o.UseFIPSEndpoint},
		{"use-dualstack-endpoint", "", "Ask STS's dual-stack endpoint", &o.UseDualstackEndpoint},
		{"connect-timeout", "DURATION", "Longest wait for a connection; default 5s", &o.ConnectTimeout},
		{"read-timeout", "DURATION", "Longest wait for an answer; default 10s", &o.ReadTimeout},
		{"start-timeout", "DURATION",
			"All that the first credentials may take, retries included; default 30s", &c.refresh.StartTimeout},
		{"retry-denied", "DURATION",
			"How long AccessDenied counts as passing at the start, for a role made seconds ago",
			&c.refresh.RetryDenied},
	}}
}

func (c *cli) serverFlags() group {
	s := &c.server
	return group{"Serving:", []*option{
		{"max-ttl", "DURATION", "Tell the command that each answer expires at most this far ahead", &s.MaxTTL},
		{"port", "PORT", "Port of the endpoint; default any free one", &s.Port},
		{"lazy", "",
			"Fetch nothing that nobody asked for: past half of the life an answer starts the refresh", &c.refresh.Lazy},
		{"token-in", "WHERE",
			"Give the endpoint token by variable (env), by file, or both; default both", &c.child.TokenIn},
		{"same-user", "", "Answer no other user of this machine but root (Linux)", &s.SameUser},
		{"allow-host", "NAME", "Further Host header to answer; repeatable", &s.AllowHosts},
		{"listen", "ADDR",
			"Serve at " + strings.Join(listenable, ", ") + ", too, for containers of that network", &c.listen},
		{"serve", "", "Run nothing: serve from the folder of --share until INT or TERM; HUP fetches anew", &c.serve},
		{"share", "DIR",
			"Serve from a folder, too: a socket, and a file env for docker, systemd and shells (not on " +
				"Windows)", &c.share},
	}}
}

func (c *cli) commandFlags() group {
	run := &c.runner
	return group{"Command:", []*option{
		{"pty", "", "Give the command a terminal of its own", &run.PTY},
		{"kill-after", "DURATION",
			"Send KILL this long after the first TERM, INT, HUP or QUIT that was passed on", &run.KillAfter},
		{"on-wrapper-death", "SIGNAL",
			"What the command and all it started get if brs-exec is killed: term, hup, kill or none; " +
				"default term (Linux)",
			&run.OnWrapperDeath},
		{"linger", "DURATION",
			"Serve on for so long at most when the command has ended, while processes it has left have " +
				"the endpoint (Linux)",
			&c.linger},
		{"start-early", "",
			"Start the command while the role is still being assumed; its first request waits", &c.startEarly},
		{"deliver", "WAYS",
			"How the command gets its credentials: endpoint, process, file, env, or several with commas; " +
				"json, for others, is a file in the folder of --share; default endpoint", &c.deliver},
		{"on-rotation", "SIGNAL",
			"Signal to the command when its file of --deliver file or json has new keys: HUP, USR1 or USR2 (Linux)",
			&c.onRotation},
		{"no-isolation", "",
			"Leave the AWS files visible to the command, for one that needs other profiles", &c.child.NoIsolation},
		{"allow-imds", "", "Let the command's SDK ask the instance metadata service", &c.child.AllowIMDS},
	}}
}

func (c *cli) tellingFlags() group {
	return group{"Telling:", []*option{
		{"log-level", "LEVEL", "error, warn, info or debug; default warn", &c.logLevel},
		{"log-format", "FORMAT", "text or json; default text", &c.logFormat},
		{"log-file", "FILE", "Append messages to FILE (made 0600) instead of stderr", &c.logFile},
		{"whoami", "", "Run nothing: print as JSON who the command would be", &c.whoami},
		{"explain", "", "Run nothing: print why it works or doesn't, and what to type; no secret is in it", &c.explain},
		{"ready", "",
			"Run nothing: fail unless --from-share, or the endpoint in the environment, has a valid " +
				"credential now", &c.ready},
		{"output", "FORMAT", "text or json, of --explain; default text", &c.output},
		{"export", "", "Run nothing: print the credentials once, as credential_process does", &c.export},
		{"format", "FORMAT",
			"Format of --export: process, env, env-no-export, fish, powershell, windows-cmd; default process",
			&c.format},
		{"rehearse", "DURATION",
			"Tell the command that each answer expires so soon; at the end, tell which processes refresh (Linux)",
			&c.rehearse},
		{"rehearse-fail", "", "Exit with 124 if a process of the rehearsal would fail", &c.rehearseFail},
		{"version", "", "Print the version", &c.version},
		{"help", "", "Print this help", &c.help},
	}}
}

func (c *cli) tryingFlags() group {
	return group{"Trying:", []*option{
		{"sandbox", "",
			"Use an embedded STS on loopback: no AWS account needed; without a command a demonstration", &c.sandbox},
		{"sandbox-ttl", "DURATION", "Life of the sandbox's credentials; default 15m", &c.sandboxTTL},
	}}
}

// grammar is a struct of the flags for kong, which makes the page of --help from it.
func (c *cli) grammar() reflect.Value {
	short := map[string]string{"help": `short:"h"`}
	fields := []reflect.StructField{{
		Name: "Command", Type: reflect.TypeFor[[]string](),
		Tag: `arg:"" optional:"" passthrough:"partial" help:"Program to run, with its arguments"`,
	}}
	for _, g := range c.groups() {
		for _, o := range g.flags {
			fields = append(fields, reflect.StructField{
				Name: fmt.Sprintf("Flag%d", len(fields)), Type: reflect.TypeOf(o.field).Elem(),
				Tag: reflect.StructTag(fmt.Sprintf(`name:%q sep:"none" %s`, o.name, short[o.name])),
			})
		}
	}
	return reflect.New(reflect.StructOf(fields))
}

// helpPage is the page that --help shows.
func (c *cli) helpPage() (string, error) {
	describe := func(k *kong.Kong) error {
		flags := k.Model.Flags
		for _, g := range c.groups() {
			heading := &kong.Group{Key: g.title, Title: g.title}
			for _, o := range g.flags {
				flags[0].Group, flags[0].PlaceHolder, flags[0].Help = heading, o.placeholder, o.help
				if o.hasVariable() {
					flags[0].Help += " ($" + variable(o.name) + ")"
				}
				flags = flags[1:]
			}
		}
		return nil
	}
	var page strings.Builder
	k, err := kong.New(c.grammar().Interface(),
		kong.Name("brs-exec"),
		kong.Description(usage),
		kong.NoDefaultHelp(),
		kong.Writers(&page, &page),
		kong.ConfigureHelp(kong.HelpOptions{NoAppSummary: true, NoAppDescFormat: true, WrapUpperBound: 100}),
		kong.PostBuild(describe),
	)
	if err != nil {
		return "", err
	}
	ctx, err := kong.Trace(k, nil)
	if err != nil {
		return "", err
	}
	err = ctx.PrintUsage(false)
	return strings.TrimLeft(page.String(), "\n") + usageEnd, err
}
