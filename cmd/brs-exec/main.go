// Command brs-exec runs a program with AWS credentials that don't expire while it runs.
//
//	brs-exec --role-arn arn:aws:iam::123456789012:role/etl -- python3 etl.py
//
// It assumes the role, serves the credentials on a loopback endpoint of the form that ECS
// containers have and current AWS SDKs know
// (https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html), keeps them
// fresh, and returns the program's exit status. `brs-exec --help` is the manual.
//
// This package parses the command line (cli.go, rules.go, manual.go), wires the rooms of internal/
// together (wire.go) and has a file for each thing that can be asked of it: run, whoami, explain,
// export, fetch, rehearse, demo. It alone knows flags by their names; the other packages are given
// values, and names to put into their errors.
package main

import (
	"log/slog"
	"os"
	"time"

	"brs-exec/internal/hint"
	"brs-exec/internal/message"
	"brs-exec/internal/runner"
	"brs-exec/internal/source"
)

func main() {
	runner.Hold()
	defer recovered(func(err error) { end(runner.Failed, err) })
	runner.Harden()
	sigs := runner.Catch() // before anything else: the runner owns signals from here on
	go dieOf(sigs)
	env := environment()
	os.Unsetenv("GODEBUG") // is meant for the command; settings that Go reads later are as built
	source.Tame(env)
	status, err := run(sigs, os.Args[1:], env)
	if s, ok := sigs.Ended(); ok && status == runner.Failed {
		status, err = s, nil // a signal ended the wait: die of it, as any program would
	}
	end(status, err)
}

// end tells the error, if any, and ends the process: every defer but main's has run. It may be
// death by a signal.
func end(status runner.Status, err error) {
	if err != nil {
		message.Report(stderr, err)
	}
	stderr.Flush()
	status.Exit()
}

// dieOf ends the process a second after a signal has ended the context, if it still runs: opening a
// file that blocks (a FIFO) doesn't see the context.
func dieOf(sigs *runner.Signals) {
	<-sigs.Context().Done()
	time.Sleep(time.Second)
	if status, ok := sigs.Ended(); ok {
		status.Exit()
	}
}

// run is the whole way, from the command line to an exit status.
func run(sigs *runner.Signals, args, env []string) (_ runner.Status, err error) {
	stdout := output()
	ctx := sigs.Context() // ends what comes before the command, when a signal arrives
	if len(args) > 0 {
		switch first, rest := args[0], args[1:]; first {
		case fetchFlag:
			return statusOf(fetchOnce(ctx, rest, env, stdout))
		case completeFlag:
			return statusOf(complete(rest, env, stdout))
		case demoFlag:
			return statusOf(demoClient(ctx, rest, stdout))
		}
	}
	flags, done, err := parse(args, env, stdout)
	if err != nil || done {
		return statusOf(err)
	}
	given := args[:max(0, len(args)-len(flags.runner.Args))] // without the command's own
	log, flush, reopen, err := newLogger(flags)
	if err != nil {
		return runner.Failed, err
	}
	defer flush()
	if flags.logFile != "" && !isStderr(flags.logFile) { // has the reason, too: whoever reads it may not see stderr
		defer func() { logEnd(log, sigs, err) }()
	}
	command, status, err := flags.findCommand(env)
	if err != nil {
		return status, likeOther(err, args, env)
	}
	sts, err := startSandbox(flags)
	if err != nil {
		return runner.Failed, err
	}
	defer sts.stop()
	if flags.ready {
		return statusOf(ready(ctx, flags, env))
	}
	if flags.explain {
		return explainTo(ctx, stdout, flags, sts, env)
	}
	s, err := newSession(ctx, flags, sts, env, log)
	if err != nil {
		return runner.Failed, err
	}
	defer s.close()
	switch {
	case flags.whoami:
		return statusOf(s.whoami(ctx, stdout))
	case flags.export:
		return statusOf(s.export(ctx, stdout))
	case flags.serve:
		return s.serve(ctx, sigs, env, reopen)
	}
	command.KeepOpen = inheritsDescriptors(flags, given, env)
	return s.runCommand(ctx, sigs, env, command)
}

func isStderr(path string) bool {
	file, err := os.Stat(path)
	ours, err2 := os.Stderr.Stat()
	return err == nil && err2 == nil && os.SameFile(file, ours)
}

// logEnd logs the error that ends brs-exec; a signal's end is none.
func logEnd(log *slog.Logger, sigs *runner.Signals, err error) {
	if _, signalled := sigs.Ended(); signalled || err == nil {
		return
	}
	var told []any
	if text := hint.Of(err); text != "" {
		told = []any{"hint", text}
	}
	log.Error(err.Error(), told...)
}

// statusOf is the exit status of what runs no command.
func statusOf(err error) (runner.Status, error) {
	if err != nil {
		return runner.Failed, err
	}
	return 0, nil
}
