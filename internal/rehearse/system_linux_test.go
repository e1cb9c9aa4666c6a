package rehearse

import (
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// child starts a command that waits for the end of its stdin, and returns its process id.
func child(t *testing.T, dir, path string, args ...string) int {
	t.Helper()
	cmd := exec.Command(path, args...)
	cmd.Dir = dir
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); cmd.Wait() })
	return cmd.Process.Pid
}

// The name, and the first argument that is a file: never a value that isn't one.
func TestName(t *testing.T) {
	dir := t.TempDir()
	script := filepath.Join(dir, "etl.sh")
	if err := os.WriteFile(script, []byte("read x\n:\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{
		"sh etl.sh": {"etl.sh", "--password", "hunter2"},
		"sh":        {"-c", "read x; :", "hunter2", "--token=hunter2", dir},
	} {
		for _, script := range []string{args[0], filepath.Join(dir, args[0])} {
			if args[0] == "-c" {
				script = "-c"
			}
			pid := child(t, dir, "sh", append([]string{script}, args[1:]...)...)
			got := name(pid)
			for i := 0; i < 500 && got != want; i++ { // exec lets go of our pipe before it has set the arguments up
				time.Sleep(10 * time.Millisecond)
				got = name(pid)
			}
			if got != want {
				t.Errorf("%q: got %q; want %q", args, got, want)
			}
		}
	}
}

// A title that a program gave itself may be a whole command line.
func TestNameOfTitle(t *testing.T) {
	pid := child(t, "", "bash", "-c", `exec -a "server --password=hunter2 x" cat`)
	for range 500 {
		if got := name(pid); got == "cat" {
			return
		}
		time.Sleep(10 * time.Millisecond) // until it is cat
	}
	t.Errorf("got %q; want cat", name(pid))
}

func TestBirth(t *testing.T) {
	pid := child(t, "", "cat")
	first, ok := birth(pid)
	if again, _ := birth(pid); !ok || first == 0 || first != again {
		t.Errorf("got %d, %d, %v", first, again, ok)
	}
	zombie := exec.Command("true")
	if err := zombie.Start(); err != nil {
		t.Fatal(err)
	}
	defer zombie.Wait()
	for range 500 {
		if _, ok := birth(zombie.Process.Pid); !ok {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("a zombie lives")
}

// Our own connections, by either family, with what they have carried; not the listener, and none that is closed.
func TestConnections(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		to := netip.MustParseAddrPort(ln.Addr().String())
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		peer, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer peer.Close()
		before := own(t, to)
		if len(before) != 1 {
			t.Fatalf("%s: got %+v; want one connection", addr, before)
		}
		io.WriteString(c, "request")
		io.ReadFull(peer, make([]byte, 7))
		io.WriteString(peer, "the answer")
		io.ReadFull(c, make([]byte, 10))
		after := own(t, to)
		if len(after) != 1 || after[0].Inode != before[0].Inode || after[0].Sent-before[0].Sent != 7 || after[0].Received-before[0].Received != 10 {
			t.Errorf("%s: got %+v after %+v; want 7 bytes sent, 10 received", addr, after, before)
		}
		c.Close()
		if left := own(t, to); len(left) != 0 {
			t.Errorf("%s: got %+v; want none", addr, left)
		}
	}
}

func own(t *testing.T, to netip.AddrPort) (conns []Conn) {
	t.Helper()
	whose, ok := connections([]int{os.Getpid()})
	if !ok {
		t.Fatal("sock_diag does not answer")
	}
	for _, c := range whose[os.Getpid()] {
		if c.Remote == to {
			conns = append(conns, c)
		}
	}
	return conns
}

// What the kernel would never send must not do more than end the list.
func FuzzParse(f *testing.F) {
	f.Add([]byte{})
	f.Add(request(2))
	whole := make([]byte, headerLen+replyLen+4)
	whole[0], whole[4], whole[16], whole[headerLen+replyLen] = byte(len(whole)), sockDiagByFamily, 2, 4
	f.Add(append(whole, whole...))
	f.Fuzz(func(t *testing.T, b []byte) {
		conns, _ := parse(b, nil)
		if len(conns) > len(b)/(headerLen+replyLen) {
			t.Errorf("%d connections in %d bytes", len(conns), len(b))
		}
	})
}
