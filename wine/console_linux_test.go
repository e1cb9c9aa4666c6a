package wine

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
)

// A console is a terminal with a program of the machine on it.
type console struct {
	t      *testing.T
	master *os.File
	ended  chan int // the status
	mu     sync.Mutex
	shown  bytes.Buffer
}

func (m *machine) console(argv ...string) *console {
	m.t.Helper()
	cmd := m.command(argv...)
	master, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 50, Cols: 200})
	if err != nil {
		m.t.Fatal(err)
	}
	c := &console{t: m.t, master: master, ended: make(chan int, 1)}
	m.t.Cleanup(func() { master.Close() })
	go c.read()
	go func() {
		cmd.Wait()
		c.ended <- cmd.ProcessState.ExitCode()
	}()
	return c
}

func (c *console) read() {
	b := make([]byte, 4096)
	for {
		n, err := c.master.Read(b)
		c.mu.Lock()
		c.shown.Write(b[:n])
		c.mu.Unlock()
		if err != nil {
			return
		}
	}
}

var escapes = regexp.MustCompile(`\x1b\[[0-9;?]*[a-zA-Z]|\x1b\][^\x07]*\x07|\r`)

// text is what was shown, without what moves and colours it.
func (c *console) text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return escapes.ReplaceAllString(c.shown.String(), "")
}

// await waits until the console shows this, or a file holds it.
func (c *console) await(what string, show func() string) {
	c.t.Helper()
	for end := time.Now().Add(time.Minute); !strings.Contains(show(), what); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			c.t.Fatalf("no %q in %q; shown %q", what, show(), c.text())
		}
	}
}

func (c *console) write(keys string) {
	c.t.Helper()
	if _, err := c.master.WriteString(keys); err != nil {
		c.t.Fatal(err)
	}
}

func (c *console) end() (status int) {
	c.t.Helper()
	select {
	case status = <-c.ended:
	case <-time.After(time.Minute):
		c.t.Fatalf("goes on; shown %q", c.text())
	}
	return status
}

// noted is what a helper has noted.
func noted(name string) string {
	text, _ := os.ReadFile(filepath.Join(dir, name))
	return string(text)
}

// W1, W17: a Ctrl-C is the command's, once it runs: it ends as it does without us. Before that it ends brs-exec.
func TestCtrlC(t *testing.T) {
	const byCtrlC = 0xC000013A & 0xff // Unix has eight bits of it
	m := newMachine(t)
	batch := "@.\\helper.exe saves " + seen("batch") + "\r\n@echo after>>" + seen("batch") + "\r\n@exit /b 3\r\n"
	if err := os.WriteFile(filepath.Join(dir, "asks.bat"), []byte(batch), 0o644); err != nil {
		t.Fatal(err)
	}
	tries := map[string][]string{
		"goes-on": {`.\helper.exe`, "go-on", seen("goes-on"), "3"},
		"dies":    {`.\helper.exe`, "saves", seen("dies")},
		"batch":   {"cmd.exe", "/c", "asks.bat"},
	}
	try := func(name string, argv []string) (status int, notes string) {
		os.Remove(filepath.Join(dir, name))
		c := m.console(argv...)
		c.await("\n", func() string { return noted(name) })
		time.Sleep(500 * time.Millisecond)
		c.write("\x03")
		status = c.end()
		notes = regexp.MustCompile(`^\d+\s+`).ReplaceAllString(noted(name), "") // without the process id
		return status, strings.ReplaceAll(notes, "alive\n", "")
	}
	type end struct {
		status int
		notes  string
	}
	// Wine's cmd is of three minds, by itself, too: of 14 tries it died in 11, went on in 2, and was done in 1.
	ofBatch := []end{{byCtrlC, ""}, {3, "after\r\n"}, {0, ""}}
	for name, argv := range tries {
		want, notes := try(name, argv)
		ends := []end{{want, notes}}
		if name == "batch" {
			ends = ofBatch
		}
		runs := [][]string{under(argv...)}
		if name == "dies" {
			runs = append(runs, under(under(argv...)...))
		}
		for _, wrapped := range runs {
			if status, got := try(name, wrapped); !slices.Contains(ends, end{status, got}) {
				t.Errorf("%s: status %d, %q; bare %d, %q", name, status, got, want, notes)
			}
		}
		m.wantEmptyTemp()
	}
	if status, notes := try("goes-on", tries["goes-on"]); status != 0 || notes != "began\ninterrupted\nended\n" {
		t.Errorf("status %d, %q: this shows nothing", status, notes)
	}

	c := m.console(`.\brs-exec.exe`, "--sandbox")
	c.await("rotated", c.text)
	c.write("\x03")
	if status := c.end(); status != byCtrlC {
		t.Errorf("the demonstration: status %d; shown %q", status, c.text())
	}
	os.Remove(filepath.Join(dir, "slow"))
	c = m.console(`.\brs-exec.exe`, "--credential-command", `.\helper.exe child `+seen("slow"), "--", `.\whois.exe`)
	c.await("began", func() string { return noted("slow") })
	c.write("\x03")
	if status := c.end(); status != byCtrlC {
		t.Errorf("before the start: status %d; shown %q", status, c.text())
	}
	wantSilence(t, filepath.Join(dir, "slow"))
	m.wantEmptyTemp()
}

// W11: an MFA code is asked for on the console, and not shown; stdin and stdout are the command's.
func TestPrompt(t *testing.T) {
	m := machineWithSTS(t)
	c := m.console("cmd.exe", "/c", `.\brs-exec.exe --serial-number arn:aws:iam::000000000000:mfa/me --role-arn `+
		`arn:aws:iam::123456789012:role/needs-mfa -- .\whois.exe <asks.bat >`+seen("who"))
	c.await("Enter MFA code for arn:aws:iam::000000000000:mfa/me:", c.text)
	time.Sleep(500 * time.Millisecond)
	c.write("123456\r")
	if status := c.end(); status != 0 || !strings.HasPrefix(noted("who"), "arn:aws:sts::123456789012:assumed-role/needs-mfa/") {
		t.Errorf("status %d, %q; shown %q", status, noted("who"), c.text())
	}
	if strings.Contains(c.text(), "123456\n") || strings.Contains(c.text(), "me: 123456") {
		t.Errorf("the code was shown: %q", c.text())
	}
	m.wantEmptyTemp()
}
