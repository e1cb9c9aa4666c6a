package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec/internal/awsconfig"
	"brs-exec/internal/childenv"
	"brs-exec/internal/explain"
	"brs-exec/internal/hint"
	"brs-exec/internal/message"
	"brs-exec/internal/refresh"
	"brs-exec/internal/runner"
	"brs-exec/internal/share"
	"brs-exec/internal/source"
)

// explainTo asks once for what a run would ask for, and prints what came of it. The status is that
// of --whoami.
func explainTo(ctx context.Context, w io.Writer, flags *cli, sts *sandboxSTS, env []string) (runner.Status, error) {
	page, err := explanation(ctx, flags, sts, env)
	if ctx.Err() != nil {
		return runner.Failed, context.Cause(ctx)
	}
	var printed error
	if flags.output == "json" {
		printed = printJSON(w, page)
	} else {
		_, printed = io.WriteString(w, page.Text(message.OneLine))
	}
	if printed != nil {
		return runner.Failed, printed
	}
	status, _ := statusOf(err) // the page has told the error
	return status, nil
}

// explanation makes the page. The error is why a run wouldn't work.
func explanation(ctx context.Context, flags *cli, sts *sandboxSTS, env []string) (*explain.Page, error) {
	page := &explain.Page{Version: version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, Steps: []explain.Step{}}
	log, said := message.NewRecorder(flags.level())
	trace := new(stepTrace)
	o := sourceOptions(flags, sts, env, log)
	o.Trace = trace.add
	candidates := source.Candidates(ctx, o)
	src, err := source.New(ctx, o)
	if err == nil {
		defer src.Close()
		s := &session{flags: flags, sts: sts, log: log, src: src,
			creds: refresh.New(onlyOurs(flags, src), askOnce(flags, src, log))}
		err = trace.moreTelling(s.askFor(ctx, page, env))
		page.Steps = trace.report(src.Steps(), err)
		err = cmp.Or(err, s.tellProfiles(ctx, page, env))
	}
	if flags.share != "" {
		var refused error
		if page.Share, refused = share.Look(flags.share); refused != nil {
			err = cmp.Or(err, fmt.Errorf("%s: %w", flags.given("share"), refused))
		}
	}
	config, credentials, tooLarge := awsconfig.Locate(env).Read()
	if err == nil {
		err = tooLarge
	}
	rivals := []childenv.Rival{}
	if !page.NoEndpoint {
		rivals = childenv.Rivals(env, config, credentials)
	}
	warnings := childenv.Warnings(env)
	page.Works = err == nil
	page.Messages = append(said(), warnings...)
	page.Candidates = tellCandidates(candidates)
	page.Outranking = tellRivals(flags, rivals)
	page.Remedy = slices.Concat(clockRemedy(page), optionRemedies(warnings))
	if err != nil {
		page.Error = err.Error()
		page.Remedy = slices.Concat(remedies(flags, err, trace), page.Remedy)
	} else {
		page.Remedy = slices.Concat(page.Remedy, outrankedProfile(candidates), nextSteps(flags, rivals))
	}
	return page, err
}

// tellProfiles lists the further profiles, and asks for none.
func (s *session) tellProfiles(ctx context.Context, page *explain.Page, env []string) error {
	ctx, cancel := context.WithTimeout(ctx, s.flags.startTimeout())
	defer cancel()
	further, err := s.openProfiles(ctx, env, source.NewShared())
	defer further.close()
	page.Profiles = further.facts(ctx)
	return err
}

// askOnce makes the start one attempt, which may take all of the time: refresh gives an attempt a
// quarter of what is left. Each call of it has --read-timeout.
func askOnce(flags *cli, src *source.Source, log *slog.Logger) refresh.Options {
	o := refreshOptions(flags, src, log)
	all := flags.startTimeout()
	o.StartTimeout, o.ReadTimeout, o.RetryDenied = 4*all, all, 0
	o.Permanent = func(error) bool { return true }
	return o
}

