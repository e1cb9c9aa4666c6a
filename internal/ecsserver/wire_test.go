package ecsserver

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// exchange sends raw on a connection of its own and returns everything that comes back until the server closes.
func exchange(t testing.TB, s *Server, raw string) string {
	t.Helper()
	c := dial(t, s)
	io.WriteString(c, raw)
	b, _ := io.ReadAll(c) // a reset after the answer is no matter
	return string(b)
}

func TestKeepAlive(t *testing.T) {
	s := start(t, steady(), Options{})
	c := dial(t, s)
	r := bufio.NewReader(c)
	for i := range 5 {
		io.WriteString(c, s.request())
		if status, header, body := response(t, r); status != 200 || header.Get("Connection") != "" {
			t.Fatalf("request %d: got %d %s, Connection %q; want 200 and none", i, status, body, header.Get("Connection"))
		}
	}
	io.WriteString(c, s.request()+s.request()) // pipelined
	for range 2 {
		if status, _, _ := response(t, r); status != 200 {
			t.Errorf("pipelined: got %d; want 200", status)
		}
	}
	if st := s.Stats(); st.Served != 7 {
		t.Errorf("got %d served; want 7", st.Served)
	}
}

func TestWire(t *testing.T) {
	s := start(t, steady(), Options{})
	auth := "Host: 127.0.0.1\r\nAuthorization: " + s.Token() + "\r\n"
	for _, tt := range []struct {
		name, raw string
		want      string // how the answer begins
		not       string // what is not in it
	}{
		{"close", "GET /credentials HTTP/1.1\r\nConnection: close\r\n" + auth + "\r\n", "HTTP/1.1 200 OK", ""},
		{"HTTP/1.0", "GET /credentials HTTP/1.0\r\n" + auth + "\r\n", "HTTP/1.0 200 OK", "chunked"},
		{"no token", "GET /credentials HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "HTTP/1.1 401", "ASIA"},
		{"browser", "GET /credentials HTTP/1.1\r\nOrigin: x\r\n" + auth + "\r\n", "HTTP/1.1 403", "ASIA"},
		{"rebinding", "GET /credentials HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 403", "ASIA"},
		{"HEAD", "HEAD /credentials HTTP/1.1\r\nConnection: close\r\n" + auth + "\r\n", "HTTP/1.1 405", "Code"},
		{"unclean path is no redirect", "GET //credentials HTTP/1.1\r\nConnection: close\r\n" + auth + "\r\n", "HTTP/1.1 404", "Location"},
		{"body announced, not sent", "GET /credentials HTTP/1.1\r\nContent-Length: 1000000\r\n" + auth + "\r\n", "HTTP/1.1 200 OK", ""},
		{"a small one", "GET /credentials HTTP/1.1\r\nContent-Length: 5\r\n" + auth + "\r\nabcde", "HTTP/1.1 200 OK", ""},
		{"chunked", "GET /credentials HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + auth + "\r\n5\r\nabcde\r\n0\r\n\r\n", "HTTP/1.1 200 OK", ""},
		{"100-continue", "GET /credentials HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n" + auth + "\r\n", "HTTP/1.1 200 OK", "100 Continue"},
		{"POST with a body", "POST /credentials HTTP/1.1\r\nContent-Length: 1000000\r\n" + auth + "\r\nabc", "HTTP/1.1 405", "ASIA"},
		{"h2c", "GET /credentials HTTP/1.1\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nConnection: Upgrade, HTTP2-Settings, close\r\n" + auth + "\r\n", "HTTP/1.1 200 OK", "101"},
		{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/1.1 403", "ASIA"},
		{"TLS", "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\r\n\r\n", "HTTP/1.1 400", "ASIA"},
		{"no Host", "GET /credentials HTTP/1.1\r\n\r\n", "HTTP/1.1 400", "ASIA"},
		{"two Hosts", "GET /credentials HTTP/1.1\r\nHost: x\r\n" + auth + "\r\n", "HTTP/1.1 400", "ASIA"},
		{"smuggling", "GET /credentials HTTP/1.1\r\nTransfer-Encoding: x\r\n" + auth + "\r\n", "HTTP/1.1 501", "ASIA"},
		{"garbage", "\x00\x01\x02\x03\r\n\r\n", "HTTP/1.1 400", "ASIA"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := dial(t, s)
			io.WriteString(c, tt.raw)
			began := time.Now()
			first := make([]byte, 4096)
			n, err := c.Read(first)
			if err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took > time.Second {
				t.Errorf("the answer took %v", took)
			}
			c.(*net.TCPConn).CloseWrite() // or the server waits for the rest of a body, as long as it allows
			rest, _ := io.ReadAll(c)
			got := string(first[:n]) + string(rest)
			if !strings.HasPrefix(got, tt.want) || tt.not != "" && strings.Contains(got, tt.not) {
				t.Errorf("got %q; want it to begin %q and not to hold %q", got, tt.want, tt.not)
			}
			if strings.Count(got, "HTTP/1.") != 1 {
				t.Errorf("got more than one answer: %q", got)
			}
		})
	}
}

// net/http's own complaints are debug lines.
func TestNothingOnStderr(t *testing.T) {
	var log logged
	s, err := Listen(steady(), Options{Log: log.logger()})
	if err != nil {
		t.Fatal(err)
	}
	s.http.ErrorLog.Print("complaint")
	stop := serve(t, s)
	exchange(t, s, "garbage\r\n\r\n")
	stop()
	if got := log.String(); strings.Count(got, "level=DEBUG msg=complaint") != 1 || strings.Contains(got, "WARN") {
		t.Errorf("got\n%s\nwant one debug line, no warning", got)
	}
}

// 8 KiB of request line and headers pass, one byte more does not.
func TestHeaderLimit(t *testing.T) {
	s := start(t, steady(), Options{})
	for _, tt := range []struct {
		size, want int
	}{{8192, 200}, {8193, 431}, {100_000, 431}} {
		head := strings.TrimSuffix(s.request(), "\r\n") + "X-Fill: "
		raw := head + strings.Repeat("x", tt.size-len(head)-4) + "\r\n\r\n"
		if len(raw) != tt.size {
			t.Fatalf("made %d bytes; want %d", len(raw), tt.size)
		}
		c := dial(t, s)
		go io.WriteString(c, raw)
		if status, _, _ := response(t, bufio.NewReader(c)); status != tt.want {
			t.Errorf("%d bytes: got %d; want %d", tt.size, status, tt.want)
		}
	}
	raw := "GET /" + strings.Repeat("x", 9000) + " HTTP/1.1\r\n"
	if got := exchange(t, s, raw); !strings.HasPrefix(got, "HTTP/1.1 431") {
		t.Errorf("long request line: got %.40q; want 431", got)
	}
}

// A connection made before Serve waits in the queue.
func TestListeningBeforeServe(t *testing.T) {
	s, err := Listen(steady(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	c := dial(t, s)
	io.WriteString(c, s.request())
	stop := serve(t, s)
	defer stop()
	if status, _, _ := response(t, bufio.NewReader(c)); status != 200 {
		t.Errorf("got %d; want 200", status)
	}
}

// Issue 5: 1,000 simultaneous GETs, each on its own connection.
func TestThousandConnections(t *testing.T) {
	s := start(t, steady(), Options{})
	if max := s.ln.places.limit; max < 1000 {
		t.Fatalf("the limit on descriptors leaves %d connections; want 1000", max)
	}
	var ok atomic.Int64
	var wg sync.WaitGroup
	request := s.request()
	for range 1000 {
		c := dial(t, s)
		wg.Go(func() {
			io.WriteString(c, request)
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Error(err)
				return
			}
			var d document
			if err := json.NewDecoder(resp.Body).Decode(&d); err == nil && resp.StatusCode == 200 && d.AccessKeyId == "ASIA1" {
				ok.Add(1)
			}
		})
	}
	wg.Wait()
	if st := s.Stats(); ok.Load() != 1000 || st.Served != 1000 || st.Displaced != 0 {
		t.Errorf("got %d answers, %+v; want 1000", ok.Load(), st)
	}
}

func TestEnd(t *testing.T) {
	t.Run("nothing open", func(t *testing.T) {
		s, err := Listen(steady(), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if took := serve(t, s)(); took > 200*time.Millisecond {
			t.Errorf("took %v", took)
		}
		if c, err := net.Dial("tcp4", s.ln.Addr().String()); err == nil {
			c.Close()
			t.Error("the port is still open")
		}
	})
	t.Run("idle, silent and slow clients don't hold it up", func(t *testing.T) {
		s, err := Listen(steady(), Options{})
		if err != nil {
			t.Fatal(err)
		}
		stop := serve(t, s)
		idle, silent, slow := dial(t, s), dial(t, s), dial(t, s)
		io.WriteString(slow, "GET /credentials HTTP/1.1\r\nHost: 127")
		io.WriteString(idle, s.request())
		r := bufio.NewReader(idle)
		response(t, r)
		waitFor(t, func() bool { return s.ln.places.count() == 3 })
		if took := stop(); took > 300*time.Millisecond {
			t.Errorf("took %v", took)
		}
		for name, c := range map[string]io.Reader{"idle": r, "silent": silent, "slow": slow} {
			if b, err := io.ReadAll(c); err != nil || len(b) != 0 {
				t.Errorf("%s: got %q, %v; want a clean end", name, b, err)
			}
		}
	})
	t.Run("who waits for credentials is told", func(t *testing.T) {
		s, err := Listen(failing(errors.New("down")), Options{Wait: 5 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		stop := serve(t, s)
		var clients []net.Conn
		for range 20 {
			c := dial(t, s)
			io.WriteString(c, s.request())
			clients = append(clients, c)
		}
		waitFor(t, func() bool { return s.ln.places.active() == 20 })
		if took := stop(); took > 300*time.Millisecond {
			t.Errorf("took %v", took)
		}
		for _, c := range clients {
			status, header, body := response(t, bufio.NewReader(c))
			if status != 503 || !strings.Contains(body, `"code":"Ending"`) || header.Get("Connection") != "close" {
				t.Errorf("got %d %s", status, body)
			}
		}
	})
	t.Run("an answer on its way arrives", func(t *testing.T) {
		asked, release := make(chan bool), make(chan bool)
		s, err := Listen(aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			asked <- true
			<-release
			return creds("1", time.Now().Add(time.Hour)), nil
		}), Options{})
		if err != nil {
			t.Fatal(err)
		}
		stop := serve(t, s)
		c := dial(t, s)
		io.WriteString(c, s.request())
		<-asked
		time.AfterFunc(50*time.Millisecond, func() { close(release) })
		stop()
		if status, _, body := response(t, bufio.NewReader(c)); status != 200 {
			t.Errorf("got %d %s; want 200", status, body)
		}
	})
	t.Run("a provider that hangs is left behind", func(t *testing.T) {
		release := make(chan bool)
		defer close(release)
		s, err := Listen(aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			<-release
			return aws.Credentials{}, errors.New("late")
		}), Options{})
		if err != nil {
			t.Fatal(err)
		}
		stop := serve(t, s)
		c := dial(t, s)
		io.WriteString(c, s.request())
		waitFor(t, func() bool { return s.ln.places.active() == 1 })
		stop() // checks the second
	})
	t.Run("a listener that breaks is an error", func(t *testing.T) {
		s, err := Listen(steady(), Options{})
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(10*time.Millisecond, func() { s.ln.Close() })
		if err := s.Serve(t.Context()); err == nil {
			t.Error("got nil; want an error")
		}
	})
}

// Requests sent at the very end get an answer or a closed connection, never half of one.
func TestEndUnderLoad(t *testing.T) {
	for round := range 5 {
		s, err := Listen(steady(), Options{})
		if err != nil {
			t.Fatal(err)
		}
		stop := serve(t, s)
		var wg sync.WaitGroup
		var answers atomic.Int64
		for range 8 {
			wg.Go(func() {
				for {
					whole, err := askWhole(s)
					if whole {
						answers.Add(1)
					} else if err != nil {
						t.Errorf("round %d: %v", round, err)
						return
					} else {
						return
					}
				}
			})
		}
		time.Sleep(20 * time.Millisecond)
		stop()
		wg.Wait()
		if answers.Load() == 0 {
			t.Error("no answers before the end")
		}
	}
}

// askWhole returns whether there was a whole answer; an error if there was part of one.
func askWhole(s *Server) (whole bool, err error) {
	c, err := net.Dial("tcp4", s.ln.Addr().String())
	if err != nil {
		return false, nil
	}
	defer c.Close()
	io.WriteString(c, s.request())
	r := bufio.NewReader(c)
	if _, err := r.Peek(1); err != nil {
		return false, nil
	}
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		return false, fmt.Errorf("half an answer: %w", err)
	}
	if _, err := io.ReadAll(resp.Body); err != nil {
		return false, fmt.Errorf("half a body: %w", err)
	}
	return true, nil
}

// waitFor polls: what a server has seen of its sockets can't be waited for otherwise.
func waitFor(t testing.TB, ok func() bool) {
	t.Helper()
	for range 2000 {
		if ok() {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatal("it did not come to that within two seconds")
}

func (p *places) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.countLocked()
}

// countOf counts the connections of one rank.
func (p *places) countOf(r rank) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.byRank[r])
}

