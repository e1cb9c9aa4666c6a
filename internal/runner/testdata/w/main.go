// Command w is brs-exec without AWS, for the runner's tests: w [flags] command [args…]
package main

import (
	"flag"
	"fmt"
	"os"
	"time"

	"brs-exec/internal/runner"
)

func main() {
	runner.Harden()
	sigs := runner.Catch()
	var c runner.Command
	flag.BoolVar(&c.PTY, "pty", false, "")
	flag.DurationVar(&c.KillAfter, "kill-after", 0, "")
	flag.StringVar(&c.OnWrapperDeath, "on-wrapper-death", "term", "")
	bad := flag.Bool("panic", false, "")
	flag.Parse()
	if *bad {
		c.Started = func(int, time.Time) { panic("as told") }
	}
	c.Args, c.Env = flag.Args(), os.Environ()
	path, s, err := runner.Find(c.Args, c.Env)
	if err == nil {
		c.Path = path
		s, err = runner.Run(sigs, c)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "w:", err)
	}
	s.Exit()
}
