package ecsserver

import (
	"bufio"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// watched is a server whose Watch remembers.
func watched(t *testing.T) (*Server, func() []Fetch) {
	t.Helper()
	var mu sync.Mutex
	var fetches []Fetch
	s := start(t, steady(), Options{MaxTTL: time.Minute, Watch: func(f Fetch) {
		mu.Lock()
		defer mu.Unlock()
		fetches = append(fetches, f)
	}})
	return s, func() []Fetch { mu.Lock(); defer mu.Unlock(); return fetches }
}

// The process that asks is known before it is answered, over a new connection and over a kept one.
func TestWatch(t *testing.T) {
	s, fetches := watched(t)
	c, err := net.Dial("tcp4", s.ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r := bufio.NewReader(c)
	for i := range 3 {
		io.WriteString(c, s.request())
		if status, _, body := response(t, r); status != 200 {
			t.Fatalf("got %d %s", status, body)
		}
		if n := len(fetches()); n != i+1 {
			t.Errorf("answered with %d fetches told; want %d", n, i+1)
		}
	}
	for _, f := range fetches() {
		told, real := time.Until(f.Expires), time.Until(f.Ends)
		if f.PID != os.Getpid() || told > time.Minute || told < 50*time.Second || real < 50*time.Minute {
			t.Errorf("got %+v; want pid %d, told a minute of an hour", f, os.Getpid())
		}
	}
	if st := s.Stats(); st.Processes != 1 || st.LeastLeft > time.Minute || st.LeastLeft < 50*time.Second {
		t.Errorf("got %+v; want one process, a minute left", st)
	}
}

// Who asks is looked for once a connection. A look that takes long delays no answer, and is known to the next.
func TestFindOnce(t *testing.T) {
	var log logged
	s := start(t, steady(), Options{Log: log.logger()})
	f := s.handler.finder
	c := dial(t, s)
	r := bufio.NewReader(c)
	ask := func() (told string) {
		before := len(log.String())
		io.WriteString(c, s.request())
		if status, _, body := response(t, r); status != 200 {
			t.Fatalf("got %d %s", status, body)
		}
		waitFor(t, func() bool { return strings.Contains(log.String()[before:], "event=served") })
		return log.String()[before:]
	}
	f.looking.Lock() // as by a look at a process with a million files
	if told := ask(); strings.Contains(told, "pid=") {
		t.Errorf("it is known already: %s", told)
	}
	f.looking.Unlock()
	waitFor(t, func() bool { return f.count() == 1 })
	f.looking.Lock()
	defer f.looking.Unlock()
	if told := ask(); !strings.Contains(told, "pid="+itoa(os.Getpid())) {
		t.Errorf("got %s; want our pid", told)
	}
}

// A child between fork and exec has all that its parent has open; it is younger, and does not ask.
func TestOpenerIsTheParent(t *testing.T) {
	s, fetches := watched(t)
	c, err := net.Dial("tcp4", s.ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	file, err := c.(*net.TCPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	heir := exec.Command("cat")
	in, err := heir.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	heir.ExtraFiles = []*os.File{file}
	if err := heir.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { in.Close(); heir.Wait() }()
	io.WriteString(c, s.request())
	response(t, bufio.NewReader(c))
	if f := fetches(); len(f) != 1 || f[0].PID != os.Getpid() {
		t.Errorf("got %+v; want pid %d and not %d", f, os.Getpid(), heir.Process.Pid)
	}
}

// Many children that start at once are all told apart, and nobody waits long.
func TestWatchManyProcesses(t *testing.T) {
	const n = 30
	s, fetches := watched(t)
	host, port, _ := strings.Cut(s.ln.Addr().String(), ":")
	script := `exec 3<>/dev/tcp/` + host + `/` + port + `; read go; printf "$1" >&3; read -r a b c <&3; echo $b; read end`
	want := make(map[int]bool)
	var ins []io.WriteCloser
	var outs []*bufio.Reader
	for range n {
		cmd := exec.Command("bash", "-c", script, "bash", strings.ReplaceAll(s.request(), "\r\n", `\r\n`))
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		defer cmd.Wait()
		defer in.Close()
		want[cmd.Process.Pid] = true
		ins, outs = append(ins, in), append(outs, bufio.NewReader(out))
	}
	for _, in := range ins {
		io.WriteString(in, "go\n")
	}
	for _, out := range outs {
		if line, err := out.ReadString('\n'); line != "200\n" {
			t.Errorf("got %q (%v); want 200", line, err)
		}
	}
	for _, f := range fetches() {
		if !want[f.PID] {
			t.Errorf("process %d asked, or asked twice", f.PID)
		}
		delete(want, f.PID)
	}
	if len(want) > 0 || s.Stats().Processes != n {
		t.Errorf("%v were not seen; %d counted", want, s.Stats().Processes)
	}
}

// The event of a GET says who asked; at warn nobody looks.
func TestServedEvent(t *testing.T) {
	var log logged
	s := start(t, steady(), Options{Log: log.logger()})
	get(t, client(t), s)
	got := log.String()
	for _, want := range []string{"event=served", "status=200", "wait=", "left=59m", "pid=" + itoa(os.Getpid()), "name="} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %s", want, got)
		}
	}
	quiet := start(t, steady(), Options{Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	get(t, client(t), quiet)
	if quiet.handler.finder != nil || quiet.Stats().Processes != 0 {
		t.Error("somebody looked who asks")
	}
}