// active counts the clients that have shown the token and are being answered.
func (p *places) active() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.byRank[trusted] {
		if c.is(http.StateActive) {
			n++
		}
	}
	return n
}

// stuck is a stderr that nobody reads.
type stuck struct{ release chan struct{} }

func (w stuck) Write(b []byte) (int, error) {
	<-w.release
	return len(b), nil
}

// Warnings that can't be written keep nobody waiting: not the one who caused them, not others, not the end.
func TestStuckLog(t *testing.T) {
	w := stuck{make(chan struct{})}
	defer close(w.release)
	var down atomic.Bool
	s, err := Listen(aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		if down.Load() {
			return aws.Credentials{}, errors.New("down")
		}
		return creds("1", time.Now().Add(time.Second)), nil
	}), Options{Log: slog.New(slog.NewTextHandler(w, nil))})
	if err != nil {
		t.Fatal(err)
	}
	s.ln.places.limit = 2
	stop := serve(t, s)
	for range 5 {
		dial(t, s)
	}
	c := client(t)
	want := func(want int, edit func(*http.Request)) {
		t.Helper()
		if status, _, body := ask(t, c, s, edit); status != want {
			t.Errorf("got %d %s; want %d", status, body, want)
		}
	}
	want(401, func(r *http.Request) { r.Header.Set("Authorization", "x") })
	want(403, func(r *http.Request) { r.Host = "x" })
	want(405, func(r *http.Request) { r.Method = "PUT" })
	down.Store(true)
	want(503, func(*http.Request) {})
	down.Store(false)
	stop()
	if st := s.Stats(); st.Displaced == 0 || st.Unavailable != 1 || len(st.Refused) != 3 {
		t.Errorf("got %+v", st)
	}
}
