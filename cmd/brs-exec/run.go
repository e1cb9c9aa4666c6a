package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec/internal/childenv"
	"brs-exec/internal/ecsserver"
	"brs-exec/internal/hint"
	"brs-exec/internal/rehearse"
	"brs-exec/internal/runner"
	"brs-exec/internal/share"
)

// Once the command has ended, its caller waits teardownLimit at most, whatever hangs; for files and
// port longer, for a disk may be slow, and who comes next would find them.
const (
	teardownLimit = time.Second
	clearLimit    = 5 * time.Second
)

// findCommand is what is to run, if anything is. That comes before all that could fail in getting
// credentials: a command that isn't there is 127, with credentials and without, as for env(1).
func (c *cli) findCommand(env []string) (run runner.Command, status runner.Status, err error) {
	run = c.runner
	if c.runsNothing() || c.serve {
		return run, 0, nil
	}
	if run.Args, err = c.commandOrDemo(); err != nil {
		return run, runner.Failed, err
	}
	run.Path, status, err = runner.Find(run.Args, env)
	if status == runner.NotFound {
		if meant := mistaken(run.Args); meant != "" {
			err = hint.Errorf(meant, "%w", err)
		}
	}
	return run, status, err
}

// runCommand gets everything ready, runs the command, and tells what came of it.
func (s *session) runCommand(
	ctx context.Context, sigs *runner.Signals, env []string, run runner.Command,
) (status runner.Status, err error) {
	var began time.Time // of the command; zero: it could not be started
	defer recovered(func(bug error) {
		status, err = runner.Failed, bug
		if !began.IsZero() {
			status = runner.RunFailed
		}
	})
	e, err := s.equip(ctx, env)
	if err != nil {
		return runner.Failed, err
	}
	for _, w := range childenv.Warnings(env) {
		s.log.Warn(w)
	}
	s.files = s.watchFiles(env, e)
	defer func() { s.files.Close() }()
	refused, refuse := context.WithCancelCause(context.Background()) // under --start-early: no credentials after all
	defer refuse(nil)
	environment := s.environment(env, e)
	e.port = s.newKeptPort(e)
	tellPID := s.announceRotations(e, &run)
	defer s.background(e, environment, refuse)()
	run.Env, run.Stop, run.Port = environment, refused.Done(), e.port.port
	run.Started = func(pid int, at time.Time) {
		began, e.port.command, e.port.began = at, pid, at
		tellPID(pid)
		s.tellStart(run.Args[0], pid)
	}
	status, err = runner.Run(sigs, run)
	if !began.IsZero() {
		s.tellEnd(status, began)
		s.stayFor(e.port, sigs)
	}
	if !began.IsZero() && s.flags.delivery.served() {
		if asked := e.srv.Stats(); !s.warnOfBypass(run.Args, env, asked) {
			s.adviseReach(stderr, run.Args, env, status, asked)
		}
	}
	s.tellSummary(e.srv)
	if err == nil {
		status = s.tellVerdicts(stderr, e.watch, status)
	}
	if err == nil && status == runner.RunFailed {
		err = context.Cause(refused) // nil: the command's own status happens to be ours
	}
	go exitInTime(status, e.cleared)
	return status, err
}

// exitInTime ends the process where its teardown hangs.
func exitInTime(status runner.Status, cleared <-chan struct{}) {
	limit := time.After(teardownLimit)
	select {
	case <-cleared:
	case <-time.After(clearLimit):
	}
	<-limit
	status.Exit()
}

// equipment is what the command has its credentials from.
type equipment struct {
	srv   *ecsserver.Server // nil: neither --deliver nor --share needs it
	watch *rehearse.Watch   // nil without --rehearse
	share *share.Folder     // nil without --share
	dir   *childenv.Dir
	file  *keyFile        // nil without --deliver file
	json  *keyFile        // nil without --deliver json
	port  *keptPort       // nil without a command
	keys  aws.Credentials // for variables; zero: none

	cleared chan struct{} // closed when files and port are as they stay
}

// equip gets the first credentials, unless the command is to start early, and all through which it
// is to have them, or with --serve everybody else.
func (s *session) equip(ctx context.Context, env []string) (e *equipment, err error) {
	var profile string
	var config []byte
	if !s.flags.serve {
		if profile, config, err = s.childConfig(env); err != nil {
			return nil, err
		}
	}
	e = &equipment{cleared: make(chan struct{})}
	if err := s.flags.notTheBase(env); err != nil {
		return nil, err
	}
	folder, err := s.openShare()
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.closeShare(folder)
		}
	}()
	e.share = folder
	if s.flags.delivery.served() || e.share != nil {
		if e.srv, e.watch, err = s.listen(e.share); err != nil {
			return nil, err
		}
	}
	asked := make(chan error, 1)
	go func() {
		defer recovered(func(bug error) { asked <- bug })
		asked <- s.askFirst(ctx)
	}()
	e.dir = s.newDir(env, config, e.srv) // while STS is asked
	if err = <-asked; err == nil {
		err = s.checkDir(e.dir)
	}
	if err == nil && s.flags.delivery.file {
		e.file = s.sharedFile(profile, e.dir)
		err = e.file.firstWrite()
	}
	if s.flags.delivery.json {
		e.json = s.jsonFile(e.share)
	}
	if err == nil {
		e.keys, err = s.keysForVariables(ctx)
	}
	if err == nil && !s.flags.startEarly {
		err = s.publish(e, s.environment(env, e))
	}
	if err != nil {
		s.logError(e.dir.Remove())
		return nil, err
	}
	return e, nil
}

