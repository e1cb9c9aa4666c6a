package main

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"brs-exec/internal/hint"
)

// listenable are the addresses outside of loopback to which SDKs speak plain http: those of ECS and
// of EKS Pod Identity.
var listenable = []string{"169.254.170.2", "169.254.170.23", "[fd00:ec2::23]"}

// parseListen reads --listen.
func (c *cli) parseListen() error {
	switch {
	case c.listen == "":
		return nil
	case !slices.Contains(listenable, c.listen):
		return hint.Errorf("one of "+strings.Join(listenable, ", "),
			"%s: SDKs take no plain http from %q", c.given("listen"), c.listen)
	}
	c.server.Addr = netip.MustParseAddr(strings.Trim(c.listen, "[]"))
	return nil
}

// listenRules refuse an address at which nobody is served.
func (c *cli) listenRules() []rule {
	if c.listen == "" {
		return nil
	}
	given := c.given("listen")
	return []rule{
		{c.runsNothing() && !c.explain, given + " needs a run that serves", "give a command, or drop it"},
		{c.share == "" && !c.delivery.served(), given + " is the endpoint's, which this --deliver leaves out",
			"add --share DIR, or drop " + given},
		{c.source.NoSession, c.given("no-session") + " hands the keys over as variables, and an endpoint has none",
			"drop " + given + ", or " + c.given("no-session")},
	}
}

// notTheBase refuses --listen where the base credentials themselves come from that address: in a
// task of ECS, in a pod of EKS.
func (c *cli) notTheBase(env []string) error {
	base, err := url.Parse(getenv(env, endpointVariable))
	relative := getenv(env, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") != ""
	own := err == nil && base.Hostname() == strings.Trim(c.listen, "[]")
	if c.listen == "" || !own && !(relative && c.listen == listenable[0]) {
		return nil
	}
	return hint.Errorf("run it where that is not an ECS task's or a pod's own endpoint",
		"%s %s: that is where this environment's own credentials come from", c.given("listen"), c.listen)
}
