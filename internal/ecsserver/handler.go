package ecsserver

import (
	"context"
	"crypto/subtle"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// handler answers requests; it needs no socket.
type handler struct {
	provider  aws.CredentialsProvider
	permanent func(error) bool
	maxTTL    time.Duration
	wait      time.Duration
	token     string
	host      string          // what nearly every client sends
	hosts     map[string]bool // what may be sent, in lower case
	log       *slog.Logger
	watch     func(Fetch)
	finder    *finder          // nil: nobody wants to know which process asks
	now       func() time.Time // time.Now; a test's wall clock jumps

	last atomic.Pointer[answer]
	down atomic.Bool // said that there is nothing to answer with
	told [kinds]atomic.Bool

	// telling counts the lines being logged beside a request: with a full pipe behind stderr they hang, and
	// answers must not.
	telling sync.WaitGroup

	served, unavailable atomic.Uint64
	refused             [kinds]atomic.Uint64
	longest, least      atomic.Int64 // nanoseconds; least is 0 before the first answer
}

// Stats counts requests since Listen.
type Stats struct {
	Served      uint64            // answered 200
	Unavailable uint64            // answered 503 or 403, for want of valid credentials
	Refused     map[string]uint64 // by the code of the answer; only those that occurred
	Displaced   uint64            // connections closed to make room
	LongestWait time.Duration     // for the provider, by one GET
	LeastLeft   time.Duration     // the least that a 200 said was left; 0: none was sent
	Processes   int               // that were answered 200, as far as they are known (Linux, Options.Log at info or Options.Watch)
}

func newHandler(p aws.CredentialsProvider, o Options, token string, port uint16) *handler {
	h := &handler{
		provider:  p,
		permanent: o.Permanent,
		maxTTL:    o.MaxTTL,
		wait:      o.Wait,
		token:     token,
		host:      "127.0.0.1:" + strconv.Itoa(int(port)),
		hosts:     allowed(o.AllowHosts, port),
		log:       o.Log,
		watch:     o.Watch,
		now:       time.Now,
	}
	switch {
	case o.Watch != nil:
		h.finder = &finder{budget: findForWatch}
	case o.Log.Enabled(context.Background(), slog.LevelInfo):
		h.finder = &finder{budget: findForLog}
	}
	if h.wait == 0 {
		h.wait = defaultWait
	}
	if h.permanent == nil {
		h.permanent = func(error) bool { return false }
	}
	return h
}

// allowed lists the Host values that may come: each name with our port and without (c-auth leaves it out).
func allowed(extra []string, port uint16) map[string]bool {
	hosts := make(map[string]bool)
	for _, h := range append([]string{"127.0.0.1", "localhost"}, extra...) {
		h = strings.ToLower(h)
		hosts[h] = true
		if name, explicit := splitPort(h); !explicit {
			hosts[name+":"+strconv.Itoa(int(port))] = true
		}
	}
	return hosts
}

// splitPort is for a valid host: in "[::1]" the last colon is none of a port.
func splitPort(host string) (name string, explicit bool) {
	if strings.HasSuffix(host, "]") {
		return host, false
	}
	name, _, explicit = strings.Cut(host, ":")
	if strings.HasPrefix(host, "[") {
		return host, true
	}
	return name, explicit
}

func validHost(h string) bool {
	name := h
	if n, port, err := net.SplitHostPort(h); err == nil {
		if p, err := strconv.ParseUint(port, 10, 16); err != nil || p == 0 {
			return false
		}
		name = n
	} else if strings.HasPrefix(h, "[") && strings.HasSuffix(h, "]") {
		name = h[1 : len(h)-1]
	}
	if net.ParseIP(name) != nil {
		return strings.HasPrefix(h, "[") || !strings.Contains(name, ":")
	}
	return name != "" && strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._") == ""
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if k := h.judge(r); k != accepted {
		h.refuse(w, r, k)
		return
	}
	if r.ContentLength != 0 {
		// A GET has no body worth waiting for; net/http would read up to 256 KiB before it sends our answer.
		w.Header()["Connection"] = connectionClose
	}
	a, waited, err := h.answer(r.Context())
	if err != nil {
		h.sorry(w, r, err)
		return
	}
	pid := h.identify(r, a) // before the answer: a client that has it may be gone
	header := w.Header()
	header["Content-Type"] = contentJSON
	header["Content-Length"] = a.length
	w.Write(a.body) // fails when the client has gone
	h.served.Add(1)
	if h.down.Load() && h.down.CompareAndSwap(true, false) {
		h.tell(slog.LevelInfo, "credentials are there again")
	}
	if h.log.Enabled(r.Context(), slog.LevelDebug) {
		h.log.LogAttrs(r.Context(), slog.LevelDebug, "credentials served", h.detail(r, a, waited, pid)...)
	}
}

// detail is the event of a 200.
func (h *handler) detail(r *http.Request, a *answer, waited time.Duration, pid int) []slog.Attr {
	expires := time.Unix(a.expires, 0).UTC()
	attrs := []slog.Attr{
		slog.String("event", "served"),
		slog.String("peer", r.RemoteAddr),
		slog.Int("status", http.StatusOK),
		slog.Time("expires", expires),
		slog.Duration("left", expires.Sub(h.now().Round(0))),
		slog.Duration("wait", waited),
	}
	if pid != 0 {
		attrs = append(attrs, slog.Int("pid", pid), slog.String("name", comm(pid)))
	}
	return attrs
}

// identify finds the process that asks, if anyone wants to know it, and tells Options.Watch.
func (h *handler) identify(r *http.Request, a *answer) (pid int) {
	if h.finder == nil {
		return 0
	}
	if c := connOf(r.Context()); c != nil {
		c.pid = h.finder.find(c)
		pid = c.pid
	}
	if h.watch == nil {
		return pid
	}
	f := Fetch{PID: pid, Expires: time.Unix(a.expires, 0)}
	if a.creds.CanExpire {
		f.Ends = a.creds.Expires.Round(0)
	}
	h.watch(f)
	return pid
}

// tell logs beside the request what is said once. What is said of each request (debug) is logged within it, so that
// its number stays bounded.
func (h *handler) tell(level slog.Level, message string, attrs ...slog.Attr) {
	h.telling.Go(func() { h.log.LogAttrs(context.Background(), level, message, attrs...) })
}

// Header values that requests share; net/http only reads them.
var (
	contentJSON     = []string{"application/json"} // exactly: Go compares it literally to decode an error
	connectionClose = []string{"close"}
	allowGET        = []string{"GET"}
)

// judge decides whether a request may have credentials. What keeps browsers and others out comes before the token;
// who has no token learns nothing about paths and methods.
func (h *handler) judge(r *http.Request) kind {
	c := connOf(r.Context())
	if c != nil && c.foreign {
		return foreignUser
	}
	if r.Host != h.host && !h.hosts[strings.ToLower(r.Host)] {
		return wrongHost
	}
	if fromBrowser(r.Header) {
		return browser
	}
	switch sent := r.Header["Authorization"]; {
	case len(sent) == 0 || len(sent) == 1 && sent[0] == "":
		return noToken
	case len(sent) > 1 || subtle.ConstantTimeCompare([]byte(sent[0]), []byte(h.token)) != 1:
		return wrongToken
	}
	if c != nil {
		c.set.befriend(c)
	}
	if r.Method != http.MethodGet {
		return wrongMethod
	}
	if r.URL.Path != path {
		return wrongPath
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
func (h *handler) answer(ctx context.Context) (*answer, time.Duration, error) {
	start := h.now()
	p := patience{Context: ctx, end: start.Add(h.wait)}
	creds, now, err := h.retrieve(&p)
	p.stop()
	waited := now.Sub(start)
	h.waited(waited)
	if c := connOf(ctx); c != nil {
		c.used.Store(now.UnixNano())
	}
	last := h.last.Load()
	if err != nil {
		if last == nil || !usable(&last.creds, now.Unix()) {
			return nil, waited, err
		}
		creds = last.creds // still valid: that beats any error
	}
	expires := advertise(&creds, now.Unix(), h.maxTTL)
	h.left(time.Unix(expires, 0).Sub(now.Round(0)))
	if last.fits(&creds, expires) {
		return last, waited, nil
	}
	a := encode(creds, expires)
	h.last.Store(a) // a slower GET may put an older one back; the next GET sees that it doesn't fit
	return a, waited, nil
}

// retrieve asks again when it got credentials in the last second of their life, which is over by our reading (whole
// seconds) but not yet by the provider's. now is when it was found that they are usable.
func (h *handler) retrieve(ctx context.Context) (creds aws.Credentials, now time.Time, err error) {
	for {
		creds, err = h.provider.Retrieve(ctx)
		now = h.now()
		if err != nil || usable(&creds, now.Unix()) {
			return creds, now, err
		}
		left := creds.Expires.Round(0).Sub(now.Round(0))
		if !creds.CanExpire || left <= 0 || !pause(ctx, left) {
			return creds, h.now(), errUnusable
		}
	}
}

// pause waits, and reports whether ctx let it.
func pause(ctx context.Context, d time.Duration) bool {
	return !within(ctx.Done(), d)
}

// waited keeps the longest wait.
func (h *handler) waited(d time.Duration) {
	for {
		longest := h.longest.Load()
		if int64(d) <= longest || h.longest.CompareAndSwap(longest, int64(d)) {
			return
		}
	}
}

// left keeps the least that an answer said was left.
func (h *handler) left(d time.Duration) {
	for {
		least := h.least.Load()
		if least != 0 && int64(d) >= least || h.least.CompareAndSwap(least, max(int64(d), 1)) {
			return
		}
	}
}

func (h *handler) stats() Stats {
	s := Stats{
		Served:      h.served.Load(),
		Unavailable: h.unavailable.Load(),
		Refused:     make(map[string]uint64),
		LongestWait: time.Duration(h.longest.Load()),
		LeastLeft:   time.Duration(h.least.Load()),
		Processes:   h.finder.count(),
	}
	for k := range h.refused {
		if n := h.refused[k].Load(); n > 0 {
			s.Refused[refusals[k].code] = n
		}
	}
	return s
}
