package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"brs-exec/internal/message"
	"brs-exec/internal/notify"
	"brs-exec/internal/runner"
)

// serveRules refuse what needs a command, where nothing runs.
func (c *cli) serveRules() []rule {
	if !c.serve {
		return nil
	}
	rules := []rule{
		{c.share == "", "--serve needs a folder to serve from", "--serve --share DIR"},
		{len(c.runner.Args) > 0, "--serve runs no command", "drop the command, or --serve"},
	}
	for _, flag := range []string{
		"pty", "kill-after", "on-wrapper-death", "start-early", "on-rotation", "linger", "no-isolation", "token-in",
		"rehearse", "rehearse-fail",
	} {
		rules = append(rules, rule{c.setBy[flag] != "", c.given(flag) + " is for a command, and --serve runs none",
			"drop " + c.given(flag) + ", or give a command in place of --serve"})
	}
	return append(rules, rule{c.deliver != nil && c.delivery != delivery{endpoint: true, json: true},
		c.given("deliver") + " " + c.deliverList() + " is for a command, and --serve runs none",
		"--deliver json writes a file into the folder"})
}

// server is a run without a command.
type server struct {
	*session
	e       *equipment
	manager notify.Socket
	reopen  func() error // opens --log-file again
	hangups chan struct{}
	said    string // the latest STATUS=
}

// serve serves until INT or TERM.
func (s *session) serve(
	ctx context.Context, sigs *runner.Signals, env []string, reopen func() error,
) (runner.Status, error) {
	lookup := func(name string) string { return getenv(env, name) }
	inherited, err := notify.Listeners(lookup)
	if err != nil {
		return runner.Failed, err
	}
	s.inherited = inherited
	v := &server{session: s, manager: notify.To(lookup), reopen: reopen, hangups: make(chan struct{}, 1)}
	if v.e, err = s.equip(ctx, env); err != nil {
		return runner.Failed, err
	}
	sigs.Serve(v.hangUp)
	ctx, fail := context.WithCancelCause(ctx) // the credentials are there: only a bug of ours fails
	defer fail(nil)
	stop := s.background(v.e, nil, fail)
	v.log.Info("serving", "share", v.e.share.Path("."), "source", s.src.Describe(), "version", version())
	v.loop(ctx)
	status, signalled := sigs.Ended()
	if !signalled {
		status, err = runner.Failed, context.Cause(ctx)
	}
	go exitInTime(status, v.e.cleared)
	v.tell("STOPPING=1")
	stop()
	s.tellSummary(v.e.srv)
	return status, err
}

func (v *server) hangUp() {
	select {
	case v.hangups <- struct{}{}:
	default: // one is under way
	}
}

// loop tells the manager how it stands, until ctx ends.
func (v *server) loop(ctx context.Context) {
	v.tell("READY=1", v.status())
	for ctx.Err() == nil {
		news := v.creds.News()
		if status := v.status(); status != v.said {
			v.tell(status)
		}
		select {
		case <-ctx.Done():
		case <-news:
		case <-v.hangups:
			v.reload(ctx)
		}
	}
}

// reload fetches anew, and opens the log again.
func (v *server) reload(ctx context.Context) {
	v.tell(notify.Reloading()...)
	if err := v.reopen(); err != nil {
		v.log.Warn("the log can't be opened again: messages go where they went", "error", err)
	}
	ctx, cancel := context.WithTimeout(ctx, reloadLimit)
	defer cancel()
	v.creds.Renew(ctx)
	v.tell("READY=1", v.status())
}

// reloadLimit is when a manager is told that the reload is over, whatever the source does: systemd
// gives it up after 90 s.
const reloadLimit = 30 * time.Second

// status is the STATUS= line of `systemctl status`.
func (v *server) status() string {
	state := v.creds.State()
	until := "with no end known"
	if !state.Expires.IsZero() {
		until = "valid until " + state.Expires.UTC().Format(time.RFC3339)
	}
	text := "serving " + v.src.Describe() + ", " + until
	switch expired := !state.Expires.IsZero() && !time.Now().Before(state.Expires); {
	case expired:
		text = "credentials have expired, and there are no new ones: " + fmt.Sprint(state.Err)
	case state.Err != nil:
		text += "; no new ones: " + state.Err.Error()
	}
	return "STATUS=" + message.OneLine(text)
}

func (v *server) tell(states ...string) {
	for _, state := range states {
		if strings.HasPrefix(state, "STATUS=") {
			v.said = state
		}
	}
	if err := v.manager.Send(states...); err != nil {
		v.log.Debug("the service manager can't be told", "error", err)
	}
}
