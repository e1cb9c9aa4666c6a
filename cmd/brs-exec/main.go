// Command brs-exec runs a program with AWS credentials that never expire under it.
//
//	brs-exec --role-arn arn:aws:iam::123456789012:role/etl -- python3 etl.py
//
// It assumes the role, serves the credentials on a loopback endpoint of the form
// that ECS containers have and every AWS SDK knows
// (https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html),
// keeps them fresh, and returns the program's exit status. `brs-exec --help` is
// the manual.
package main

import (
	"log/slog"
	"os"
	"slices"
	"time"

	"brs-exec/internal/childenv"
	"brs-exec/internal/refresh"
	"brs-exec/internal/runner"
	"brs-exec/internal/source"
)

func main() {
	runner.Harden()
	sigs := runner.Catch() // before anything else: the runner owns signals from here on
	go dieOf(sigs)
	status, err := run(sigs, os.Args[1:], os.Environ())
	if s, ok := sigs.Ended(); ok && status == runner.Failed {
		status, err = s, nil // a signal ended the wait: die of it, as any program would
	}
	if err != nil {
		report(os.Stderr, err)
	}
	status.Exit() // the only exit: every defer has run; may be death by a signal
}

// dieOf ends what a signal has ended but doesn't know it yet: a file that blocks
// when it is opened (a FIFO) doesn't see the context.
func dieOf(sigs *runner.Signals) {
	<-sigs.Context().Done()
	time.Sleep(time.Second)
	if status, ok := sigs.Ended(); ok {
		status.Exit()
	}
}

// run is the whole way, from the command line to the command's end.
func run(sigs *runner.Signals, args, env []string) (runner.Status, error) {
	ctx := sigs.Context() // ends what comes before the command, when a signal arrives
	if slices.Equal(args, []string{fetchFlag}) {
		err := fetchOnce(ctx, env, os.Stdout)
		return exitStatus(err), err
	}
	c, done, err := parse(args, env, os.Stdout)
	if err != nil || done {
		return exitStatus(err), err
	}
	if c.DemoClient != 0 {
		err := demoClient(ctx, c.DemoClient, os.Stdout)
		return exitStatus(err), err
	}
	log, logFile, err := newLogger(c, runner.Stderr)
	if err != nil {
		return runner.Failed, err
	}
	defer logFile.Close()
	if c.Sandbox {
		stop, err := c.startSandbox()
		if err != nil {
			return runner.Failed, err
		}
		defer stop()
	}
	if c.Explain {
		return c.explain(ctx, env, os.Stdout)
	}
	src, err := source.New(ctx, c.sourceOptions(env, log))
	if err != nil {
		return runner.Failed, err
	}
	defer src.Close()
	s := &session{cli: c, src: src, creds: refresh.New(src, c.refresh(src, log)), log: log}
	if c.Whoami {
		err := s.whoami(ctx, os.Stdout)
		return exitStatus(err), err
	}
	if c.Export {
		err := s.export(ctx, os.Stdout)
		return exitStatus(err), err
	}
	path, status, err := runner.Find(c.Command, env) // before anything is asked of STS
	if err != nil {
		return status, err
	}
	settings, err := s.settings(env)
	if err != nil {
		return runner.Failed, err
	}
	srv, err := s.listen()
	if err != nil {
		return runner.Failed, err
	}
	began := make(chan error, 1)
	go func() { began <- s.begin(ctx) }()
	dir := c.newDir(env, settings, srv, log) // while STS is asked
	err = <-began
	if err == nil {
		err = s.deliver(dir)
	}
	if err != nil {
		logError(log, dir.Remove())
		return runner.Failed, err
	}
	for _, w := range childenv.Warnings(env) {
		log.Warn(w)
	}
	refused, stop := s.background(srv, dir)
	defer stop()
	status, err = runner.Run(sigs, runner.Command{
		Path:           path,
		Args:           c.Command,
		Env:            s.environment(env, srv, dir.Files()),
		PTY:            c.PTY,
		KillAfter:      c.KillAfter,
		OnWrapperDeath: c.OnWrapperDeath,
		KeepOpen:       c.readsDescriptors(args, env),
		Stop:           refused.done,
		Started:        s.started,
	})
	s.exited(status)
	if srv != nil {
		s.adviseReach(runner.Stderr, status, srv.Stats())
	}
	s.summarize(srv)
	if err == nil {
		status = s.verdicts(status, runner.Stderr)
	}
	if status == runner.RunFailed && err == nil {
		err = refused.why()
	}
	return status, err
}

// exitStatus is that of what runs no command.
func exitStatus(err error) runner.Status {
	if err != nil {
		return runner.Failed
	}
	return 0
}

func logError(log *slog.Logger, err error) {
	if err != nil {
		log.Error(err.Error())
	}
}
