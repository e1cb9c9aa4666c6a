package main

import "strings"

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

// withoutVariable are the flags that say what this one run does, and configure nothing; help.go's
// variables names them.
var withoutVariable = []string{
	"token-code", "whoami", "explain", "output", "export", "format", "version", "help", "sandbox",
	"serve", "ready", "completion",
}

// choices are the values of the flags that have but a few.
var choices = map[string][]string{
	"token-in":         {"both", "env", "file"},
	"on-wrapper-death": {"term", "hup", "kill", "none"},
	"on-rotation":      {"HUP", "USR1", "USR2"},
	"log-level":        {"error", "warn", "info", "debug"},
	"log-format":       {"text", "json"},
	"output":           {"text", "json"},
	"completion":       {"bash", "zsh", "fish"},
	"format":           {"process", "env", "env-no-export", "fish", "powershell", "windows-cmd"},
}

// common are the flags that -h shows, in the order of --help.
var common = []string{
	"role-arn", "duration-seconds", "external-id", "expect-account", "mfa-command", "profile", "region",
	"web-identity", "must-last", "deliver", "share", "from-share", "serve", "with-profile",
	"whoami", "explain", "export", "log-level", "log-file", "rehearse", "sandbox",
}

// groups are all flags, in the order of --help. Names are those of `aws sts assume-role` and the aws
// cli.
func (c *cli) groups() []group {
	return append(c.credentialGroups(), c.commandGroups()...)
}

// credentialGroups say whose the credentials are, and how they are had.
func (c *cli) credentialGroups() []group {
	o := &c.source
	return []group{{"Role", []*option{
		{"role-arn", "ARN", "Role to assume; repeat it for a chain, in order", &o.RoleARNs},
		{"role-session-name", "NAME",
			"Name of the session in CloudTrail; default $AWS_ROLE_SESSION_NAME, else brs-exec-USER-HOST-JOB",
			&o.RoleSessionName},
		{"duration-seconds", "DURATION", "Lifetime of the credentials to ask for; default 3600 s", &o.Duration},
		{"external-id", "ID", "External ID that the role's trust policy asks for", &o.ExternalID},
		{"policy", "JSON", "Session policy that narrows the role: JSON, or file://PATH", &o.Policy},
		{"policy-arns", "ARN", "Managed policy that narrows the role, as ARN or arn=ARN; repeatable", &o.PolicyARNs},
		{"tags", "K=V", "Session tag, as K=V or Key=K,Value=V; repeatable", &o.Tags},
		{"transitive-tag-keys", "KEY", "Session tag that the later roles of a chain keep; repeatable",
			&o.TransitiveTagKeys},
		{"source-identity", "NAME", "Source identity, which CloudTrail shows for the whole chain", &o.SourceIdentity},
		{"provided-contexts", "CONTEXT",
			"Context that an identity provider asserts: ProviderArn=ARN,ContextAssertion=TEXT; repeatable",
			&o.ProvidedContexts},
		{"expect-account", "ID", "Refuse the credentials of any other account; STS says whose they are",
			&c.expectAccount},
		{"allow-identity-change", "", "Go on if a refresh gives another role or user than the first credentials",
			&c.allowIdentityChange},
		{"serial-number", "ARN", "MFA device; its code is asked for on the terminal; default the profile's",
			&o.SerialNumber},
		{"token-code", "CODE", "MFA code, good for one use", &o.TokenCode},
		{"mfa-command", "COMMAND", "Shell command that prints the MFA code (the last 6 digits of its output)",
			&o.MFACommand},
	}}, {"Base credentials", []*option{
		{"profile", "NAME", "Profile of ~/.aws/config to use; default the AWS SDK's own order", &o.Profile},
		{"region", "REGION", "Region of STS and of the command", &o.Region},
		{"web-identity-token-file", "FILE",
			"Web identity token for the first role; read again at every refresh", &o.WebIdentityTokenFile},
		{"web-identity-token-command", "COMMAND", "Shell command that prints a web identity token",
			&o.WebIdentityTokenCommand},
		{"web-identity", "ISSUER", "Ask the CI system for a web identity token: github-actions", &o.WebIdentity},
		{"audience", "NAME", "Audience of the token of --web-identity; default sts.amazonaws.com", &o.Audience},
		{"credential-command", "COMMAND", "Shell command that prints credentials, as a credential_process does",
			&o.CredentialCommand},
		{"no-session", "", "Give long-term keys to the command as they are, as variables; without a role only",
			&o.NoSession},
		{"must-last", "DURATION", "Fail at the start unless refreshes will work for so long with nobody there",
			&c.mustLast},
	}}, {"IoT", []*option{
		{"iot-endpoint", "HOST", "AWS IoT's credential provider endpoint; the device asks it by its certificate",
			&o.IoTEndpoint},
		{"iot-role-alias", "NAME", "Role alias to ask for", &o.IoTRoleAlias},
		{"iot-certificate", "FILE", "Certificate of the device, PEM", &o.IoTCertificate},
		{"iot-private-key", "FILE", "Its private key, PEM, not encrypted", &o.IoTPrivateKey},
		{"iot-thing-name", "NAME", "Thing name, if the policy asks for it", &o.IoTThingName},
		{"iot-ca", "FILE", "Certificates to trust the endpoint by, PEM", &o.IoTCA},
	}}, {"STS client", []*option{
		{"sts-endpoint-url", "URL", "STS to ask; http only on loopback", &o.STSEndpointURL},
		{"ca-bundle", "FILE", "Certificates to trust STS by, PEM", &o.CABundle},
		{"use-fips-endpoint", "", "Ask STS's FIPS endpoint", &o.UseFIPSEndpoint},
		{"use-dualstack-endpoint", "", "Ask STS's dual-stack endpoint", &o.UseDualstackEndpoint},
		{"connect-timeout", "DURATION", "Longest wait for a connection; default 5s", &o.ConnectTimeout},
		{"read-timeout", "DURATION", "Longest wait for an answer; default 10s", &o.ReadTimeout},
		{"start-timeout", "DURATION", "Longest wait for the first credentials, retries included; default 30s",
			&c.refresh.StartTimeout},
		{"retry-denied", "DURATION", "Retry AccessDenied for so long at the start, for a role made seconds ago",
			&c.refresh.RetryDenied},
	}}}
}

