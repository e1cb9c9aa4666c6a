package ecsserver

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"brs-exec/need"
)

// closed reports whether the server has closed a connection.
func closed(c net.Conn) bool {
	c.SetReadDeadline(time.Now().Add(5 * time.Second))
	defer c.SetReadDeadline(time.Time{})
	_, err := c.Read(make([]byte, 1))
	return err != nil && !os.IsTimeout(err)
}

// limited starts a server for so many connections.
func limited(t *testing.T, max int, o Options) *Server {
	t.Helper()
	s, err := Listen(steady(), o)
	if err != nil {
		t.Fatal(err)
	}
	s.ln.places.limit = max
	stop := serve(t, s)
	t.Cleanup(func() { stop() })
	return s
}

// proven opens a connection, has an answer by it and leaves it idle.
func proven(t *testing.T, s *Server) (net.Conn, *bufio.Reader) {
	t.Helper()
	c := dial(t, s)
	r := bufio.NewReader(c)
	io.WriteString(c, s.request())
	if status, _, body := response(t, r); status != 200 {
		t.Fatalf("got %d %s; want 200", status, body)
	}
	return c, r
}

func TestOldestUnprovenGoesFirst(t *testing.T) {
	var log logged
	s := limited(t, 4, Options{Log: log.logger()})
	known, r := proven(t, s)
	var unproven []net.Conn
	for i := range 3 {
		unproven = append(unproven, dial(t, s))
		waitFor(t, func() bool { return s.ln.places.count() == 2+i })
	}
	for i := range 3 {
		unproven = append(unproven, dial(t, s))
		if !closed(unproven[i]) {
			t.Fatalf("%d is still there", i)
		}
	}
	for _, c := range append(unproven[3:], known) {
		io.WriteString(c, s.request())
		if c == known {
			if status, _, _ := response(t, r); status != 200 {
				t.Errorf("who has shown the token: got %d; want 200", status)
			}
		} else if status, _, _ := response(t, bufio.NewReader(c)); status != 200 {
			t.Errorf("a younger one: got %d; want 200", status)
		}
	}
	if st := s.Stats(); st.Displaced != 3 || s.ln.places.count() != 4 {
		t.Errorf("got %d displaced, %d left; want 3 and 4", st.Displaced, s.ln.places.count())
	}
	if got := strings.Count(log.String(), "level=WARN"); got != 1 {
		t.Errorf("got %d warnings; want 1:\n%s", got, &log)
	}
}

func TestAllProven(t *testing.T) {
	s := limited(t, 3, Options{})
	var known []net.Conn
	var readers []*bufio.Reader
	for range 3 {
		c, r := proven(t, s)
		known, readers = append(known, c), append(readers, r)
		waitFor(t, func() bool { return s.ln.places.active() == 0 }) // the server may hear of it after the client
	}
	io.WriteString(known[0], s.request()) // now the second is the one that has been idle for longest
	response(t, readers[0])
	waitFor(t, func() bool { return s.ln.places.active() == 0 })
	newcomer, _ := proven(t, s)
	if !closed(known[1]) {
		t.Error("who was idle for longest is still there")
	}
	for i, c := range []net.Conn{known[0], known[2], newcomer} {
		io.WriteString(c, s.request())
		if status, _, _ := response(t, bufio.NewReader(c)); status != 200 {
			t.Errorf("%d: got %d; want 200", i, status)
		}
	}
}

