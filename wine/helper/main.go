// Command helper is what the tests of package wine run on Windows.
//
//	helper line                   prints its command line as it got it
//	helper exit N                 ends with N, 32 bits of it
//	helper go-on FILE SECONDS     notes Ctrl-C in FILE, and goes on
//	helper child FILE             starts helper go-on FILE 60, and waits
//	helper keys ID SECRET         prints both as a credential_process does; its command line on stderr
//	helper kill AFTER COMMAND...  runs COMMAND, and ends it with TerminateProcess
//	helper rights                 prints who may open the folder of a brs-exec in TEMP, as SDDL
package main

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"time"
)

func main() {
	if err := do(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "helper:", err)
		os.Exit(1)
	}
}

func do(what string, args []string) error {
	switch what {
	case "line":
		fmt.Println(line())
	case "exit":
		n, err := strconv.ParseUint(args[0], 0, 32)
		if err != nil {
			return err
		}
		os.Exit(int(n))
	case "go-on":
		return goOn(args[0], args[1])
	case "child":
		return exec.Command(os.Args[0], "go-on", args[0], "60").Run()
	case "keys":
		fmt.Fprintln(os.Stderr, line())
		fmt.Printf(`{"Version":1,"AccessKeyId":%q,"SecretAccessKey":%q}`, args[0], args[1])
	case "kill":
		return kill(args[0], args[1:])
	case "rights":
		folders, err := filepath.Glob(filepath.Join(os.TempDir(), "brs-exec-*"))
		if err != nil || len(folders) != 1 {
			return fmt.Errorf("%q, %w", folders, err)
		}
		text, err := rights(folders[0])
		fmt.Println(text)
		return err
	default:
		return fmt.Errorf("no such thing: %s", what)
	}
	return nil
}

func goOn(file, seconds string) error {
	n, err := strconv.Atoi(seconds)
	if err != nil {
		return err
	}
	signals := make(chan os.Signal, 9)
	signal.Notify(signals, os.Interrupt)
	note := func(what string) {
		if f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err == nil {
			fmt.Fprintln(f, what)
			f.Close()
		}
	}
	note("began")
	end := time.After(time.Duration(n) * time.Second)
	for tick := time.Tick(time.Second); ; {
		select {
		case <-signals:
			note("interrupted")
		case <-tick:
			note("alive")
		case <-end:
			note("ended")
			return nil
		}
	}
}

func kill(after string, command []string) error {
	d, err := time.ParseDuration(after)
	if err != nil {
		return err
	}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	time.Sleep(d)
	if err := cmd.Process.Kill(); err != nil {
		return err
	}
	cmd.Wait() // its status is that of the kill
	return nil
}
