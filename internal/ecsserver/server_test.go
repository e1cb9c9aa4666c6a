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
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

func itoa(n int) string { return strconv.Itoa(n) }

// steady is a provider that always has the same hour.
func steady() aws.CredentialsProvider {
	c := creds("1", time.Now().Add(time.Hour))
	return aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return c, nil })
}

// start serves until the test ends, and fails it if the end takes a second.
func start(t testing.TB, p aws.CredentialsProvider, o Options) *Server {
	t.Helper()
	s, err := Listen(p, o)
	if err != nil {
		t.Fatal(err)
	}
	stop := serve(t, s)
	t.Cleanup(func() { stop() })
	return s
}

// serve runs Serve; stop ends it once and says how long that took.
func serve(t testing.TB, s *Server) (stop func() time.Duration) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	return sync.OnceValue(func() time.Duration {
		began := time.Now()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: got %v; want nil", err)
		}
		took := time.Since(began)
		if took > time.Second {
			t.Errorf("Serve took %v to end; want less than 1 s", took)
		}
		return took
	})
}

// client is one that inherits no proxy.
func client(t testing.TB) *http.Client {
	tr := &http.Transport{Proxy: nil, MaxIdleConnsPerHost: 2000}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 10 * time.Second}
}

// get asks as an SDK does.
func get(t testing.TB, c *http.Client, s *Server) (status int, body string) {
	t.Helper()
	status, _, body = ask(t, c, s, func(*http.Request) {})
	return status, body
}

func ask(t testing.TB, c *http.Client, s *Server, edit func(*http.Request)) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequest("GET", s.URL(), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", s.Token())
	edit(req)
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(body)
}

// dial opens a connection of its own.
func dial(t testing.TB, s *Server) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp4", s.ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

// request is what a minimal client sends.
func (s *Server) request() string {
	return "GET " + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: " + s.Token() + "\r\n\r\n"
}

// response reads one.
func response(t testing.TB, r *bufio.Reader) (status int, header http.Header, body string) {
	t.Helper()
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.Close {
		resp.Header.Set("Connection", "close") // ReadResponse takes it away
	}
	return resp.StatusCode, resp.Header, string(b)
}

// logged collects what is logged, as "LEVEL message key=value …" lines.
type logged struct {
	mu    sync.Mutex
	lines strings.Builder
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines.String()
}

func (l *logged) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func TestAnswer(t *testing.T) {
	s := start(t, steady(), Options{})
	status, header, body := ask(t, client(t), s, func(*http.Request) {})
	if status != 200 {
		t.Fatalf("got %d %s; want 200", status, body)
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"AccessKeyId": "ASIA1", "SecretAccessKey": "secret/1", "Token": "session+token/1==", "AccountId": "000000000000",
	} {
		if got[name] != want {
			t.Errorf("%s: got %v; want %v", name, got[name], want)
		}
	}
	if len(got) != 5 {
		t.Errorf("got %d fields in %s; want 5", len(got), body)
	}
	for name, want := range map[string]string{
		"Content-Type": "application/json", "Content-Length": itoa(len(body)), "Transfer-Encoding": "", "Content-Encoding": "",
	} {
		if got := strings.Join(header.Values(name), "|"); got != want {
			t.Errorf("%s: got %q; want %q", name, got, want)
		}
	}
	if st := s.Stats(); st.Served != 1 || len(st.Refused) != 0 {
		t.Errorf("got %+v; want one served, none refused", st)
	}
}

func TestURLAndToken(t *testing.T) {
	a, b := start(t, steady(), Options{}), start(t, steady(), Options{})
	if want := fmt.Sprintf("http://%s/credentials", a.ln.Addr()); a.URL() != want || !strings.HasPrefix(want, "http://127.0.0.1:") {
		t.Errorf("URL: got %s; want %s", a.URL(), want)
	}
	if len(a.Token()) != 43 || strings.Trim(a.Token(), "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
		t.Errorf("token %q: want 256 bits in 43 URL-safe characters", a.Token())
	}
	if a.Token() == b.Token() || a.URL() == b.URL() {
		t.Error("two servers share a token or a port")
	}
	if status, _, _ := ask(t, client(t), a, func(r *http.Request) { r.Header.Set("Authorization", b.Token()) }); status != 401 {
		t.Errorf("another server's token: got %d; want 401", status)
	}
}

func TestListenRefuses(t *testing.T) {
	taken := start(t, steady(), Options{})
	port := taken.ln.Addr().(*net.TCPAddr).Port
	inUse := syscall.EADDRINUSE
	if runtime.GOOS == "windows" {
		inUse = 10048 // WSAEADDRINUSE
	}
	for _, tt := range []struct {
		name string
		o    Options
		want string
		hint bool
	}{
		{"port taken", Options{Port: port}, fmt.Sprintf("Port %d: listen tcp4 127.0.0.1:%d: bind: %v", port, port, inUse), true},
		{"a URL as host", Options{AllowHosts: []string{"http://x"}}, `AllowHosts "http://x": `, false},
		{"no host", Options{AllowHosts: []string{""}}, `AllowHosts "": `, false},
		{"any host", Options{AllowHosts: []string{"*"}}, `AllowHosts "*": `, false},
		{"host with a bad port", Options{AllowHosts: []string{"x:0"}}, `AllowHosts "x:0": `, false},
		{"host with an empty port", Options{AllowHosts: []string{"x:"}}, `AllowHosts "x:": `, false},
		{"IPv6 without brackets", Options{AllowHosts: []string{"::1"}}, `AllowHosts "::1": `, false},
		{"host with a path", Options{AllowHosts: []string{"x/y"}}, `AllowHosts "x/y": `, false},
		{"host with a user", Options{AllowHosts: []string{"u@x"}}, `AllowHosts "u@x": `, false},
	} {
		s, err := Listen(steady(), tt.o)
		if err == nil {
			s.ln.Close()
			t.Errorf("%s: got no error", tt.name)
			continue
		}
		if !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %q; want it to contain %q", tt.name, err, tt.want)
		}
		if e, ok := errors.AsType[*OptionError](err); !ok || (e.Hints()[0] != "") != tt.hint {
			t.Errorf("%s: got %#v; want an OptionError, with a hint: %v", tt.name, err, tt.hint)
		}
	}
}

func TestPort(t *testing.T) {
	first, err := Listen(steady(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	port := first.ln.Addr().(*net.TCPAddr).Port
	serve(t, first)()
	s := start(t, steady(), Options{Port: port})
	if want := fmt.Sprintf("http://127.0.0.1:%d/credentials", port); s.URL() != want {
		t.Errorf("got %s; want %s", s.URL(), want)
	}
	if status, _ := get(t, client(t), s); status != 200 {
		t.Errorf("got %d; want 200", status)
	}
}
