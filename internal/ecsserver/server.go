// Package ecsserver answers the AWS container credential endpoint on loopback, from memory.
//
// # Protocol
//
// It is the server that AWS_CONTAINER_CREDENTIALS_FULL_URI and AWS_CONTAINER_AUTHORIZATION_TOKEN
// describe (https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html):
//
//	GET /credentials HTTP/1.1
//	Host: 127.0.0.1:PORT
//	Authorization: TOKEN
//
//	{"AccessKeyId":"…","SecretAccessKey":"…","Token":"…",
//	 "Expiration":"2006-01-02T15:04:05Z","AccountId":"…"}
//
// The address is the literal 127.0.0.1 (some SDKs refuse names, and localhost may mean ::1), the
// path is never empty (Ruby fails without one), and port, path and token stay as they are:
// grandchildren copy the environment.
//
// # Freshness
//
// The provider decides what is valid; each GET asks it and then looks at the wall clock itself, so
// an expired credential is never sent with 200. A client is told the Expiration in whole seconds,
// rounded down, and that instant counts as the end here, too: no client sees a 200 that has expired
// by the client's own reading. With nothing valid a GET waits Options.Wait at most, since SDKs give
// up after one second. Then the answer is 503 for what may heal and 403 for what won't: SDKs retry
// the first and stop at the second.
//
// The body is encoded when the credentials or the advertised expiry change and is kept behind an
// atomic pointer: a GET takes no lock and does no JSON work.
//
// # Who may ask
//
// The token guards the credentials: 256 random bits, the whole header compared in constant time.
// Host, Origin, Referer and Sec-Fetch-* keep browsers out (DNS rebinding). Connections that have
// not shown the token are the first to go when there are too many, and have few places and bytes
// (places.go). The kernel says whose socket the other end is (Linux): strangers of other users have
// places of their own, and with Options.SameUser they are refused. No error or log line holds the
// token, a header's value other than Host, or any part of a credential.
//
// # Who asked
//
// With Options.Watch, or a Log at info, each connection's first GET is followed to its process
// before it is answered (Linux): /proc/PID/fd says who has the socket at the other end. For the log
// an answer waits 20 ms at most. At warn, the default, nothing of that is done.
//
// # Slow clients
//
// net/http's timeouts bound them: how long a request may take to come, an answer to be taken, a
// connection to be idle. A deadline that passes is extended once by a second: time in which
// brs-exec was stopped costs no client anything.
//
// # Concurrency
//
// Listen opens the port, so that connections queue up from then on; Serve answers them and returns
// within a second of its context's end, when every goroutine it began has ended. The other methods
// may be called at any time.
package ecsserver

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec/internal/procfs"
)

// Options is what may be chosen; the zero value works.
type Options struct {
	// MaxTTL is how far ahead an answer is told to expire at most, one second or more. 0: as long
	// as the credential lives. A life is never lengthened.
	MaxTTL time.Duration
	// Wait is how long a GET may wait when nothing is valid. 0: 500 ms, half of what the most
	// impatient SDKs allow (Java v2, PHP and C++ give up after 1 s).
	Wait time.Duration
	// Port on 127.0.0.1. 0: one that is free.
	Port int
	// Addr is a further address at which the port is opened, outside of this machine's loopback.
	// Clients by it must be in a subnet of the interface that has it. Zero: there is none.
	Addr netip.Addr
	// Inherited are listeners that are open already, of a service manager. They must have the
	// addresses that Listen would take, and are not shut down at the end but closed: the manager
	// has them, too.
	Inherited []*net.TCPListener
	// Grace is how long, at the end, a connection that was accepted may take to ask. 0: 20 ms, for
	// a request on its way.
	Grace time.Duration
	// Permanent tells whether no retry will heal an error of the provider: the answer is then 403,
	// not 503. nil: nothing is permanent.
	Permanent func(error) bool
	// SameUser refuses connections of other users of this machine, root excepted. Linux only:
	// elsewhere Listen fails, since a guard that was asked for must not be missing silently.
	SameUser bool
	// AllowHosts are further names that a Host header may have: "name" is answered with our port or
	// without one, "name:port" only as written.
	AllowHosts []string
	// Watch is called before each answer of 200, by several goroutines at a time. The answer waits
	// until it returns, and before it for the look at which process asks. nil: nothing is called,
	// nothing waits.
	Watch func(Fetch)
	// FirstServed is called once, before the first answer of 200. nil: nothing is called.
	FirstServed func()
	// Token is what clients send: 256 bits as newToken makes them. Empty: a new one.
	Token string
	// Socket serves the same to whoever can open it, who needs no token; nil: there is none. About
	// is what an answer there tells besides; it is called when an answer is encoded.
	Socket *net.UnixListener
	About  func() About
	// Named returns who is served at the path with an ID behind it, /credentials/ID; false: nobody.
	// It is asked once an ID, if it has one. nil: there are none. The socket's clients are told
	// Names at /credentials/.
	Named func(id string) (Named, bool)
	Names []string
	// Log: nil is silence. At info and below each GET costs a look at which process asks (Linux).
	Log *slog.Logger
}

