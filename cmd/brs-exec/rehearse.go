package main

import (
	"fmt"
	"io"
	"time"

	"brs-exec/internal/ecsserver"
	"brs-exec/internal/message"
	"brs-exec/internal/procfs"
	"brs-exec/internal/rehearse"
	"brs-exec/internal/runner"
)

// shortestRehearsal is two seconds, since advertised expiries are whole seconds: a life may be one
// shorter than was asked for.
const shortestRehearsal = 2 * time.Second

// rehearsalRules refuse what could only end in a verdict that says nothing.
func (c *cli) rehearsalRules() []rule {
	if c.rehearse == 0 {
		return []rule{{c.rehearseFail, c.given("rehearse-fail") + " is for a rehearsal", "add --rehearse 1m"}}
	}
	given := c.given("rehearse")
	blind := rehearse.Blind()
	return []rule{
		{!rehearse.Supported, given + ": only Linux tells which process fetched", "leave it out, or rehearse on Linux"},
		{c.rehearseFail && rehearse.Supported && blind != nil,
			fmt.Sprintf("%s could not fail: no connection can be seen here (%v)", c.given("rehearse-fail"), blind),
			"drop it and look at the verdicts, or rehearse where the kernel has inet_diag"},
		{c.rehearse < shortestRehearsal,
			fmt.Sprintf("%s %v is too short: expiries are whole seconds", given, c.rehearse),
			"--rehearse 1m; SDKs that fetch late need 10s or more"},
		{c.runsNothing(), given + " needs a command to watch", "give one, or drop --rehearse"},
		// The process of --deliver process fetches in the program's place.
		{!c.delivery.endpoint, given + " watches who fetches from the endpoint, which this --deliver leaves out",
			"drop --deliver, or --rehearse"},
		{c.source.NoSession, given + " watches who fetches; --no-session hands the keys over as variables",
			"drop --no-session, or --rehearse"},
	}
}

// rehearsal has the server tell a watch who fetches, and shortens what it advertises. It is nil
// without --rehearse.
func (s *session) rehearsal(o *ecsserver.Options) *rehearse.Watch {
	if s.flags.rehearse == 0 {
		return nil
	}
	watch := rehearse.New()
	o.Watch = func(f ecsserver.Fetch) {
		if f.Profile != "" { // our own process fetched, for whoever has it as credential_process
			f.PID = procfs.Caller(f.PID, fetchFlag)
		}
		watch.Fetched(f.PID, f.Profile, f.Expires, f.Ends)
	}
	if o.MaxTTL == 0 || s.flags.rehearse < o.MaxTTL {
		o.MaxTTL = s.flags.rehearse
	}
	return watch
}

// tellVerdicts prints what the rehearsal showed and returns the run's status.
func (s *session) tellVerdicts(w io.Writer, watch *rehearse.Watch, status runner.Status) runner.Status {
	if watch == nil {
		return status
	}
	verdicts := watch.Verdicts()
	for _, v := range verdicts {
		fmt.Fprintf(w, "brs-exec: rehearsal: %s\n", message.OneLine(v.String()))
		if v.Kind == rehearse.WouldFail && s.flags.rehearseFail {
			status = runner.RunFailed
		}
	}
	if len(verdicts) == 0 {
		fmt.Fprintf(w, "brs-exec: rehearsal: no process fetched credentials: not exercised: "+
			"must run until it calls AWS, and then longer than %v\n", s.flags.rehearse)
	}
	return status
}
