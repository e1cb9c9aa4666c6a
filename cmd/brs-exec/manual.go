package main

import (
	"fmt"
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

// manual is what --help says of each flag, in its order: flag, placeholder, help. A fragment
// without a full stop; the default named; the variable is added.
var manual = []struct {
	title string
	flags [][3]string
}{
	{"Role:", [][3]string{
		{"role-arn", "ARN", "Role to assume; repeat it for a chain, assumed in order"},
		{"role-session-name", "NAME", "Session name; default $AWS_ROLE_SESSION_NAME, else brs-exec-USER-HOST"},
		{"duration-seconds", "DURATION", "Life to ask for each credential; default 3600 s"},
		{"external-id", "ID", "External id that the role's trust policy asks for"},
		{"policy", "JSON", "Session policy: JSON, or file://PATH"},
		{"policy-arns", "ARN", "Managed session policy, as ARN or arn=ARN; repeatable"},
		{"tags", "K=V", "Session tag, as K=V or Key=K,Value=V; repeatable"},
		{"transitive-tag-keys", "KEY", "Session tag that later roles of the chain inherit; repeatable"},
		{"source-identity", "NAME", "Source identity that CloudTrail shows through the chain"},
		{"provided-contexts", "CONTEXT", "ProviderArn=ARN,ContextAssertion=TEXT; repeatable"},
		{"expect-account", "ID", "Fail unless the identity that comes out is of this account"},
	}},
	{"MFA (else a prompt on the terminal):", [][3]string{
		{"serial-number", "ARN", "MFA device; default the profile's mfa_serial"},
		{"token-code", "CODE", "MFA code, good for one use"},
		{"mfa-command", "COMMAND", "Shell command whose output's last 6-digit number is the MFA code"},
	}},
	{"Base credentials (else the AWS SDK's default chain):", [][3]string{
		{"profile", "NAME", "Profile of ~/.aws/config that yields the base credentials"},
		{"region", "REGION", "Region of STS and of the command"},
		{"web-identity-token-file", "FILE",
			"Web identity token that buys the first --role-arn; read again at every refresh"},
		{"web-identity-token-command", "COMMAND", "Shell command that prints such a token"},
		{"web-identity", "ISSUER", "Where such a token is asked for: github-actions"},
		{"audience", "NAME", "Audience of the --web-identity token; default sts.amazonaws.com"},
		{"credential-command", "COMMAND", "Shell command that prints credential_process JSON"},
		{"iot-endpoint", "HOST", "AWS IoT credential provider endpoint, with the five below"},
		{"iot-role-alias", "NAME", "Role alias to ask it for"},
		{"iot-certificate", "FILE", "Device certificate, PEM"},
		{"iot-private-key", "FILE", "Its private key, PEM, not encrypted"},
		{"iot-thing-name", "NAME", "Thing name, if the policy asks for it"},
		{"iot-ca", "FILE", "PEM file of the roots that the endpoint is verified against"},
		{"no-session", "", "Without a role: hand long-term keys to the command as variables, instead of a session"},
		{"must-last", "DURATION", "Fail at the start unless the credentials can be renewed unattended for so long"},
	}},
	{"STS client (brs-exec's own; the command does not see it):", [][3]string{
		{"sts-endpoint-url", "URL", "STS to ask; http only on loopback"},
		{"ca-bundle", "FILE", "PEM file of the roots that STS is verified against"},
		{"use-fips-endpoint", "", "Ask STS's FIPS endpoint"},
		{"use-dualstack-endpoint", "", "Ask STS's dual-stack endpoint"},
		{"connect-timeout", "DURATION", "Longest wait for a connection; default 5s"},
		{"read-timeout", "DURATION", "Longest wait for an answer; default 10s"},
		{"start-timeout", "DURATION", "All that the first credentials may take, retries included; default 30s"},
		{"retry-denied", "DURATION",
			"How long AccessDenied counts as passing at the start, for a role made seconds ago"},
	}},
	{"Serving:", [][3]string{
		{"max-ttl", "DURATION", "Tell the command that each answer expires at most this far ahead"},
		{"port", "PORT", "Port of the endpoint; default any free one"},
		{"lazy", "", "Fetch nothing that nobody asked for: past half of the life an answer starts the refresh"},
		{"token-in", "WHERE", "Give the endpoint token by variable (env), by file, or both; default both"},
		{"same-user", "", "Answer no other user of this machine but root (Linux)"},
		{"allow-host", "NAME", "Further Host header to answer; repeatable"},
	}},
	{"Command:", [][3]string{
		{"pty", "", "Give the command a terminal of its own"},
		{"kill-after", "DURATION", "Send KILL this long after the first TERM, INT, HUP or QUIT that was passed on"},
		{"on-wrapper-death", "SIGNAL",
			"What the command gets if brs-exec is killed: term, hup, kill or none; default term (Linux)"},
		{"start-early", "", "Start the command while the role is still being assumed; its first request waits"},
		{"deliver", "WAYS",
			"How the command gets its credentials: endpoint, process, file, env, or several with commas; " +
				"default endpoint"},
		{"no-isolation", "", "Leave the AWS files visible to the command, for one that needs other profiles"},
		{"allow-imds", "", "Let the command's SDK ask the instance metadata service"},
	}},
	{"Telling:", [][3]string{
		{"log-level", "LEVEL", "error, warn, info or debug; default warn"},
		{"log-format", "FORMAT", "text or json; default text"},
		{"log-file", "FILE", "Append messages to FILE (made 0600) instead of stderr"},
		{"whoami", "", "Run nothing: print as JSON who the command would be"},
		{"explain", "", "Run nothing: print why it works or doesn't, and what to type; no secret is in it"},
		{"output", "FORMAT", "text or json, of --explain; default text"},
		{"export", "", "Run nothing: print the credentials once, as credential_process does"},
		{"format", "FORMAT",
			"Format of --export: process, env, env-no-export, fish, powershell, windows-cmd; default process"},
		{"rehearse", "DURATION",
			"Tell the command that each answer expires so soon; at the end, tell which processes refresh (Linux)"},
		{"rehearse-fail", "", "Exit with 124 if a process of the rehearsal would fail"},
		{"version", "", "Print the version"},
		{"help", "", "Print this help"},
	}},
	{"Trying:", [][3]string{
		{"sandbox", "", "Use an embedded STS on loopback: no AWS account needed; without a command a demonstration"},
		{"sandbox-ttl", "DURATION", "Life of the sandbox's credentials; default 15m"},
	}},
}

// describe puts the manual into kong's model, which makes the page of it.
func describe(k *kong.Kong) error {
	known := make(map[string]*kong.Flag)
	for _, f := range k.Model.Flags {
		known[f.Name] = f
	}
	ordered := k.Model.Flags[:0:0]
	for _, group := range manual {
		g := &kong.Group{Key: group.title, Title: group.title}
		for _, entry := range group.flags {
			f := known[entry[0]]
			if f == nil {
				return fmt.Errorf("the manual describes --%s, which is no flag", entry[0])
			}
			f.Group, f.PlaceHolder, f.Help = g, entry[1], entry[2]
			if !f.Tag.Has("novar") {
				f.Help += " ($" + variable(f.Name) + ")"
			}
			ordered = append(ordered, f)
		}
	}
	k.Model.Flags = ordered
	k.Model.Positional[0].Help = "Program to run, with its arguments"
	return nil
}

// help is the page that --help shows.
func help() (string, error) {
	var page strings.Builder
	k, err := kong.New(new(cli),
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
