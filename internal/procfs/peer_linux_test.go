package procfs

import (
	"net"
	"os"
	"path/filepath"
	"testing"
)

// Both ends of a socket are this process.
func TestPeer(t *testing.T) {
	ln, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	client, err := net.Dial("unix", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	for name, c := range map[string]net.Conn{"client": client, "server": server} {
		uid, pid, err := Peer(c.(*net.UnixConn))
		if err != nil || int(uid) != os.Geteuid() || pid != os.Getpid() {
			t.Errorf("peer of the %s: uid %d, pid %d, %v", name, uid, pid, err)
		}
	}
}
