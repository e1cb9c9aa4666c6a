package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec/internal/awsconfig"
	"brs-exec/internal/childenv"
	"brs-exec/internal/refresh"
	"brs-exec/internal/runner"
	"brs-exec/internal/source"
)

// explanation is the page of --explain, and with --output json the JSON. It is
// meant to be pasted into an issue: nothing secret goes in, nor anything that may
// hold a secret (command lines, external ids, policies, URLs).
type explanation struct {
	Works  bool
	Error  string   `json:",omitempty"` // why it doesn't
	Remedy []string // what to type, or that there is nothing to do; never empty

	Account, Arn, UserId string     `json:",omitempty"` //nolint:revive // AWS's spelling, as in --whoami
	Source               string     `json:",omitempty"`
	STS                  string     `json:",omitempty"`            // which one is asked
	AccessKeyID          string     `json:"AccessKeyId,omitempty"` // its last four characters
	Expiration           *time.Time `json:",omitempty"`            // absent: never, as far as is known
	RenewableUntil       *time.Time `json:",omitempty"`            // absent: no end is known
	Life                 float64    `json:",omitempty"`            // seconds that are left
	RefreshAfter         []float64  `json:",omitempty"`            // seconds, from and to
	ClockAhead           *float64   `json:",omitempty"`            // seconds, of STS's; absent: STS was not asked

	Candidates []source.Candidate // where the chain could begin, in order
	Steps      []step
	Outranking []childenv.Rival // what the command is kept from
	Messages   []string         // what a run would say on stderr
	Version    string
	Platform   string

	endless bool // a session that doesn't say when it ends
	raw     bool // keys that --no-session hands over
	frozen  bool // the command has them as variables alone
}

// step is one of the chain's. What has not been reached took no time.
type step struct {
	Name         string
	Outcome      string // ok, or one of those below
	Milliseconds int64
	Error        string `json:",omitempty"`
	Hint         string `json:",omitempty"`

	kind source.StepKind
}

// explain asks once for what a run would ask for, and prints what came of it.
// The status is that of --whoami.
func (c *cli) explain(ctx context.Context, env []string, w io.Writer) (runner.Status, error) {
	c.StartEarly = false
	x := &explanation{Version: version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, Steps: []step{}}
	var said bytes.Buffer
	log, err := c.onPage(&said)
	if err != nil {
		return runner.Failed, err
	}
	o := c.sourceOptions(env, log)
	x.Candidates = source.Candidates(ctx, o)
	t := &trace{}
	o.Trace = t.add
	src, err := source.New(ctx, o)
	if err == nil {
		defer src.Close()
		s := &session{cli: c, src: src, creds: refresh.New(src, c.once(src, log)), log: log}
		err = x.ask(ctx, s, env)
		t.add(source.Step{}) // what comes later, from a call that was given up, comes too late
		err = t.better(err)
		x.Steps = t.told(src.Steps(), err)
	}
	if ctx.Err() != nil {
		return runner.Failed, context.Cause(ctx)
	}
	config, credentials, tooLarge := awsconfig.Locate(env).Read()
	if err == nil {
		err = tooLarge
	}
	x.Outranking = childenv.Rivals(env, config, credentials)
	for i, r := range x.Outranking {
		if r.InFile && c.NoIsolation {
			x.Outranking[i].Does = "--no-isolation leaves the file: refused"
		}
	}
	if x.raw {
		x.Outranking = []childenv.Rival{} // there is no endpoint
	}
	x.Messages = messages(said.String())
	x.judge(c, err, childenv.Warnings(env))
	if err := x.print(c, w); err != nil {
		return runner.Failed, err
	}
	return exitStatus(err), nil
}

// onPage makes a logger for what a run would say at its start.
func (c *cli) onPage(w io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		return nil, err
	}
	return slog.New(&lineHandler{w: w, level: level, mu: new(sync.Mutex)}), nil
}

func messages(said string) []string {
	lines := []string{}
	for line := range strings.Lines(said) {
		lines = append(lines, oneLine(strings.TrimPrefix(strings.TrimSpace(line), "brs-exec: ")))
	}
	return lines
}