// Who is being answered stays; then the newcomer has to go.
func TestAllBusy(t *testing.T) {
	s, err := Listen(failing(fmt.Errorf("down")), Options{Wait: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	s.ln.places.limit = 2
	stop := serve(t, s)
	defer stop()
	var busy []net.Conn
	for range 2 {
		c := dial(t, s)
		io.WriteString(c, s.request())
		busy = append(busy, c)
	}
	waitFor(t, func() bool { return s.ln.places.active() == 2 })
	if !closed(dial(t, s)) {
		t.Error("the newcomer was let in")
	}
	for _, c := range busy {
		if status, _, _ := response(t, bufio.NewReader(c)); status != 503 {
			t.Errorf("got %d; want 503", status)
		}
	}
}

func TestTimeouts(t *testing.T) {
	s, err := Listen(steady(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.ln.Close()
	if h := s.http; h.IdleTimeout <= 90*time.Second || h.ReadTimeout < 5*time.Second || h.WriteTimeout < 5*time.Second {
		t.Errorf("got %v, %v, %v: SDKs keep a connection for 90 s", h.IdleTimeout, h.ReadTimeout, h.WriteTimeout)
	}
}

// Clients that stop halfway are closed, each in its state; one that keeps asking is not.
func TestSlowClients(t *testing.T) {
	s, err := Listen(steady(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	s.http.ReadTimeout, s.http.WriteTimeout, s.http.IdleTimeout = 500*time.Millisecond, 500*time.Millisecond, 2*time.Second
	stop := serve(t, s)
	defer stop()
	busy, busyReader := proven(t, s)
	slow := map[string]net.Conn{}
	for _, tt := range []struct{ name, raw string }{
		{"silent", ""},
		{"half a header", "GET /credentials HTTP/1.1\r\nHost: 127"},
		{"a body that never comes", strings.Replace(s.request(), "\r\n", "\r\nContent-Length: 9\r\n", 1)},
	} {
		slow[tt.name] = dial(t, s)
		io.WriteString(slow[tt.name], tt.raw)
	}
	slow["idle"], _ = proven(t, s)
	slow["reads nothing"] = deaf(t, s)
	ended := make(chan string)
	for name, c := range slow {
		go func() {
			if name == "reads nothing" { // it may take its kernel minutes to hear of the end
				for s.ln.places.has(c.LocalAddr()) {
					time.Sleep(5 * time.Millisecond)
				}
			} else {
				io.Copy(io.Discard, c)
			}
			ended <- name
		}()
	}
	timeout := time.After(15 * time.Second)
	for range slow {
		for got := false; !got; {
			select {
			case name := <-ended:
				delete(slow, name)
				got = true
			case <-time.After(20 * time.Millisecond):
				io.WriteString(busy, s.request())
				if status, _, _ := response(t, busyReader); status != 200 {
					t.Fatalf("the busy one: got %d; want 200", status)
				}
			case <-timeout:
				t.Fatalf("still open: %v", slow)
			}
		}
	}
	waitFor(t, func() bool { return s.ln.places.count() == 1 })
}

// deaf sends requests, whose answers it doesn't read, until no more go through.
func deaf(t *testing.T, s *Server) net.Conn {
	t.Helper()
	c := dial(t, s)
	c.(*net.TCPConn).SetReadBuffer(4096)
	raw := []byte(strings.Repeat(s.request(), 100))
	c.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
	for {
		if _, err := c.Write(raw); err != nil {
			c.SetWriteDeadline(time.Time{})
			return c
		}
	}
}

// has reports whether the client at addr has a connection.
func (p *places) has(addr net.Addr) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conns := range p.byRank {
		for c := range conns {
			if c.RemoteAddr().String() == addr.String() {
				return true
			}
		}
	}
	return false
}

// The helper process is a server alone in its process, so that the hostile clients of a test don't share its
// runtime, and so that its limit on descriptors can be its own.
func TestMain(m *testing.M) {
	if os.Getenv("ECSSERVER_HELPER") != "" {
		helper()
		return
	}
	os.Exit(need.Run(m))
}

func helper() {
	if n, _ := strconv.Atoi(os.Getenv("ECSSERVER_NOFILE_FIRST")); n > 0 {
		if err := lowerNOFILE(n); err != nil {
			panic(err)
		}
	}
	s, err := Listen(steady(), Options{})
	if err != nil {
		panic(err)
	}
	if n, _ := strconv.Atoi(os.Getenv("ECSSERVER_NOFILE")); n > 0 {
		if err := lowerNOFILE(n); err != nil { // after Listen: the cap doesn't know of it
			panic(err)
		}
	}
	if d, _ := time.ParseDuration(os.Getenv("ECSSERVER_TIMEOUTS")); d > 0 {
		s.http.ReadTimeout, s.http.WriteTimeout, s.http.IdleTimeout = d, d, d
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	fmt.Println(s.URL(), s.Token())
	if err := s.Serve(ctx); err != nil {
		panic(err)
	}
	json.NewEncoder(os.Stdout).Encode(s.Stats())
}

// elsewhere starts the helper; stop ends it and returns its statistics.
func elsewhere(t *testing.T, env ...string) (s *Server, pid int, stop func() Stats) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append([]string{"ECSSERVER_HELPER=1"}, env...)
	cmd.Stderr = os.Stderr
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
	var url, token string
	r := bufio.NewReader(out)
	if _, err := fmt.Fscanln(r, &url, &token); err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceValue(func() (st Stats) {
		in.Close()
		if err := json.NewDecoder(r).Decode(&st); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
		return st
	})
	t.Cleanup(func() { stop() })
	return &Server{url: url, handler: &handler{o: Options{Token: token}}}, cmd.Process.Pid, stop
}

func (s *Server) addr() string {
	return strings.TrimSuffix(strings.TrimPrefix(s.url, "http://"), path)
}

// Issue 5: a client that hangs, floods or sends garbage never delays another's answer beyond 50 ms. As the attack also
// takes the processor away from the victim itself, it is measured beside the same attack on another server, in turns.
func TestHostileClients(t *testing.T) {
	ours, _, stop := elsewhere(t)
	other, _, _ := elsewhere(t)
	var spared, attacked []time.Duration // the worst of each round
	const rounds = 5
	for range rounds {
		spared = append(spared, underAttack(t, ours, other))
		attacked = append(attacked, underAttack(t, ours, ours))
	}
	slices.Sort(spared)
	slices.Sort(attacked)
	t.Logf("worst answers while another server is attacked %v; while this one is %v; %+v", spared, attacked, stop())
	// The second best of five: what else the machine does can only add, and adds up to half a second to either
	// side; a client that holds others up does so in every round.
	if s, a := spared[1], attacked[1]; a > s+50*time.Millisecond {
		t.Errorf("an answer took %v, with another server attacked %v; want 50ms more at most", a, s)
	}
}

// underAttack returns the longest that an answer of one server took while hostile clients were at another.
func underAttack(t *testing.T, victim, target *Server) time.Duration {
	halt := make(chan struct{})
	var wg sync.WaitGroup
	for _, h := range hostile(target) {
		for range h.n {
			wg.Go(func() { h.until(halt) })
		}
	}
	time.Sleep(200 * time.Millisecond)
	took := askFor(t, victim, 400*time.Millisecond)
	close(halt)
	wg.Wait()
	return took
}

// askFor asks every 5 ms, on a connection of its own each time, and returns the longest that took.
func askFor(t *testing.T, s *Server, d time.Duration) (longest time.Duration) {
	t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		began := time.Now()
		c, err := net.Dial("tcp4", s.addr())
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(began.Add(5 * time.Second))
		io.WriteString(c, s.request())
		status, _, body := response(t, bufio.NewReader(c))
		c.Close()
		longest = max(longest, time.Since(began))
		if status != 200 {
			t.Fatalf("got %d %s; want 200", status, body)
		}
	}
	return longest
}

// attack is one way to be a nuisance, by n clients at once, each with a pause between two tries: the machine has two
// cores, and a client that takes one of them for itself delays others whatever the server does.
type attack struct {
	n     int
	pause time.Duration
	try   func(c net.Conn, halt <-chan struct{})
	addr  string
}

func (a attack) until(halt <-chan struct{}) {
	for {
		if c, err := net.Dial("tcp4", a.addr); err == nil {
			c.SetDeadline(time.Now().Add(5 * time.Second))
			a.try(c, halt)
			c.Close()
		}
		if within(halt, a.pause) {
			return
		}
	}
}

func hostile(s *Server) []attack {
	send := func(raw string) func(net.Conn, <-chan struct{}) {
		return func(c net.Conn, _ <-chan struct{}) {
			io.WriteString(c, raw)
			io.Copy(io.Discard, c)
		}
	}
	hold := func(raw string) func(net.Conn, <-chan struct{}) {
		return func(c net.Conn, halt <-chan struct{}) {
			io.WriteString(c, raw)
			<-halt
		}
	}
	drip := func(c net.Conn, halt <-chan struct{}) {
		for _, b := range []byte(s.request()) {
			if _, err := c.Write([]byte{b}); err != nil || within(halt, 50*time.Millisecond) {
				return
			}
		}
	}
	pipeline := func(c net.Conn, halt <-chan struct{}) {
		raw := []byte(strings.Repeat(s.request(), 10))
		for {
			if _, err := c.Write(raw); err != nil || within(halt, 20*time.Millisecond) {
				return
			}
		}
	}
	const ms, pause = time.Millisecond, 20 * time.Millisecond
	a := s.addr()
	return []attack{
		{200, ms, hold(""), a},
		{50, ms, hold("GET /credentials HTTP/1.1\r\nHost: 127"), a},
		{20, ms, drip, a},
		{4, pause, send("garbage\r\n\r\n"), a},
		{4, pause, send("GET /credentials HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: guess\r\n\r\n"), a},
		{2, pause, send("GET /" + strings.Repeat("x", 20_000)), a},
		{4, pause, func(net.Conn, <-chan struct{}) {}, a}, // opens and closes
		{4, pause, pipeline, a}, // never reads
	}
}
