package ecsserver

import (
	"cmp"
	"context"
	"crypto/subtle"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec/internal/procfs"
)

// handler answers requests; it needs no socket.
type handler struct {
	o      Options // with the defaults in place
	own    *identity
	others others
	hosts  map[string]bool  // the Host headers that may come, in lower case
	finder *finder          // nil: nobody wants to know which process asks
	now    func() time.Time // time.Now; a test's wall clock jumps

	warned [kinds]atomic.Bool // of a refusal of this kind

	// logging counts the lines being logged beside a request: with a full pipe behind stderr they
	// hang, and answers must not.
	logging sync.WaitGroup

	served, unavailable atomic.Uint64
	refused             [kinds]atomic.Uint64
	longestWait         atomic.Int64 // nanoseconds
	leastLeft           atomic.Int64 // nanoseconds; 0 before the first answer
}

// Stats counts requests since Listen.
type Stats struct {
	Served      uint64            // answered 200
	Unavailable uint64            // answered 503 or 403, for want of valid credentials
	Refused     map[string]uint64 // by the code of the answer; only those that occurred
	Displaced   uint64            // connections closed to make room
	LongestWait time.Duration     // for the provider, by one GET
	LeastLeft   time.Duration     // the least that a 200 said was left; 0: none was sent
	Processes   int               // that were answered 200, as far as Options.Watch or a Log at info made us look
}

func newHandler(p aws.CredentialsProvider, o Options, port uint16) *handler {
	o.Wait = cmp.Or(o.Wait, defaultWait)
	if o.Permanent == nil {
		o.Permanent = func(error) bool { return false }
	}
	h := &handler{
		o:      o,
		own:    &identity{provider: p, about: o.About},
		others: others{find: o.Named, names: o.Names},
		hosts:  allowed(o, port),
		now:    time.Now,
	}
	switch {
	case o.Watch != nil:
		h.finder = newFinder(findForWatch)
	case o.Log.Enabled(context.Background(), slog.LevelInfo):
		h.finder = newFinder(findForLog)
	}
	return h
}

// allowed lists the Host values that may come: each name with our port and without (c-auth leaves
// it out).
func allowed(o Options, port uint16) map[string]bool {
	names := append([]string{"127.0.0.1", "localhost"}, o.AllowHosts...)
	switch {
	case o.Addr.Is4():
		names = append(names, o.Addr.String())
	case o.Addr.Is6():
		names = append(names, "["+o.Addr.String()+"]")
	}
	hosts := make(map[string]bool)
	for _, h := range names {
		h = strings.ToLower(h)
		hosts[h] = true
		if own, _ := parseHost(h); own == "" {
			hosts[h+":"+strconv.Itoa(int(port))] = true
		}
	}
	return hosts
}

// parseHost returns the port of a Host header, if it has one, and whether it is one: a name or an
// address, IPv6 in brackets.
func parseHost(h string) (port string, ok bool) {
	u, err := url.Parse("http://" + h)
	if err != nil || u.Host != h || strings.HasSuffix(h, ":") {
		return "", false
	}
	if n, err := strconv.ParseUint(u.Port(), 10, 16); u.Port() != "" && (err != nil || n == 0) {
		return "", false
	}
	const legal = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._"
	return u.Port(), net.ParseIP(u.Hostname()) != nil || u.Hostname() != "" && strings.Trim(u.Hostname(), legal) == ""
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	who, k := h.judge(r)
	if k != accepted {
		h.refuse(w, r, k)
		return
	}
	if r.ContentLength != 0 {
		// A GET has no body worth waiting for; net/http would read up to 256 KiB before it sends
		// our answer.
		w.Header().Set("Connection", "close")
	}
	if who == nil {
		sendJSON(w, http.StatusOK, h.others.list())
		return
	}
	a, waited, err := h.answer(r.Context(), who)
	if err != nil {
		h.answerUnavailable(w, r, who, err)
		return
	}
	pid := h.identify(r, who, a)                        // before the answer: a client that has it may end
	if h.served.Add(1) == 1 && h.o.FirstServed != nil { // and so may the run, which counts
		h.o.FirstServed()
	}
	sendJSON(w, http.StatusOK, a.bodyFor(connOf(r.Context())))
	if who.outage.CompareAndSwap(true, false) {
		h.logBeside(slog.LevelInfo, "credentials are there again", who.attrs()...)
	}
	if h.o.Log.Enabled(r.Context(), slog.LevelDebug) {
		h.o.Log.LogAttrs(r.Context(), slog.LevelDebug, "credentials served", h.detail(r, who, a, waited, pid)...)
	}
}

// contentJSON is exactly this: Go's SDK compares it literally to decode an error. net/http only
// reads it.
var contentJSON = []string{"application/json"}