// once makes the start one attempt, which may take all of the time: refresh gives
// an attempt a quarter of what is left. Each call of it has --read-timeout.
func (c *cli) once(src *source.Source, log *slog.Logger) refresh.Options {
	o := c.refresh(src, log)
	all := cmp.Or(c.StartTimeout, 30*time.Second)
	o.StartTimeout, o.ReadTimeout, o.RetryDenied = 4*all, all, 0
	o.Permanent = func(error) bool { return true }
	return o
}

// ask gets the credentials, and has STS say whose they are.
func (x *explanation) ask(ctx context.Context, s *session, env []string) error {
	x.Source, x.STS = s.src.Describe(), s.src.STS()
	err := s.begin(ctx)
	x.clock(s.src.Skew())
	if end := s.src.RenewableUntil(); !end.IsZero() {
		x.RenewableUntil = wholeSeconds(end)
	}
	if err != nil {
		return err
	}
	creds, err := s.creds.Retrieve(ctx)
	if err != nil {
		return err
	}
	x.frozen = s.delivery == delivery{env: true}
	x.life(creds, s.NoSession)
	if err := s.takeKeys(); err != nil {
		return err
	}
	if _, err := s.settings(env); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(s.ReadTimeout, 10*time.Second))
	defer cancel()
	x.Account, x.Arn, x.UserId, err = s.src.CallerIdentity(ctx, creds)
	x.clock(s.src.Skew())
	if err != nil && (source.Denied(err) || !refused(err)) {
		s.log.Warn("the credentials are there, but STS doesn't say whose they are", "error", err)
		x.Account, err = creds.AccountID, nil
	}
	return err
}

// refused: STS itself does not accept the credentials. Without STS they may be good.
func refused(err error) bool {
	var answer interface{ ErrorCode() string }
	return source.Permanent(err) && errors.As(err, &answer)
}

func (x *explanation) clock(skew time.Duration) {
	if skew != 0 {
		s := coarse(skew).Seconds()
		x.ClockAhead = &s
	}
}

func (x *explanation) life(creds aws.Credentials, raw bool) {
	x.AccessKeyID = "…" + tail(creds.AccessKeyID)
	if !creds.CanExpire {
		x.endless, x.raw = creds.SessionToken != "", raw && creds.SessionToken == ""
		return
	}
	life := coarse(time.Until(creds.Expires.Round(0)))
	x.Expiration, x.Life = wholeSeconds(creds.Expires), life.Seconds()
	if x.frozen {
		return
	}
	from, to := refresh.Window(life)
	x.RefreshAfter = []float64{coarse(from).Seconds(), coarse(to).Seconds()}
}

// coarse takes off what STS's whole seconds and the way to it add or take.
func coarse(d time.Duration) time.Duration {
	if d.Abs() < time.Minute {
		return d.Round(time.Second)
	}
	return d.Round(5 * time.Second)
}

// judge writes the verdict, and what to type.
func (x *explanation) judge(c *cli, err error, unkept []string) {
	x.Works = err == nil
	x.Messages = append(x.Messages, unkept...)
	if err != nil {
		x.Error = oneLine(err.Error())
		x.Remedy = append(x.Remedy, cmp.Or(hintOf(err), "nothing is known that cures it; below is how it came"))
		switch again := x.retried(c, err); {
		case again > 0 && errors.Is(err, context.DeadlineExceeded):
			x.Remedy = append(x.Remedy, "or give it longer than "+short(again)+": --start-timeout")
		case again > 0:
			x.Remedy = append(x.Remedy, "or wait: it may pass, and a run tries again for "+short(again))
		}
	}
	if x.ClockAhead != nil && time.Duration(*x.ClockAhead*float64(time.Second)).Abs() > time.Minute {
		x.Remedy = append(x.Remedy, "set this machine's clock (timedatectl set-ntp true): it is "+x.clockText())
	}
	for _, w := range unkept {
		x.Remedy = append(x.Remedy, "take these options out: "+w)
	}
	if !x.Works {
		return
	}
	x.meant()
	if c.TokenCode != "" {
		x.Remedy = append(x.Remedy, "a new --token-code for the run: this one is used up")
	}
	if names := x.hidden(); names != "" {
		x.Remedy = append(x.Remedy, "nothing about "+names+": brs-exec keeps the command from it")
	}
	x.Remedy = append(x.Remedy, "give the command in place of --explain: -- COMMAND")
}

