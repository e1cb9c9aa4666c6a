// Package ecsserver answers the AWS container credential endpoint on loopback, from memory.
//
// # Protocol
//
// It is the server that AWS_CONTAINER_CREDENTIALS_FULL_URI and AWS_CONTAINER_AUTHORIZATION_TOKEN describe
// (https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html):
//
//	GET /credentials HTTP/1.1
//	Host: 127.0.0.1:PORT
//	Authorization: TOKEN
//
//	{"AccessKeyId":"…","SecretAccessKey":"…","Token":"…","Expiration":"2006-01-02T15:04:05Z","AccountId":"…"}
//
// The address is the literal 127.0.0.1 (some SDKs refuse names, and localhost may mean ::1), the path is never
// empty (Ruby fails without one), and port, path and token stay as they are: grandchildren copy the environment.
//
// # Freshness
//
// The provider decides what is valid; each GET asks it and then looks at the wall clock itself, so an expired
// credential is never sent with 200. What is told as Expiration is whole seconds, rounded down, and it is that
// instant which counts as the end: no client sees a 200 that has expired by the client's own reading.
// With nothing valid a GET waits Options.Wait at most, since SDKs give up after one second. Then it is 503 for what
// may heal and 403 for what won't: SDKs retry the first and stop at the second.
//
// The body is encoded when the credentials or the advertised expiry change and is kept behind an atomic pointer:
// a GET takes no lock and does no JSON work.
//
// # Who may ask
//
// The token guards the credentials: 256 random bits, the whole header compared in constant time. Host, Origin,
// Referer and Sec-Fetch-* keep browsers out (DNS rebinding). Connections that have not shown the token are the
// first to go when there are too many. With Options.SameUser the kernel says whose socket the other end is.
// No error or log line holds the token, a header's value other than Host, or any part of a credential.
//
// # Who asked
//
// With Options.Watch, or a Log at info, each GET is followed to its process before it is answered (Linux): sock_diag has
// the socket at the other end, /proc/PID/fd whose it is. At warn, the default, nothing of that is done.
//
// # Concurrency
//
// Listen opens the port, so that connections queue up from then on; Serve answers them and returns within a second
// of its context's end, when every goroutine it began has ended. The other methods may be called at any time.
package ecsserver

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Options is what may be chosen; the zero value works.
type Options struct {
	// MaxTTL is how far ahead an answer is told to expire at most, one second or more. 0: as long as the
	// credential lives. A life is never lengthened.
	MaxTTL time.Duration
	// Wait is how long a GET may wait when nothing is valid. 0: 500 ms, half of what the most impatient SDKs
	// allow (Java v2, PHP and C++ give up after 1 s).
	Wait time.Duration
	// Port on 127.0.0.1. 0: one that is free.
	Port int
	// Permanent tells whether no retry will heal an error of the provider: the answer is then 403, not 503.
	// nil: nothing is permanent.
	Permanent func(error) bool
	// SameUser refuses connections of other users of this machine, root excepted. Linux only: elsewhere
	// Listen fails, since a guard that was asked for must not be missing silently.
	SameUser bool
	// AllowHosts are further names that a Host header may have: "name" with our port or none, "name:port"
	// just so.
	AllowHosts []string
	// Watch is told of each GET that is to be answered 200, several at a time; the answer waits until it returns,
	// and for the look at which process asks. nil: nobody is, and nothing waits.
	Watch func(Fetch)
	// Log: nil is silence. At info and below each GET costs a look at which process asks (Linux).
	Log *slog.Logger
}

// Fetch is one GET that is answered 200.
type Fetch struct {
	PID     int       // of the process that asks, which still waits; 0: not known
	Expires time.Time // what it is told: whole seconds
	Ends    time.Time // of the credential itself; zero: never
}

const (
	path = "/credentials"

	// defaultWait: see Options.Wait.
	defaultWait = 500 * time.Millisecond

	// maxHeader is what a request line with its headers may have, in bytes. net/http adds 4096 to
	// MaxHeaderBytes (Server.initialReadLimitSize: "bufio slop").
	maxHeader = 8 << 10
	slop      = 4096

	// maxForeign bounds the connections of other users, which don't count among the rest: a few, so that they
	// can be told why they are refused.
	maxForeign = 16
)

// Server is the endpoint.
type Server struct {
	handler *handler
	http    *http.Server
	ln      *listener
	url     string
	ending  context.Context // ends the waiting of requests in flight
	end     context.CancelFunc
}

// Listen opens the endpoint on a port of its own, with a token of its own. Nothing is answered before Serve.
func Listen(p aws.CredentialsProvider, o Options) (*Server, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	tcp, err := listen(o.Port)
	if err != nil {
		return nil, err
	}
	port := tcp.Addr().(*net.TCPAddr).AddrPort().Port()
	ln := &listener{
		TCPListener: tcp,
		conns:       conns{max: maxConns()},
		foreigners:  conns{max: maxForeign},
		limits:      defaultLimits,
		opened:      make(chan struct{}, 1),
		log:         o.Log,
	}
	if o.SameUser {
		if ln.users, err = openUsers(); err != nil {
			tcp.Close()
			return nil, err
		}
	}
	s := &Server{
		handler: newHandler(p, o, newToken(), port),
		ln:      ln,
		url:     "http://127.0.0.1:" + strconv.Itoa(int(port)) + path,
	}
	s.ending, s.end = context.WithCancel(context.Background())
	ln.ending = s.ending
	s.http = s.newHTTP(o.Log)
	return s, nil
}

