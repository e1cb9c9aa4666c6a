//go:build unix

package notify

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestSend(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	to := To(func(name string) string { return map[string]string{"NOTIFY_SOCKET": path}[name] })
	if err := to.Send("READY=1", "STATUS=serving"); err != nil {
		t.Fatal(err)
	}
	manager.SetReadDeadline(time.Now().Add(5 * time.Second))
	b := make([]byte, 100)
	n, err := manager.Read(b)
	if got := string(b[:n]); err != nil || got != "READY=1\nSTATUS=serving" {
		t.Errorf("got %q, %v", got, err)
	}
	manager.Close()
	if err := to.Send("STOPPING=1"); err == nil {
		t.Error("nobody listens, and that is no error")
	}
	if err := (Socket{}).Send("READY=1"); err != nil {
		t.Errorf("nobody wants to know: %v", err)
	}
}

// The manager's descriptors begin with 3, so this test is run again as such a service. What is for
// another process, and what is no listener, is not taken.
func TestListeners(t *testing.T) {
	if what := os.Getenv("TAKE"); what != "" {
		take(t)
		return
	}
	tcp, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	path := filepath.Join(t.TempDir(), "s")
	unix, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close()
	dgram, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer dgram.Close()
	for want, files := range map[string][]interface{ File() (*os.File, error) }{
		tcp.Addr().String() + " " + path:                 {tcp, unix},
		"descriptor 4 of LISTEN_FDS: it does not listen": {tcp, dgram.(*net.UDPConn)},
	} {
		cmd := exec.Command("sh", "-c", `export LISTEN_PID=$$; exec "$@"`, "sh", os.Args[0], "-test.run=^TestListeners$")
		cmd.Env = append(os.Environ(), "TAKE=1", "LISTEN_FDS=2")
		for _, f := range files {
			file, err := f.File()
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			cmd.ExtraFiles = append(cmd.ExtraFiles, file)
		}
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "took: "+want+"\n") {
			t.Errorf("want %q: %v\n%s", want, err, out)
		}
	}
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the manager's socket: %v", err)
	}
}

func take(t *testing.T) {
	lns, err := Listeners(os.Getenv)
	var names []string
	for _, ln := range lns {
		names = append(names, ln.Addr().String())
		ln.Close()
	}
	if err != nil {
		names = append(names, err.Error())
	}
	os.Stdout.WriteString("took: " + strings.Join(names, " ") + "\n")
	other := func(name string) string { return map[string]string{"LISTEN_FDS": "2", "LISTEN_PID": "1"}[name] }
	if lns, err := Listeners(other); len(lns) > 0 || err != nil {
		t.Errorf("what is another's: %v, %v", lns, err)
	}
}