func sendJSON(w http.ResponseWriter, status int, body []byte) {
	header := w.Header()
	header["Content-Type"] = contentJSON
	header["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	w.Write(body) // fails when the client has gone
}

// detail is the event of a 200.
func (h *handler) detail(r *http.Request, who *identity, a *answer, waited time.Duration, pid int) []slog.Attr {
	expires := time.Unix(a.expires, 0).UTC()
	attrs := append(who.attrs(),
		slog.String("event", "served"),
		slog.String("peer", peerOf(r)),
		slog.Int("status", http.StatusOK),
		slog.Time("expires", expires),
		slog.Duration("left", expires.Sub(h.now().Round(0))),
		slog.Duration("wait", waited),
	)
	if c := connOf(r.Context()); c != nil && c.isLocal() {
		return append(attrs, describePeer(c)...)
	}
	if pid != 0 {
		attrs = append(attrs, slog.Int("pid", pid), slog.String("name", procfs.Comm(pid)))
	}
	return attrs
}

// identify finds the process that asks, if anyone wants to know it, and tells Options.Watch.
func (h *handler) identify(r *http.Request, who *identity, a *answer) (pid int) {
	if h.finder == nil {
		return 0
	}
	if c := connOf(r.Context()); c != nil {
		pid = h.finder.client(c)
	}
	if h.o.Watch == nil {
		return pid
	}
	f := Fetch{PID: pid, Profile: who.name, Expires: time.Unix(a.expires, 0)}
	if a.creds.CanExpire {
		f.Ends = a.creds.Expires.Round(0)
	}
	h.o.Watch(f)
	return pid
}

// logBeside logs beside the request what is said once. What is said of each request (debug) is
// logged within it, so that its number stays bounded.
func (h *handler) logBeside(level slog.Level, message string, attrs ...slog.Attr) {
	h.logging.Go(func() { h.o.Log.LogAttrs(context.Background(), level, message, attrs...) })
}

// judge decides whether a request may have credentials, and whose; nil: it asks for the list of the
// further identities. What keeps browsers and others out comes before the token; who has no token
// learns nothing about paths and methods.
func (h *handler) judge(r *http.Request) (who *identity, k kind) {
	c := connOf(r.Context())
	if k = h.judgeClient(r, c); k != accepted {
		return nil, k
	}
	if c != nil {
		c.listener.places.prove(c)
	}
	if r.Method != http.MethodGet {
		return nil, wrongMethod
	}
	who = h.whose(r)
	if who == nil && !isList(r, c) {
		return nil, wrongPath
	}
	return who, accepted
}

// judgeClient looks at where a request comes from, and at what it shows. Who could open the socket
// needs to show nothing.
func (h *handler) judgeClient(r *http.Request, c *conn) kind {
	switch {
	case c != nil && c.otherUser:
		return otherUser
	case c != nil && c.stranger:
		return stranger
	case c != nil && c.isLocal():
		return accepted
	}
	return h.judgeClaim(r)
}

// judgeClaim looks at what a client of the port shows.
func (h *handler) judgeClaim(r *http.Request) kind {
	if !h.hosts[strings.ToLower(r.Host)] {
		return wrongHost
	}
	if fromBrowser(r.Header) {
		return browser
	}
	switch sent := r.Header["Authorization"]; {
	case len(sent) == 0 || len(sent) == 1 && sent[0] == "":
		return noToken
	case len(sent) > 1 || subtle.ConstantTimeCompare([]byte(sent[0]), []byte(h.o.Token)) != 1:
		return wrongToken
	}
	return accepted
}

func fromBrowser(header http.Header) bool {
	for name := range header {
		if name == "Origin" || name == "Referer" || strings.HasPrefix(name, "Sec-Fetch-") {
			return true
		}
	}
	return false
}

var errUnusable = errors.New("the provider's credentials have expired, or lack a session token")

// answer returns what to send now, or why there is nothing, and how long the provider made it wait.
func (h *handler) answer(ctx context.Context, who *identity) (*answer, time.Duration, error) {
	start := h.now()
	ctx, cancel := context.WithTimeout(ctx, h.o.Wait)
	defer cancel()
	creds, now, err := h.retrieve(ctx, who.provider)
	waited := now.Sub(start)
	replace(&h.longestWait, int64(waited), func(longest int64) bool { return int64(waited) > longest })
	if err != nil { // what was served before may look valid: only the provider knows that it is
		return nil, waited, err
	}
	last := who.last.Load()
	expires := advertise(&creds, now.Unix(), h.o.MaxTTL)
	left := max(int64(time.Unix(expires, 0).Sub(now.Round(0))), 1)
	replace(&h.leastLeft, left, func(least int64) bool { return least == 0 || left < least })
	if last.fits(&creds, expires) {
		return last, waited, nil
	}
	a := encode(creds, expires, who.about)
	who.last.Store(a) // a slower GET may put an older one back; the next GET sees that it doesn't fit
	return a, waited, nil
}

// retrieve asks the provider. Credentials in the last second of their life are over by our reading
// (whole seconds) and not yet by the provider's: then it waits for their end and asks again. now is
// when the credentials were found usable.
func (h *handler) retrieve(
	ctx context.Context, provider aws.CredentialsProvider,
) (creds aws.Credentials, now time.Time, err error) {
	for {
		creds, err = provider.Retrieve(ctx)
		now = h.now()
		if err != nil || usable(&creds, now.Unix()) {
			return creds, now, err
		}
		left := creds.Expires.Round(0).Sub(now.Round(0))
		if !creds.CanExpire || left <= 0 || within(ctx.Done(), left) {
			return creds, h.now(), errUnusable
		}
	}
}

// replace stores v unless what is there is better by now.
func replace(a *atomic.Int64, v int64, better func(old int64) bool) {
	for old := a.Load(); better(old) && !a.CompareAndSwap(old, v); old = a.Load() {
	}
}

func (h *handler) stats() Stats {
	s := Stats{
		Served:      h.served.Load(),
		Unavailable: h.unavailable.Load(),
		Refused:     make(map[string]uint64),
		LongestWait: time.Duration(h.longestWait.Load()),
		LeastLeft:   time.Duration(h.leastLeft.Load()),
		Processes:   h.finder.count(),
	}
	for k := range h.refused {
		if n := h.refused[k].Load(); n > 0 {
			s.Refused[refusals[k].code] = n
		}
	}
	return s
}