func (o Options) check() error {
	if o.MaxTTL < 0 || o.MaxTTL > 0 && o.MaxTTL < time.Second {
		return fmt.Errorf("--max-ttl %v: must be one second or more", o.MaxTTL)
	}
	if o.Wait < 0 || o.Wait >= defaultLimits.answer {
		return fmt.Errorf("wait %v: must be between 0 and %v", o.Wait, defaultLimits.answer)
	}
	if o.Port < 0 || o.Port > 65535 {
		return fmt.Errorf("--port %d: must be between 0 and 65535", o.Port)
	}
	for _, h := range o.AllowHosts {
		if !validHost(h) {
			return fmt.Errorf("--allow-host %q: must be a name or name:port, as in a Host header", h)
		}
	}
	return nil
}

// listen takes the port, without keep-alive probes: on loopback they are four system calls per connection in vain.
func listen(port int) (*net.TCPListener, error) {
	lc := net.ListenConfig{KeepAlive: -1}
	lc.SetMultipathTCP(false) // or it is looked for in the kernel, for loopback
	ln, err := lc.Listen(context.Background(), "tcp4", "127.0.0.1:"+strconv.Itoa(port))
	if err != nil {
		if port != 0 && errors.Is(err, syscall.EADDRINUSE) {
			return nil, &hinted{err, "leave --port out, and a free one is taken"}
		}
		return nil, err
	}
	return ln.(*net.TCPListener), nil
}

// newToken returns 256 bits, URL-safe: clients send it verbatim as the Authorization header.
func newToken() string {
	var b [32]byte
	rand.Read(b[:]) // never fails: it ends the program instead
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func (s *Server) newHTTP(log *slog.Logger) *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true) // or net/http prepares HTTP/2 and a TLS configuration at the start
	return &http.Server{
		Handler:                      s.handler,
		DisableGeneralOptionsHandler: true, // OPTIONS * is refused like the rest
		MaxHeaderBytes:               maxHeader - slop,
		ConnState:                    s.ln.changed,
		ErrorLog:                     slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		BaseContext:                  func(net.Listener) context.Context { return s.ending },
		ConnContext:                  withConn,
		Protocols:                    &protocols,
	}
}

// URL is what AWS_CONTAINER_CREDENTIALS_FULL_URI has to say.
func (s *Server) URL() string { return s.url }

// Addr is where it listens.
func (s *Server) Addr() netip.AddrPort { return s.ln.Addr().(*net.TCPAddr).AddrPort() }

// Token is what AWS_CONTAINER_AUTHORIZATION_TOKEN has to say.
func (s *Server) Token() string { return s.handler.token }

// Serve answers until ctx ends, and then until the requests in flight have their answer, half a second at most.
// It returns nil after that, else why the listener failed. The listener is closed in any case; call it once.
func (s *Server) Serve(ctx context.Context) error {
	var accepting, patrolling sync.WaitGroup
	failed := make(chan error, 1)
	accepting.Go(func() { failed <- s.http.Serve(s.ln) })
	patrolling.Go(func() { s.ln.patrol(s.ending) })
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
		err = fmt.Errorf("serve credentials: %w", err)
	}
	s.ln.Close()
	accepting.Wait() // no connection is added from here on
	s.drain()
	patrolling.Wait()
	s.ln.users.close()
	return err
}

// drain lets the requests in flight have their answer. http.Server.Shutdown would not do: it drops a request whose
// header it has read but not yet handed on, and lingers five seconds for a connection that never asked anything.
func (s *Server) drain() {
	const (
		unasked  = 20 * time.Millisecond  // for a request that was sent just before the end
		answered = 400 * time.Millisecond // for answers on their way; those that wait for credentials stop at s.end
		closed   = 100 * time.Millisecond // for goroutines whose connection is gone
	)
	s.http.SetKeepAlivesEnabled(false) // also closes those which are idle now
	s.end()
	gone := make(chan struct{})
	go func() { // outlives Serve only if a provider ignores its context, or nobody reads our stderr
		s.ln.open.Wait()
		s.handler.telling.Wait()
		close(gone)
	}()
	if within(gone, unasked) {
		return
	}
	s.ln.conns.closeUnasked()
	s.ln.foreigners.closeUnasked()
	if within(gone, answered) {
		return
	}
	s.http.Close()
	within(gone, closed)
}

func within(done <-chan struct{}, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-done:
		return true
	case <-t.C:
		return false
	}
}

// Stats is what happened so far.
func (s *Server) Stats() Stats {
	st := s.handler.stats()
	st.Displaced = s.ln.conns.displaced.Load()
	return st
}

// hinted is an error whose cure is known.
type hinted struct {
	error
	hint string
}

func (e *hinted) Unwrap() error   { return e.error }
func (e *hinted) Hints() []string { return []string{e.hint} }
