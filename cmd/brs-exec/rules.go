package main

import (
	"fmt"
	"slices"
	"time"

	"brs-exec/internal/message"
)

// A rule refuses what no single flag can know to be wrong: flags that can't go together, values
// that can't be.
type rule struct {
	broken     bool
	text, hint string
}

// check returns the first rule that is broken.
func (c *cli) check() error {
	if c.DemoClient != 0 {
		return nil
	}
	rules := slices.Concat(c.taskRules(), c.valueRules(), c.rehearsalRules(), c.sandboxRules(), c.deliveryRules())
	for _, r := range rules {
		if r.broken {
			return message.Errorf(r.hint, "%s", r.text)
		}
	}
	return nil
}

// runsNothing says that what is asked needs no command.
func (c *cli) runsNothing() bool { return c.Whoami || c.Explain || c.Export }

// taskRules refuse two things that are asked at once, and none.
func (c *cli) taskRules() []rule {
	hasCommand := len(c.Command) > 0
	return []rule{
		{c.Whoami && hasCommand, "--whoami runs no command", "drop the command, or --whoami"},
		{c.Output != "" && !c.Explain, "--output is for --explain", "drop it, or add --explain"},
		{c.Explain && hasCommand, "--explain runs no command", "drop the command, or --explain"},
		{c.Explain && c.Whoami, "--explain and --whoami are two things",
			"drop one: --explain tells all that --whoami does"},
		{c.Export && hasCommand, "--export runs no command", "drop the command, or --export"},
		{c.Export && c.Whoami, "--export and --whoami each print something else", "drop one"},
		{c.Format != "process" && !c.Export, "--format is for --export", "add --export, or drop --format"},
		{c.Export && c.Explain, "--export and --explain each print something else", "drop one"},
		{!hasCommand && !c.runsNothing() && !c.Sandbox, "no command to run",
			`-- "$SHELL" runs a shell; --help lists the flags`},
	}
}

func (c *cli) valueRules() []rule {
	return []rule{
		{c.Port < 0 || c.Port > 65535, fmt.Sprintf("%s %d: a port is 0 to 65535", c.given("port"), c.Port),
			"leave it out: any free port will do"},
		{c.MaxTTL != 0 && c.MaxTTL < time.Second,
			fmt.Sprintf("%s %v: an expiry is a whole second", c.given("max-ttl"), c.MaxTTL),
			"--max-ttl 15m, or leave it out"},
	}
}

func (c *cli) sandboxRules() []rule {
	return []rule{
		{c.SandboxTTL != 0 && c.SandboxTTL < demoLife,
			fmt.Sprintf("%s %v is too short: expiries are whole seconds", c.given("sandbox-ttl"), c.SandboxTTL),
			fmt.Sprintf("--sandbox-ttl %v, or longer", demoLife)},
		{c.Sandbox && c.STSEndpointURL != "", "--sandbox is an STS of its own",
			"drop --sts-endpoint-url, or --sandbox"},
		{c.SandboxTTL != 0 && !c.Sandbox, c.given("sandbox-ttl") + " is for the sandbox only", "add --sandbox"},
		{c.NoSession && c.StartEarly, c.given("no-session") + " needs the keys before the command starts",
			"drop --start-early"},
		{c.Sandbox && c.Profile != "", "--sandbox has base credentials of its own", "drop --profile, or --sandbox"},
	}
}
