package runner

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"brs-exec/internal/hint"
	"brs-exec/need"
)

// As a command of these tests this program does what WINDOWS_COMMAND says.
func TestMain(m *testing.M) {
	what, file, _ := strings.Cut(os.Getenv("WINDOWS_COMMAND"), " ")
	switch what {
	case "":
		os.Exit(need.Run(m))
	case "sleep":
		time.Sleep(time.Minute)
	case "note": // a second later
		time.Sleep(time.Second)
		if err := os.WriteFile(file, []byte("noted"), 0o600); err != nil {
			panic(err)
		}
	case "leave":
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "WINDOWS_COMMAND=note "+file)
		if err := cmd.Start(); err != nil {
			panic(err)
		}
	default:
		status, err := strconv.ParseUint(what, 0, 32)
		if err != nil {
			panic(err)
		}
		os.Exit(int(status))
	}
}

func newSignals() *Signals { return Catch() }

func command(t *testing.T, what string) Command {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Command{Path: program, Args: []string{program, "a b", `c"d`}, Env: append(os.Environ(), "WINDOWS_COMMAND="+what)}
}

func wantRun(t *testing.T, sigs *Signals, c Command, want Status) {
	t.Helper()
	if status, err := Run(sigs, c); status != want || err != nil {
		t.Errorf("%v, %v; want %v", status, err, want)
	}
}

func TestStatus(t *testing.T) {
	for _, want := range []uint32{0, 1, 255, 256, 1000, 0xC000013A, 0xC0000005, 0xFFFFFFFF, 0x80000000, 0x7FFFFFFF} {
		wantRun(t, newSignals(), command(t, fmt.Sprint(want)), Status(want))
	}
}

func TestNoProgram(t *testing.T) {
	c := command(t, "0")
	c.Path = filepath.Join(t.TempDir(), "text.exe")
	if err := os.WriteFile(c.Path, []byte("no program"), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, err := Run(newSignals(), c); status != NotExecutable || err == nil {
		t.Errorf("%v, %v", status, err)
	}
}

// A Ctrl-C before the command's start: it isn't started, and the status is that of a program which
// Ctrl-C ended.
func TestEndedBefore(t *testing.T) {
	sigs := newSignals()
	sigs.cancel(nil)
	started := false
	c := command(t, "0")
	c.Started = func(int, time.Time) { started = true }
	wantRun(t, sigs, c, interrupted)
	if started {
		t.Error("it was started")
	}
}

func TestStop(t *testing.T) {
	c := command(t, "sleep")
	stop := make(chan struct{})
	c.Stop = stop
	c.Started = func(int, time.Time) { close(stop) }
	wantRun(t, newSignals(), c, RunFailed)
}

// What the command has left behind lives on, in the job or not.
func TestLeftBehind(t *testing.T) {
	for _, death := range []string{"", "none"} {
		file := filepath.Join(t.TempDir(), "file")
		c := command(t, "leave "+file)
		c.OnWrapperDeath = death
		wantRun(t, newSignals(), c, 0)
		if _, err := os.Stat(file); err == nil {
			t.Fatal("noted before the command's end: this shows nothing")
		}
		wantFile(t, file)
	}
}

func wantFile(t *testing.T, file string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		text, err := os.ReadFile(file)
		if string(text) == "noted" {
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

func TestFind(t *testing.T) {
	here, path := t.TempDir(), t.TempDir()
	t.Chdir(here)
	t.Setenv("PATH", path)
	t.Setenv("PATHEXT", ".COM;.EXE;.BAT")
	inPath, dotted := filepath.Join(path, "prog.exe"), filepath.Join(path, "v1.2.bat")
	for _, file := range []string{inPath, dotted, "here.exe", "x.ps1", "X.SH", "x.py"} {
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name, path string
		status     Status
		hint       string
	}{
		{"prog", inPath, 0, ""},
		{"PROG.EXE", filepath.Join(path, "PROG.EXE"), 0, ""},
		{inPath, inPath, 0, ""},
		{"v1.2", dotted, 0, ""},
		{`.\here`, `.\here.exe`, 0, ""},
		{"here", "", NotExecutable, `.\here runs it`},
		{"x.ps1", "", NotExecutable, "powershell -File x.ps1"},
		{"X.SH", "", NotExecutable, "bash X.SH"},
		{"x.py", "", NotExecutable, "py x.py"},
		{"nosuch", "", NotFound, "is it in PATH? where.exe nosuch"},
		{`.\nosuch`, "", NotFound, `is it in PATH? where.exe .\nosuch`},
		{filepath.Join(path, "nosuch.exe"), "", NotFound, ""},
	} {
		found, status, err := Find([]string{tt.name}, os.Environ())
		if !strings.EqualFold(found, tt.path) || status != tt.status || (err == nil) != (status == 0) {
			t.Errorf("%s: %q, %v, %v", tt.name, found, status, err)
		}
		if got := hint.Of(err); tt.hint != "" && got != tt.hint {
			t.Errorf("%s: %v, %q", tt.name, err, got)
		}
	}
}