// askFor gets the credentials, and has STS say whose they are.
func (s *session) askFor(ctx context.Context, page *explain.Page, env []string) error {
	page.Source, page.STS = s.src.Describe(), s.src.STS()
	err := s.firstCredentials(ctx)
	page.ServedBy = s.src.ServedBy()
	page.ClockAhead = clockAhead(s.src)
	page.RenewableUntil = toSeconds(s.src.RenewableUntil())
	if err != nil {
		return err
	}
	creds, err := s.creds.Retrieve(ctx)
	if err != nil {
		return err
	}
	s.tellLife(page, creds)
	if _, err := s.keysForVariables(ctx); err != nil { // for its warnings
		return err
	}
	if _, _, err := s.childConfig(env); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(s.flags.source.ReadTimeout, 10*time.Second))
	defer cancel()
	page.Account, page.Arn, page.UserId, err = s.src.CallerIdentity(ctx, creds)
	page.ClockAhead, page.Sandbox = clockAhead(s.src), inSandbox(page.Account)
	if err != nil && !refusedByAWS(err) {
		s.log.Warn("the credentials are there, but STS doesn't say whose they are", "error", err)
		page.Account, err = creds.AccountID, nil
	}
	return err
}

// refusedByAWS says that STS itself does not accept the credentials. If it can't be asked, or a
// policy denies the question, they may be good.
func refusedByAWS(err error) bool {
	var answer interface{ ErrorCode() string }
	return source.Permanent(err) && !source.Denied(err) && errors.As(err, &answer)
}

// clockAhead is in seconds; nil if STS was not asked.
func clockAhead(src *source.Source) *float64 {
	skew := src.Skew()
	if skew == 0 {
		return nil
	}
	s := explain.Coarse(skew).Seconds()
	return &s
}

// tellLife tells when the credentials end, and how they are renewed.
func (s *session) tellLife(page *explain.Page, creds aws.Credentials) {
	page.AccessKeyID = "…" + tail(creds.AccessKeyID)
	switch longTerm := creds.SessionToken == ""; {
	case !creds.CanExpire && longTerm && s.flags.source.NoSession:
		page.NoEndpoint = true
		page.Unrefreshed = "never: --no-session hands the keys over as they are"
	case s.flags.delivery.envOnly():
		page.Unrefreshed = "never in the command: it has the keys as variables (--deliver env)"
	case s.flags.refresh.Lazy:
		page.OnRequest = "--lazy"
	}
	if !creds.CanExpire {
		page.UnknownEnd = creds.SessionToken != ""
		return
	}
	life := explain.Coarse(time.Until(creds.Expires.Round(0)))
	page.Expiration, page.Life = toSeconds(creds.Expires), life.Seconds()
	if page.Unrefreshed == "" {
		from, to := refresh.Window(life)
		page.RefreshAfter = []float64{explain.Coarse(from).Seconds(), explain.Coarse(to).Seconds()}
	}
}

// remedies are what to type about an error.
func remedies(flags *cli, err error, trace *stepTrace) []string {
	list := []string{cmp.Or(hint.Of(err), "nothing is known that cures it; below is how it came")}
	again := flags.startTimeout() // how long a run would try
	switch {
	case source.Denied(err):
		again = flags.refresh.RetryDenied
	case permanent(err):
		again = 0
	}
	switch {
	case again == 0 || !trace.failedUnattended(err):
	case errors.Is(err, context.DeadlineExceeded):
		list = append(list, "or give it longer than "+explain.Short(again)+": --start-timeout")
	default:
		list = append(list, "or wait: it may pass, and a run tries again for "+explain.Short(again))
	}
	return list
}

func clockRemedy(page *explain.Page) []string {
	if page.ClockAhead == nil || *page.ClockAhead >= -60 && *page.ClockAhead <= 60 {
		return nil
	}
	return []string{"set this machine's clock (timedatectl set-ntp true): it is " + page.Clock()}
}

func optionRemedies(warnings []string) (list []string) {
	for _, w := range warnings {
		list = append(list, "take these options out: "+w)
	}
	return list
}