// commandGroups say what is done with the credentials.
func (c *cli) commandGroups() []group {
	s, run := &c.server, &c.runner
	return []group{{"Serving", []*option{
		{"max-ttl", "DURATION", "Longest lifetime to tell the command, so that it asks again sooner", &s.MaxTTL},
		{"port", "PORT", "Port of the endpoint; default any free one", &s.Port},
		{"lazy", "", "Refresh only when the command asks, not in the background", &c.refresh.Lazy},
		{"token-in", "WHERE",
			"How the command gets the endpoint token: by variable (env), by file, or both; default both",
			&c.child.TokenIn},
		{"same-user", "", "Answer no other user of this machine but root (Linux)", &s.SameUser},
		{"allow-host", "NAME", "One more Host header to accept; repeatable", &s.AllowHosts},
	}}, {"Command", []*option{
		{"pty", "", "Give the command a terminal of its own", &run.PTY},
		{"start-early", "", "Start the command before the credentials are there; its first request waits",
			&c.startEarly},
		{"kill-after", "DURATION", "Send KILL this long after the first TERM, INT, HUP or QUIT that was passed on",
			&run.KillAfter},
		{"on-wrapper-death", "SIGNAL",
			"Signal to the command and all it started if brs-exec is killed: term, hup, kill or none; " +
				"default term (Linux)",
			&run.OnWrapperDeath},
		{"no-isolation", "", "Leave the AWS files visible, for a command that needs other profiles of them",
			&c.child.NoIsolation},
		{"allow-imds", "", "Let the command ask the instance metadata service", &c.child.AllowIMDS},
	}}, {"Other programs", []*option{
		{"deliver", "WAYS",
			"How the command gets its credentials: endpoint, process, file or env, several with commas; " +
				"json is a file in the folder of --share; default endpoint", &c.deliver},
		{"on-rotation", "SIGNAL",
			"Signal to the command when a file of --deliver has new keys: HUP, USR1 or USR2 (Linux)", &c.onRotation},
	}}, {"Sharing", []*option{
		{"share", "DIR", "Share the credentials by a folder: a socket, and a file of variables for docker, systemd " +
			"and shells (not on Windows)", &c.share},
		{"from-share", "DIR", "Take the credentials from the folder of another brs-exec's --share, or its socket " +
			"(not on Windows)", &c.source.FromShare},
		{"listen", "ADDR", "Serve for containers as well, at the address of their network: " +
			strings.Join(listenable, ", "), &c.listen},
		{"serve", "", "Serve the folder of --share without a command, until INT or TERM; " +
			"without a terminal, HUP refreshes", &c.serve},
		{"ready", "", "Fail unless --from-share, or the endpoint in the environment, has valid credentials now; " +
			"runs no command", &c.ready},
		{"linger", "DURATION", "Longest time to keep serving after the command's end, until processes that it left " +
			"have ended (Linux)", &c.linger},
	}}, {"Profiles", []*option{
		{"with-profile", "NAME",
			"Another profile that the command may name; * and ? match several; repeatable", &c.withProfile},
	}}, {"Run nothing", []*option{
		{"whoami", "", "Print as JSON who the command would be", &c.whoami},
		{"explain", "", "Print what works, what does not, and what to type; no secret is in it", &c.explain},
		{"output", "FORMAT", "Format of --explain: text or json; default text", &c.output},
		{"export", "", "Print the credentials once, as a credential_process does", &c.export},
		{"format", "FORMAT",
			"Format of --export: process, env, env-no-export, fish, powershell, windows-cmd; default process",
			&c.format},
		{"completion", "SHELL", "Print the completion script of a shell: bash, zsh or fish", &c.completion},
		{"version", "", "Print the version", &c.version},
		{"help", "", "Print this page; -h prints what is used most", &c.help},
	}}, {"Logging", []*option{
		{"log-level", "LEVEL", "Log from error, warn, info or debug upward; default warn", &c.logLevel},
		{"log-format", "FORMAT", "Format of messages: text or json; default text", &c.logFormat},
		{"log-file", "FILE",
			"Append messages with their times to FILE (0600), not to stderr. An error that ends brs-exec goes to both",
			&c.logFile},
	}}, {"Rehearsal", []*option{
		{"rehearse", "DURATION",
			"Tell the command that its credentials end after DURATION; say at the end which processes refreshed (Linux)",
			&c.rehearse},
		{"rehearse-fail", "", "Exit with 124 if a process of the rehearsal would fail", &c.rehearseFail},
	}}, {"Sandbox", []*option{
		{"sandbox", "", "Use a small STS of brs-exec's own, without an AWS account; without a command, a demonstration",
			&c.sandbox},
		{"sandbox-ttl", "DURATION", "Lifetime of the sandbox's credentials; default 15m", &c.sandboxTTL},
	}}}
}