// About is what the socket's clients are told of the credentials besides. They are brs-exec
// themselves; an SDK ignores it.
type About struct {
	Region         string    // of the one who serves; "": none
	RenewableUntil time.Time // how long unattended; zero: not known, or without an end
}

// Named is a further identity that is served.
type Named struct {
	Name     string // for the log
	Provider aws.CredentialsProvider
	About    func() About // as Options.About
}

// Fetch is one GET that is answered 200.
type Fetch struct {
	PID     int       // of the process that asks, which still waits; 0: not known
	Profile string    // Named.Name; "": the endpoint's own identity
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

	// maxOutside bounds the connections by Options.Addr, whose users can't be looked up.
	maxOutside = 512

	// A request must come whole within requestTimeout. Its answer must be taken within
	// answerTimeout of the end of its header. Ten seconds is far more than an SDK needs on a
	// machine that swaps: who takes longer is broken or means harm.
	requestTimeout = 10 * time.Second
	answerTimeout  = 10 * time.Second
	// idleTimeout must exceed what clients keep a connection for, or their next request races our
	// close: Go and Rust's hyper 90 s, Java's Apache client 60 s.
	idleTimeout = 2 * time.Minute
)

// Server is the endpoint.
type Server struct {
	handler *handler
	http    *http.Server
	ln      *listener   // of 127.0.0.1
	further []*listener // of Options.Addr and Options.Socket
	url     string
	urlAt   string // by Options.Addr
	grace   time.Duration
	ending  context.Context // ends the waiting of requests in flight
	end     context.CancelFunc
	drawn   []*net.TCPListener // whose port nobody has chosen
}

// Listen opens the endpoint on a port of its own, with a token of its own. Nothing is answered
// before Serve.
func Listen(p aws.CredentialsProvider, o Options) (*Server, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Token == "" {
		o.Token = newToken()
	}
	tcp, err := listenAll(o)
	if err != nil {
		return nil, err
	}
	port := tcp[0].Addr().(*net.TCPAddr).AddrPort().Port()
	ln := &listener{
		Listener: tcp[0],
		uid:      uint32(os.Geteuid()),
		sameUser: o.SameUser,
		peer:     lookUp(tcp[0]),
		log:      o.Log,
	}
	ln.places = newPlaces(maxConns(), ln.uid, 0)
	s := &Server{
		handler: newHandler(p, o, port),
		ln:      ln,
		grace:   o.Grace,
		url:     "http://127.0.0.1:" + strconv.Itoa(int(port)) + path,
	}
	s.ending, s.end = context.WithCancel(context.Background())
	ln.ending = s.ending
	if o.Socket != nil {
		s.further = append(s.further,
			&listener{Listener: o.Socket, places: ln.places, log: o.Log, ending: s.ending})
	}
	for _, tcp := range tcp[1:] {
		s.further = append(s.further, &listener{
			Listener: tcp, places: newPlaces(mostOutside()), outside: true, peer: ln.peer, log: o.Log, ending: s.ending,
		})
		s.urlAt = "http://" + tcp.Addr().String() + path
	}
	if o.Port == 0 && len(o.Inherited) == 0 {
		s.drawn = tcp
	}
	s.http = s.newHTTP(o.Log)
	return s, nil
}

// check refuses what this system can't do, and hosts that are none. Ranges are the caller's to keep,
// who has better words for them.
func (o Options) check() error {
	switch {
	case o.SameUser && o.Addr.IsValid():
		err := badOption("SameUser", "", "nobody tells whose a connection from outside of this machine is")
		err.Hint = "leave it out, or the further address"
		return err
	case o.SameUser && !procfs.Supported:
		err := badOption("SameUser", "", "only Linux tells whose a connection is")
		err.Hint = "leave it out: the token guards the credentials all the same"
		return err
	}
	for _, h := range o.AllowHosts {
		if _, ok := parseHost(h); !ok {
			return badOption("AllowHosts", strconv.Quote(h), "must be a name or name:port, as in a Host header")
		}
	}
	return nil
}