// outrankedProfile is for those whose AWS_PROFILE has no effect, as other variables outrank it.
func outrankedProfile(candidates []source.Candidate) (list []string) {
	chosen := ""
	for _, c := range candidates {
		switch {
		case c.State == source.Chosen && (c.Kind == source.KeyVariables || c.Kind == source.TokenVariable):
			chosen = c.Name
		case c.State == source.Outranked && c.Variable != "" && chosen != "":
			list = append(list, fmt.Sprintf("if profile %[1]s was meant: --profile %[1]s, since %[2]s outranks %[3]s",
				c.Profile, chosen, c.Variable))
		}
	}
	return list
}

// nextSteps are what to type where all works.
func nextSteps(flags *cli, rivals []childenv.Rival) (list []string) {
	if flags.source.TokenCode != "" {
		list = append(list, "a new --token-code for the run: this one is used up")
	}
	var names []string
	for _, r := range rivals {
		names = append(names, r.Name)
	}
	if len(names) > 0 {
		list = append(list, "nothing about "+strings.Join(names, ", ")+": brs-exec keeps the command from it")
	}
	return append(list, "give the command in place of --explain: -- COMMAND")
}

func tellCandidates(candidates []source.Candidate) []explain.Candidate {
	list := []explain.Candidate{}
	for _, c := range candidates {
		list = append(list, explain.Candidate{Name: c.Name, State: string(c.State), Why: c.Why})
	}
	return list
}

func tellRivals(flags *cli, rivals []childenv.Rival) []explain.Rival {
	list := []explain.Rival{}
	for _, r := range rivals {
		told := explain.Rival{Name: r.Name, In: r.In, Why: r.Why, Does: r.Does}
		if r.Key != "" {
			told.Name += " (" + r.Key + ")"
		}
		if r.Key != "" && flags.child.NoIsolation {
			told.Does = "--no-isolation leaves the file: refused"
		}
		list = append(list, told)
	}
	return list
}

// stepTrace collects the steps of the source. One that was given up may end when nobody waits for
// it any more.
type stepTrace struct {
	mu    sync.Mutex // guards the rest
	steps []source.Step
	over  bool
}

func (t *stepTrace) add(s source.Step) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.over {
		t.steps = append(t.steps, s)
	}
}

// moreTelling ends the trace. If err says only that time ran out, it returns the error of the last
// step, which came a moment later and says more.
func (t *stepTrace) moreTelling(err error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
	if n := len(t.steps); n > 0 && t.steps[n-1].Err != nil &&
		errors.Is(err, context.DeadlineExceeded) && hint.Of(err) == "" {
		return t.steps[n-1].Err
	}
	return err
}

// failedUnattended says that a step failed which a run would try again, since it asks no person.
func (t *stepTrace) failedUnattended(err error) bool {
	failed := slices.DeleteFunc(slices.Clone(t.steps), func(s source.Step) bool { return s.Err == nil })
	if len(failed) == 0 {
		return errors.Is(err, context.DeadlineExceeded) // it was cut off
	}
	return slices.ContainsFunc(failed, func(s source.Step) bool { return s.Kind != source.CodeStep })
}

// report returns the steps in their order; those that were not reached come last. If time ran out
// and no step has failed, the first of those was cut off by --start-timeout: it has failed with
// err.
func (t *stepTrace) report(announced []source.Step, err error) []explain.Step {
	list, anyFailed := []explain.Step{}, false
	fail := func(s *explain.Step, err error) {
		s.Outcome, s.Error, s.Hint = explain.Failed, err.Error(), hint.Of(err)
		anyFailed = true
	}
	for _, s := range t.steps {
		same := func(a source.Step) bool { return a.Kind == s.Kind && a.What == s.What }
		announced = slices.DeleteFunc(announced, same)
		told := explain.Step{Name: s.What, Outcome: explain.OK, Milliseconds: s.Took.Milliseconds()}
		if s.Err != nil {
			fail(&told, s.Err)
		}
		list = append(list, told)
	}
	for i, s := range announced {
		told := explain.Step{Name: s.What, Outcome: explain.NotReached}
		if i == 0 && !anyFailed && errors.Is(err, context.DeadlineExceeded) {
			fail(&told, err)
		}
		list = append(list, told)
	}
	return list
}