// retried is how long a run would try again: if it was a step that failed, and not
// the one that a person is asked in.
func (x *explanation) retried(c *cli, err error) time.Duration {
	switch {
	case !slices.ContainsFunc(x.Steps, func(s step) bool { return s.Outcome == failed && s.kind != source.CodeStep }):
		return 0
	case source.Denied(err):
		return c.RetryDenied
	case source.Permanent(err):
		return 0
	}
	return cmp.Or(c.StartTimeout, 30*time.Second)
}

// meant is for those whose AWS_PROFILE has no effect, as variables outrank it.
func (x *explanation) meant() {
	by := ""
	for _, r := range x.Candidates {
		switch {
		case r.State == source.Chosen && (r.Kind == source.KeyVariables || r.Kind == source.TokenVariable):
			by = r.Name
		case r.State == source.Outranked && r.Variable != "" && by != "":
			x.Remedy = append(x.Remedy, fmt.Sprintf("if profile %[1]s was meant: --profile %[1]s, since %[2]s outranks %[3]s", oneLine(r.Profile), by, r.Variable))
		}
	}
}

// hidden are the names of what the command is kept from.
func (x *explanation) hidden() string {
	var names []string
	for _, r := range x.Outranking {
		name, _, _ := strings.Cut(r.Name, " (")
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}

// trace collects the steps. One that was given up may end when nobody waits for it
// any more.
type trace struct {
	mu    sync.Mutex // guards the rest
	steps []source.Step
	over  bool
}

func (t *trace) add(s source.Step) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over = t.over || s.Kind == 0; !t.over {
		t.steps = append(t.steps, s)
	}
}

// better is what a step says of its end, where the attempt's end alone is known:
// it came a moment later.
func (t *trace) better(err error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := len(t.steps); n > 0 && t.steps[n-1].Err != nil && errors.Is(err, context.DeadlineExceeded) && hintOf(err) == "" {
		return t.steps[n-1].Err
	}
	return err
}

const (
	failed    = "failed"
	unreached = "not reached"
)

// told are the steps in their order, those last that did not come. One that was
// cut off by --start-timeout has failed with the whole.
func (t *trace) told(announced []source.Step, err error) (out []step) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fell := false
	for _, s := range t.steps {
		announced = slices.DeleteFunc(announced, func(a source.Step) bool { return a.Kind == s.Kind && a.What == s.What })
		told := step{Name: oneLine(s.What), Outcome: "ok", Milliseconds: s.Took.Milliseconds(), kind: s.Kind}
		if s.Err != nil {
			told.Outcome, told.Error, told.Hint = failed, oneLine(s.Err.Error()), hintOf(s.Err)
			fell = true
		}
		out = append(out, told)
	}
	for i, s := range announced {
		told := step{Name: oneLine(s.What), Outcome: unreached, kind: s.Kind}
		if i == 0 && !fell && errors.Is(err, context.DeadlineExceeded) {
			told.Outcome, told.Error, told.Hint = failed, oneLine(err.Error()), hintOf(err)
		}
		out = append(out, told)
	}
	return out
}

func (x *explanation) print(c *cli, w io.Writer) error {
	for i, r := range x.Candidates {
		x.Candidates[i].Name, x.Candidates[i].Why = oneLine(r.Name), oneLine(r.Why)
	}
	x.Source = oneLine(x.Source)
	if c.Output != "json" {
		_, err := io.WriteString(w, x.text(c, colourful(w, os.Environ())))
		return err
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "    ")
	return e.Encode(x)
}
