package ecsserver

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// BenchmarkKeepAlive compares, in one run and in turns, three servers that give the same bytes to the same clients:
// this one, net/http with a fixed body and nothing to decide, and a loop that reads a request and writes an answer.
//
//	go test -run '^$' -bench KeepAlive -benchtime 40x -count 3 ./internal/ecsserver
//
// ratio is requests/s of ours to net/http's (at least 0.85), raw the same to the loop's.
// Each is the median over the turns, of the two times within a turn: the machine's other work drifts.
func BenchmarkKeepAlive(b *testing.B) {
	for _, conns := range []int{1, 16, 256} {
		b.Run(fmt.Sprintf("conns=%d", conns), func(b *testing.B) { compare(b, conns) })
	}
}

func compare(b *testing.B, conns int) {
	p := steady()
	s := start(b, p, Options{})
	c, _ := p.Retrieve(b.Context())
	body := encode(c, c.Expires.Unix(), nil).body
	servers := []string{s.ln.Addr().String(), fixed(b, body), raw(b, body)}
	var loads []*load
	for _, addr := range servers {
		loads = append(loads, dialLoad(b, addr, conns, s.request()))
	}
	took := make([][]time.Duration, len(servers))
	turn := max(4000/conns, 20)
	for _, l := range loads {
		l.run(b, turn) // warm
	}
	var n int
	for b.Loop() {
		for i := range loads {
			i = (i + n) % len(loads) // no server always follows the same one
			took[i] = append(took[i], loads[i].run(b, turn))
		}
		n++
	}
	b.ReportMetric(1/median(per(took[0], func(i int) float64 { return took[0][i].Seconds() / float64(turn*conns) })), "GET/s")
	b.ReportMetric(median(per(took[0], func(i int) float64 { return float64(took[1][i]) / float64(took[0][i]) })), "ratio")
	b.ReportMetric(median(per(took[0], func(i int) float64 { return float64(took[2][i]) / float64(took[0][i]) })), "raw")
	b.ReportMetric(0, "ns/op")
}

func per(turns []time.Duration, f func(int) float64) (v []float64) {
	for i := range turns {
		v = append(v, f(i))
	}
	return v
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// fixed is net/http as fast as it goes.
func fixed(b *testing.B, body []byte) string {
	length := []string{itoa(len(body))}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Content-Type"] = []string{"application/json"}
		w.Header()["Content-Length"] = length
		w.Write(body)
	})}
	ln := listenBench(b)
	var wg sync.WaitGroup
	wg.Go(func() { srv.Serve(ln) })
	b.Cleanup(func() { srv.Close(); wg.Wait() })
	return ln.Addr().String()
}

// raw parses nothing.
func raw(b *testing.B, body []byte) string {
	answer := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	ln := listenBench(b)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				for buf := make([]byte, 4096); ; {
					if _, err := c.Read(buf); err != nil {
						return
					}
					c.Write(answer)
				}
			})
		}
	})
	b.Cleanup(func() { ln.Close(); wg.Wait() })
	return ln.Addr().String()
}

func listenBench(b *testing.B) net.Listener {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	return ln
}

// load is a number of connections that ask in parallel, each as soon as it is answered.
type load struct {
	conns   []net.Conn
	readers []*bufio.Reader
	request []byte
}

func dialLoad(b *testing.B, addr string, n int, request string) *load {
	l := &load{request: []byte(request)}
	for range n {
		c, err := net.Dial("tcp4", addr)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { c.Close() })
		l.conns, l.readers = append(l.conns, c), append(l.readers, bufio.NewReader(c))
	}
	return l
}

func (l *load) run(b *testing.B, each int) time.Duration {
	began := time.Now()
	var wg sync.WaitGroup
	for i, c := range l.conns {
		wg.Go(func() {
			for range each {
				if _, err := c.Write(l.request); err != nil {
					b.Error(err)
					return
				}
				if err := skipAnswer(l.readers[i]); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return time.Since(began)
}

// skipAnswer reads as little as a client can.
func skipAnswer(r *bufio.Reader) error {
	length := 0
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) == 2 {
			_, err := r.Discard(length)
			return err
		}
		if n, ok := cutLength(line); ok {
			length = n
		}
	}
}

func cutLength(line []byte) (n int, ok bool) {
	const name = "Content-Length: "
	if len(line) < len(name) || string(line[:len(name)]) != name {
		return 0, false
	}
	for _, d := range line[len(name) : len(line)-2] {
		n = 10*n + int(d-'0')
	}
	return n, true
}

// BenchmarkHandler is what we add to net/http.
func BenchmarkHandler(b *testing.B) {
	h := testHandler(steady(), Options{})
	r, err := http.NewRequest("GET", path, nil)
	if err != nil {
		b.Fatal(err)
	}
	r.Host = "127.0.0.1"
	r.Header = http.Header{"Authorization": {h.o.Token}, "Accept": {"application/json"}, "User-Agent": {"x"}}
	w := &sink{header: make(http.Header)}
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(w, r)
	}
	if w.status != 200 {
		b.Fatalf("got %d", w.status)
	}
}

type sink struct {
	header http.Header
	status int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) Write(b []byte) (int, error) { return io.Discard.Write(b) }
func (s *sink) WriteHeader(status int)      { s.status = status }

// BenchmarkListen is what a start pays.
func BenchmarkListen(b *testing.B) {
	var p aws.CredentialsProvider = steady()
	for b.Loop() {
		s, err := Listen(p, Options{})
		if err != nil {
			b.Fatal(err)
		}
		s.ln.Close()
	}
}