// askFirst is firstCredentials, but for the part that --start-early leaves to background.
func (s *session) askFirst(ctx context.Context) error {
	if s.flags.startEarly {
		return s.prepare(ctx)
	}
	return s.firstCredentials(ctx)
}

// checkDir warns of a private directory for which there is no place, unless the command can't do
// without it.
func (s *session) checkDir(dir *childenv.Dir) error {
	switch err := dir.Err(); {
	case err == nil:
		return nil
	case s.flags.delivery.process || s.flags.delivery.file:
		return fmt.Errorf("--deliver %s: %w", s.flags.deliverList(), err)
	default:
		s.log.Warn(err.Error())
		return nil
	}
}

// keysForVariables returns the keys that the command has as variables: with --deliver env, and
// where --no-session found long-term keys, since SDKs demand a session token of an endpoint.
func (s *session) keysForVariables(ctx context.Context) (aws.Credentials, error) {
	asVariables := s.flags.delivery.env
	if !asVariables && !s.flags.source.NoSession {
		return aws.Credentials{}, nil
	}
	keys, err := s.creds.Retrieve(ctx)
	switch {
	case err != nil:
		return aws.Credentials{}, err
	case asVariables && keys.CanExpire:
		s.log.Warn("the command has its keys as variables, which nothing can refresh there", "expires", keys.Expires)
	case asVariables:
		s.log.Warn("the command has its keys as variables, which nothing can refresh there; when they end is not known")
	case keys.SessionToken != "":
		return aws.Credentials{}, nil
	}
	if asVariables {
		keys = endBy(keys, s.flags.server.MaxTTL, time.Now())
	}
	return keys, nil
}

// environment is the command's.
func (s *session) environment(parent []string, e *equipment) []string {
	told := s.flags.child
	told.Keys, told.RoleARN = e.keys, s.src.RoleARN()
	told.Region, told.RegionExplicit = s.region(), s.flags.source.Region != ""
	longTerm := s.flags.source.NoSession && e.keys.HasKeys() // which the endpoint can't hand out
	if s.flags.delivery.served() && !longTerm {
		told.URL, told.Token = e.srv.URL(), e.srv.Token()
	}
	if s.sts != nil {
		told.STSURL = s.sts.url
	}
	return childenv.Build(parent, told, e.dir.Files())
}

// region is for a command that has none.
func (s *session) region() string {
	if region := s.src.Region(); region != "" || s.sts == nil {
		return region
	}
	return sandboxRegion
}

// background does what goes on beside the command: fetching, serving, keeping the private
// directory. If there will be no credentials, it calls refuse. stop ends it all and leaves nothing
// behind.
func (s *session) background(
	e *equipment, environment []string, refuse context.CancelCauseFunc,
) (stop func()) {
	ctx, end := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	work := func(f func()) {
		wg.Go(func() {
			defer recovered(refuse)
			f()
		})
	}
	work(func() {
		if s.flags.startEarly {
			if err := s.start(ctx); err != nil {
				refuse(err)
				return
			}
			s.logError(s.publish(e, environment))
		}
		s.logError(s.creds.Run(ctx))
	})
	if e.srv != nil {
		work(func() { s.logError(e.srv.Serve(ctx)) })
	}
	for _, file := range []*keyFile{e.file, e.json} {
		if file != nil {
			work(func() { file.keep(ctx, s.log) })
		}
	}
	work(func() { e.dir.Keep(ctx) })
	if e.share != nil {
		work(func() { e.share.Keep(ctx) })
	}
	if s.log.Enabled(ctx, slog.LevelDebug) {
		work(func() { s.tellState(ctx) })
	}
	if e.watch != nil {
		work(func() { e.watch.Run(ctx, e.srv.Addr()) })
	}
	return func() { // in this order: late grandchildren then send no token to whoever has the port next
		s.logError(e.dir.RemoveToken())
		s.withdrawShare(e.share)
		end()
		e.port.ended()
		wg.Wait()
		s.closeShare(e.share)
		s.logError(e.dir.Remove())
		s.keep(e.port)
		close(e.cleared)
	}
}

func (s *session) logError(err error) {
	if err != nil {
		s.log.Error(err.Error())
	}
}
