// Command helper is what the tests of package wine run on Windows.
//
//	helper line                   prints its command line as it got it
//	helper exit N                 ends with N, 32 bits of it
//	helper go-on FILE SECONDS     notes Ctrl-C in FILE, and goes on
//	helper child FILE             starts helper go-on FILE 60, and waits
//	helper keys ID SECRET         prints both as a credential_process does; its command line on stderr
//	helper kill AFTER COMMAND...  runs COMMAND, and ends it with TerminateProcess
//	helper saves FILE             notes in FILE its process id, then what ends a console, and two seconds later that it has saved
//	helper tell EVENT FILE COMMAND...
//	                              runs COMMAND; once a helper has noted its process id in FILE, both get EVENT as the console
//	                              sends it: 2 close, 5 logoff, 6 shutdown
//	helper hold VARIABLE TIME     has the file that VARIABLE names open for so long
//	helper reread VARIABLE TIME ALL COMMAND...
//	                              for ALL of the time has that file open, closes it every TIME, and runs COMMAND then
//	helper leave TIME             has itself, in another process, hold the endpoint's token file, and ends once it does
//	helper bind                   tries to listen where the endpoint does, with SO_REUSEADDR
//	helper level                  prints when Windows ends it at a shutdown: the higher, the sooner
//	helper rights                 prints who may open the folder of a brs-exec in TEMP, as SDDL
package main

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
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
	case "saves":
		return saves(args[0])
	case "tell":
		return tell(args[0], args[1], args[2:])
	case "hold":
		return hold(args[0], args[1])
	case "reread":
		return reread(args[0], args[1], args[2], args[3:])
	case "leave":
		return leave(args[0])
	case "bind":
		return bind(os.Getenv("AWS_CONTAINER_CREDENTIALS_FULL_URI"))
	case "level":
		return level()
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
	note(file, "began")
	end := time.After(time.Duration(n) * time.Second)
	for tick := time.Tick(time.Second); ; {
		select {
		case <-signals:
			note(file, "interrupted")
		case <-tick:
			note(file, "alive")
		case <-end:
			note(file, "ended")
			return nil
		}
	}
}

// note adds a line to a file.
func note(file string, what ...any) {
	if f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err == nil {
		fmt.Fprintln(f, what...)
		f.Close()
	}
}

func saves(file string) error {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM) // Go's name for the console's end
	note(file, os.Getpid())
	<-signals
	note(file, "told")
	time.Sleep(2 * time.Second)
	note(file, "saved")
	return nil
}

func tell(event, file string, command []string) error {
	n, err := strconv.Atoi(event)
	if err != nil {
		return err
	}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	var pid int
	for end := time.Now().Add(time.Minute); pid == 0; time.Sleep(50 * time.Millisecond) {
		if text, _ := os.ReadFile(file); strings.HasSuffix(string(text), "\n") {
			fmt.Sscan(string(text), &pid)
		}
		if time.Now().After(end) {
			return fmt.Errorf("nothing in %s", file)
		}
	}
	for _, pid := range []int{cmd.Process.Pid, pid} {
		if err := console(n, pid); err != nil {
			return err
		}
	}
	return cmd.Wait()
}

func reread(variable, length, all string, command []string) error {
	d, err := time.ParseDuration(all)
	if err != nil {
		return err
	}
	for end := time.Now().Add(d); time.Now().Before(end); {
		if err := hold(variable, length); err != nil {
			return err
		}
		cmd := exec.Command(command[0], command[1:]...)
		cmd.Stderr = os.Stderr
		if err := cmd.Run(); err != nil {
			return err
		}
	}
	return nil
}

func leave(length string) error {
	cmd := exec.Command(os.Args[0], "hold", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", length)
	held, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err == nil {
		_, err = held.Read(make([]byte, 1))
	}
	return err
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