// OptionError says what is wrong with one of the Options.
type OptionError struct {
	Option string // the field's name; a caller that has another name for it puts that here
	Value  string // as it is shown
	Err    error
	Hint   string // what to do instead, if that is known
}

func badOption(option, value, problem string) *OptionError {
	return &OptionError{Option: option, Value: value, Err: errors.New(problem)}
}

func (e *OptionError) Error() string {
	return strings.TrimSpace(e.Option+" "+e.Value) + ": " + e.Err.Error()
}

func (e *OptionError) Unwrap() error { return e.Err }

// Hints returns the Hint as cmd/brs-exec asks for it.
func (e *OptionError) Hints() []string { return []string{e.Hint} }

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
		ReadTimeout:                  requestTimeout,
		WriteTimeout:                 answerTimeout,
		IdleTimeout:                  idleTimeout,
		ConnState:                    changed,
		ErrorLog:                     slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		BaseContext:                  func(net.Listener) context.Context { return s.ending },
		ConnContext:                  withConn,
		Protocols:                    &protocols,
	}
}

// URL is what AWS_CONTAINER_CREDENTIALS_FULL_URI has to say.
func (s *Server) URL() string { return s.url }

// URLAt is the same for clients by Options.Addr; "" without it.
func (s *Server) URLAt() string { return s.urlAt }

// Drawn is what listens at a port that Listen has drawn; nothing if the port was chosen. Such a
// port stays taken after shutdown(2).
func (s *Server) Drawn() []*net.TCPListener { return s.drawn }

// Addr is where it listens.
func (s *Server) Addr() netip.AddrPort { return s.ln.Addr().(*net.TCPAddr).AddrPort() }

// Token is what AWS_CONTAINER_AUTHORIZATION_TOKEN has to say.
func (s *Server) Token() string { return s.handler.o.Token }

// Serve answers until ctx ends, and then until the requests in flight have their answer, half a
// second at most. It returns nil after that, else why a listener failed. The listeners are closed
// in any case; call it once.
func (s *Server) Serve(ctx context.Context) error {
	listeners := s.listeners()
	failed := make(chan error, len(listeners))
	var accepting sync.WaitGroup
	for _, ln := range listeners {
		accepting.Go(func() { failed <- s.http.Serve(ln) })
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
		if ctx.Err() != nil { // somebody has ended the listening as well
			err = nil
			break
		}
		err = fmt.Errorf("serve credentials: %w", err)
	}
	for _, ln := range listeners {
		ln.Close()
	}
	accepting.Wait() // no connection is added from here on
	s.drain()
	return err
}

func (s *Server) listeners() []*listener { return append([]*listener{s.ln}, s.further...) }

// drain lets the requests in flight have their answer. http.Server.Shutdown would not do: it drops
// a request whose header it has read but not yet handed on, and lingers five seconds for a
// connection that never asked anything.
func (s *Server) drain() {
	const (
		toAnswer = 400 * time.Millisecond // for answers on their way; those that wait for credentials stop at s.end
		toClose  = 100 * time.Millisecond // for goroutines whose connection is closed
	)
	s.http.SetKeepAlivesEnabled(false) // also closes those which are idle now
	s.end()
	done := make(chan struct{})
	go func() { // outlives Serve only if a provider ignores its context, or nobody reads our stderr
		for _, ln := range s.listeners() {
			ln.open.Wait()
		}
		s.handler.logging.Wait()
		close(done)
	}()
	if within(done, cmp.Or(s.grace, 20*time.Millisecond)) {
		return
	}
	for _, ln := range s.listeners() {
		ln.places.closeUnasked()
	}
	if within(done, toAnswer) {
		return
	}
	s.http.Close()
	within(done, toClose)
}

// within waits, and reports whether done came before d had passed.
func within(done <-chan struct{}, d time.Duration) bool {
	select {
	case <-done:
		return true
	case <-time.After(d):
		return false
	}
}

// Stats is what happened so far.
func (s *Server) Stats() Stats {
	st := s.handler.stats()
	st.Displaced = s.ln.places.displaced.Load()
	return st
}
