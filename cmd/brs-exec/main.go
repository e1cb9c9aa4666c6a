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
	"context"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"brs-exec/internal/childenv"
	"brs-exec/internal/ecsserver"
	"brs-exec/internal/refresh"
	"brs-exec/internal/runner"
)

func init() {
	runtime.LockOSThread() // the thread that forks must live on: its end tells the child of ours (PR_SET_PDEATHSIG)
}

func main() {
	runner.Harden()
	sigs := runner.Catch() // before anything else: the runner owns signals from here on
	status, err := run(sigs, os.Args[1:], os.Environ())
	if s, ok := sigs.Ended(); ok && status == runner.Failed {
		status, err = s, nil // a signal ended the wait: die of it, as any program would
	}
	if err != nil {
		report(os.Stderr, err)
	}
	status.Exit() // the only exit: every defer has run; may be death by a signal
}

// run is the whole way, from the command line to the command's end.
func run(sigs *runner.Signals, args, env []string) (runner.Status, error) {
	ctx := sigs.Context() // ends what comes before the command, when a signal arrives
	c, done, err := parse(args, env, os.Stdout)
	if err != nil || done {
		return exitStatus(err), err
	}
	if c.DemoClient {
		err := demoClient(ctx, os.Stdout)
		return exitStatus(err), err
	}
	log, logFile, err := newLogger(c, os.Stderr)
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
	src, err := c.newSource(ctx, log)
	if err != nil {
		return runner.Failed, err
	}
	creds := refresh.New(src, c.refresh(src, log))
	if c.Whoami {
		err := whoami(ctx, os.Stdout, src, creds)
		return exitStatus(err), err
	}
	path, status, err := runner.Find(c.Command, env) // before anything is asked of STS
	if err != nil {
		return status, err
	}
	settings, err := c.settings(env)
	if err != nil {
		return runner.Failed, err
	}
	if !c.StartEarly {
		if err := creds.Start(ctx); err != nil {
			return runner.Failed, err
		}
	}
	for _, w := range childenv.Warnings(env) {
		log.Warn(w)
	}
	srv, err := ecsserver.Listen(creds, c.server(log))
	if err != nil {
		return runner.Failed, err
	}
	dir := c.newDir(env, settings, srv.Token(), log)
	refused, stop := c.background(creds, srv, dir, log)
	defer stop()
	status, err = runner.Run(sigs, runner.Command{
		Path:           path,
		Args:           c.Command,
		Env:            childenv.Build(env, c.endpoint(src, srv), dir.Files()),
		KillAfter:      c.KillAfter,
		OnWrapperDeath: c.OnWrapperDeath,
		Stop:           refused.done,
	})
	if status == runner.RunFailed && err == nil {
		err = refused.why()
	}
	return status, err
}

// background does what goes on beside the command: fetching, serving, keeping
// the private directory. stop ends it all and leaves nothing behind.
func (c *cli) background(creds *refresh.Refresher, srv *ecsserver.Server, dir *childenv.Dir, log *slog.Logger) (*refusal, func()) {
	ctx, end := context.WithCancel(context.Background())
	refused := &refusal{done: make(chan struct{})}
	var wg sync.WaitGroup
	wg.Go(func() {
		if c.StartEarly {
			if err := creds.Start(ctx); err != nil && ctx.Err() == nil {
				refused.because(err)
				return
			}
		}
		logError(log, creds.Run(ctx))
	})
	wg.Go(func() { logError(log, srv.Serve(ctx)) })
	wg.Go(func() { dir.Keep(ctx) })
	wg.Go(func() { settle(ctx) })
	return refused, func() { // in this order: late grandchildren then send no token to whoever has the port next
		logError(log, dir.RemoveToken())
		end()
		wg.Wait()
		logError(log, dir.Remove())
	}
}

// refusal is why, under --start-early, there will be no credentials after all.
type refusal struct {
	done chan struct{} // closed when there is an err
	err  error
}

func (r *refusal) because(err error) {
	r.err = err
	close(r.done)
}

func (r *refusal) why() error {
	select {
	case <-r.done:
		return r.err
	default:
		return nil // the command's own status happens to be ours
	}
}

// settle gives the memory of the start (TLS, XML, the command line) back to the
// system once a command has proved to be no short one.
func settle(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(time.Second):
		debug.FreeOSMemory()
	}
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
