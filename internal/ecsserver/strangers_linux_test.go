package ecsserver

import (
	"bufio"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"brs-exec/internal/procfs"
	"brs-exec/need"
)

// A burst of clients of ours loses none.
func TestBurst(t *testing.T) {
	s := start(t, steady(), Options{})
	var burst []net.Conn
	for range 256 {
		burst = append(burst, dial(t, s))
	}
	for _, c := range burst {
		io.WriteString(c, s.request())
	}
	for _, c := range burst {
		if status, _, _ := response(t, bufio.NewReader(c)); status != 200 {
			t.Errorf("got %d; want 200", status)
		}
	}
	if st := s.Stats(); st.Displaced != 0 {
		t.Errorf("%d were displaced", st.Displaced)
	}
}

// Who has shown the token vouches for the further connections of its user.
func TestFamiliar(t *testing.T) {
	need.That(t, os.Geteuid() == 0, "root", "run the tests as root")
	s := start(t, steady(), Options{})
	dialAsOther := anotherUser(t, s)
	want := func(foreigners, familiars int) {
		t.Helper()
		waitFor(t, func() bool {
			return s.ln.places.countOf(foreign) == foreigners && s.ln.places.countOf(familiar) == familiars
		})
	}
	dialAsOther()
	want(1, 0)
	dial(t, s)
	want(1, 1)
	c := dialAsOther()
	io.WriteString(c, s.request())
	if status, _, _ := response(t, bufio.NewReader(c)); status != 200 {
		t.Fatalf("got %d; want 200", status)
	}
	dialAsOther()
	want(1, 2)
}

func TestGoneIsForeign(t *testing.T) {
	s, err := Listen(steady(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	s.ln.peer = func(client, server netip.AddrPort) (procfs.Socket, error) { return procfs.Socket{}, procfs.ErrNoSocket }
	stop := serve(t, s)
	defer stop()
	dial(t, s)
	waitFor(t, func() bool { return s.ln.places.countOf(foreign) == 1 })
}

// The oldest goes when strangers have sent too much in all, and what it had sent counts no more.
func TestStrangersShareABudget(t *testing.T) {
	s := start(t, steady(), Options{})
	const each = 7 << 10
	for i := range mostBytes/each + 10 {
		c := dial(t, s)
		io.WriteString(c, "GET /credentials HTTP/1.1\r\na:"+strings.Repeat("b", each))
		if i == 0 {
			waitFor(t, func() bool { return s.ln.places.sentBy(familiar) > each })
		}
	}
	waitFor(t, func() bool { return s.Stats().Displaced >= 10 })
	if n := s.ln.places.sentBy(familiar); n > mostBytes || n < mostBytes-2*each {
		t.Errorf("%d bytes are counted; want hardly less than %d", n, mostBytes)
	}
}

func (p *places) sentBy(r rank) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.bytes[r]
}

// With few descriptors a flood by another user costs us no answer.
func TestFloodWithFewDescriptors(t *testing.T) {
	need.That(t, os.Geteuid() == 0, "root", "run the tests as root")
	for _, nofile := range []int{64, 128, 256} {
		t.Run(itoa(nofile), func(t *testing.T) {
			s, _, _ := elsewhere(t, "ECSSERVER_NOFILE_FIRST="+itoa(nofile))
			flood := exec.Command(os.Args[0])
			flood.Env = []string{"ECSSERVER_FLOOD=" + s.addr()}
			in, err := flood.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := flood.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() { in.Close(); flood.Wait() }()
			time.Sleep(100 * time.Millisecond)
			askFor(t, s, time.Second) // it fails when one is lost; how long it takes is the processors' affair
		})
	}
}

func init() {
	if addr := os.Getenv("ECSSERVER_FLOOD"); addr != "" {
		flood(addr)
	}
}

// flood opens connections as another user, most of which say something, until stdin ends, and keeps the last of them.
func flood(addr string) {
	if err := syscall.Setuid(int(another())); err != nil {
		panic(err)
	}
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	var kept [300]net.Conn
	for i := 0; ; i++ {
		c, err := net.Dial("tcp4", addr)
		if err != nil {
			continue
		}
		if i%3 != 0 {
			io.WriteString(c, "GET /credentials HTTP/1.1\r\na:b\r\n")
		}
		if last := kept[i%len(kept)]; last != nil {
			last.Close()
		}
		kept[i%len(kept)] = c
	}
}
