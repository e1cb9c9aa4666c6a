package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"brs-exec/internal/hint"
	"brs-exec/internal/runner"
)

// A rule refuses what no single flag can know to be wrong: flags that can't go together, values
// that can't be.
type rule struct {
	broken     bool
	text, hint string
}

// check returns the first rule that is broken.
func (c *cli) check() error {
	for _, r := range slices.Concat(c.rules(), c.rehearsalRules(), c.deliveryRules(), c.shareRules(),
		c.serveRules(), c.listenRules(), c.lingerRules(), c.profileRules(), c.platformRules()) {
		if r.broken {
			return hint.Errorf(r.hint, "%s", r.text)
		}
	}
	return nil
}

// runsNothing says that what is asked needs no command.
func (c *cli) runsNothing() bool { return c.whoami || c.explain || c.export || c.ready }

// rules refuse two tasks at once, or none, and flags that have no sense without another.
func (c *cli) rules() []rule {
	hasCommand := len(c.runner.Args) > 0
	return []rule{
		{c.whoami && hasCommand, "--whoami runs no command", "drop the command, or --whoami"},
		{c.ready && (hasCommand || c.whoami || c.explain || c.export || c.serve), "--ready does nothing else",
			"drop the command and what else is asked, or --ready"},
		{c.output != "" && !c.explain, "--output is for --explain", "drop it, or add --explain"},
		{c.explain && hasCommand, "--explain runs no command", "drop the command, or --explain"},
		{c.explain && c.whoami, "--explain and --whoami are two things",
			"drop one: --explain tells all that --whoami does"},
		{c.export && hasCommand, "--export runs no command", "drop the command, or --export"},
		{c.export && c.whoami, "--export and --whoami each print something else", "drop one"},
		{c.format != "process" && !c.export, "--format is for --export", "add --export, or drop --format"},
		{c.export && c.explain, "--export and --explain each print something else", "drop one"},
		{!hasCommand && !c.runsNothing() && !c.sandbox && !c.serve, "no command to run",
			shellExample + " runs a shell; --help lists the flags"},
		{c.server.Port < 0 || c.server.Port > 65535,
			fmt.Sprintf("%s %d: a port is 0 to 65535", c.given("port"), c.server.Port),
			"leave it out: any free port will do"},
		{c.server.MaxTTL != 0 && c.server.MaxTTL < time.Second,
			fmt.Sprintf("%s %v: an expiry is a whole second", c.given("max-ttl"), c.server.MaxTTL),
			"--max-ttl 15m, or leave it out"},
		{c.sandboxTTL != 0 && c.sandboxTTL < demoLife,
			fmt.Sprintf("%s %v is too short: expiries are whole seconds", c.given("sandbox-ttl"), c.sandboxTTL),
			fmt.Sprintf("--sandbox-ttl %v, or longer", demoLife)},
		{c.sandbox && c.source.STSEndpointURL != "", "--sandbox is an STS of its own",
			"drop --sts-endpoint-url, or --sandbox"},
		{c.sandboxTTL != 0 && !c.sandbox, c.given("sandbox-ttl") + " is for the sandbox only", "add --sandbox"},
		{c.source.NoSession && c.startEarly, c.given("no-session") + " needs the keys before the command starts",
			"drop --start-early"},
		{c.source.NoSession && c.sandbox, c.given("no-session") + " is for keys without a role, and --sandbox has one",
			"drop one"},
		{c.expectAccount != "" && !isAccount(c.expectAccount),
			fmt.Sprintf("%s %q is no account", c.given("expect-account"), c.expectAccount),
			"an account is 12 digits: aws sts get-caller-identity shows yours"},
		{c.setBy["on-wrapper-death"] != "" && !slices.Contains(runner.Deaths, c.runner.OnWrapperDeath),
			fmt.Sprintf("%s %s: this system can't do that", c.given("on-wrapper-death"), c.runner.OnWrapperDeath),
			"leave it out; here it can be " + strings.Join(runner.Deaths, ", ")},
		c.sandboxAlone(),
	}
}

func isAccount(s string) bool { return len(s) == 12 && strings.Trim(s, "0123456789") == "" }

// baseFlags are those that each say whose credentials to begin with.
var baseFlags = []string{
	"profile", "web-identity-token-file", "web-identity-token-command", "web-identity", "credential-command",
	"from-share", "iot-endpoint", "iot-role-alias", "iot-certificate", "iot-private-key", "iot-thing-name", "iot-ca",
}

// sandboxAlone refuses a base beside that of the sandbox.
func (c *cli) sandboxAlone() rule {
	i := slices.IndexFunc(baseFlags, func(name string) bool { return c.setBy[name] != "" })
	if !c.sandbox || i < 0 {
		return rule{}
	}
	given := c.given(baseFlags[i])
	return rule{true, "--sandbox has base credentials of its own", "drop " + given + ", or --sandbox"}
}
