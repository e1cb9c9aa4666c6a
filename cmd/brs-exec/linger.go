package main

import (
	"fmt"
	"slices"
	"time"

	"golang.org/x/term"

	"brs-exec/internal/procfs"
	"brs-exec/internal/runner"
)

// lingerRules refuse --linger where nobody could be waited for.
func (c *cli) lingerRules() []rule {
	if c.linger == 0 {
		return nil
	}
	given := c.given("linger")
	return []rule{
		{!procfs.Supported, given + ": this system doesn't tell who has the endpoint", "leave it out"},
		{!c.delivery.served() && !c.runsNothing(), given + " is for processes that ask the endpoint",
			"add --deliver endpoint, or drop " + given},
	}
}

// lingerLook is how often we look whether those that are waited for have ended.
const lingerLook = 200 * time.Millisecond

// stayFor serves on, up to --linger, while processes are left that have the endpoint. A signal that
// asks us to end ends it at once. The command's status stays.
func (s *session) stayFor(k *keptPort, sigs *runner.Signals) {
	if s.flags.linger == 0 || k.command == 0 {
		return
	}
	if k.look(); !k.stillThere() {
		return
	}
	asked := sigs.AskedToEnd() // from now on: what ended the command may have come to us as well
	if term.IsTerminal(2) {
		s.log.Warn(fmt.Sprintf("serving for up to %v on for %s; Ctrl-C ends it", s.flags.linger, k.whoIsLeft()))
	}
	end, tick := time.After(s.flags.linger), time.Tick(lingerLook)
	for len(k.left) > 0 {
		select {
		case <-asked:
			return
		case <-end:
			return
		case <-tick:
		}
		runner.Reap()
		if !slices.ContainsFunc(k.left, procfs.Process.Runs) {
			k.look() // they may have children
		}
	}
}
