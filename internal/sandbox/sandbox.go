// Package sandbox is an STS on loopback that checks signatures and expiry as AWS does.
//
// It is for trying brs-exec without an AWS account and for tests. A program that sends an expired
// credential is told ExpiredToken, one that signs with the wrong secret SignatureDoesNotMatch, and
// so on, in the words, codes and statuses of
// https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html and of the pages of each
// action. Actions: AssumeRole, AssumeRoleWithWebIdentity, GetSessionToken, GetCallerIdentity. Of
// their parameters it judges only what its answer depends on. It is no security boundary: whoever
// has its keys may do everything.
//
// # What is known
//
// One user, arn:aws:iam::ACCOUNT:user/sandbox, whose long-term keys are BaseCredentials: random,
// new in each STS. Every role exists, in every account and partition, and trusts everybody, but by
// its name:
//
//   - a name that contains "denied" is AccessDenied;
//   - a name that contains "mfa" demands a caller, or a call, with an MFA code.
//
// Any six digits but 000000 are a good MFA code, each once in 90 seconds, with any device of the
// caller's account. A web identity token is a JWT whose end is checked, and neither issuer nor
// signature: WebIdentityToken makes one.
//
// # Stateless
//
// A session token is the identity and its expiry, sealed with a key of this STS; the secret access
// key is derived from it. So each call can judge its credential without a table that grows, and
// another STS's credentials are unknown, as in another partition.
//
// # Concurrency
//
// An STS is an http.Handler, safe for concurrent use. Fault and OnCall run in the request's
// goroutine.
package sandbox

import (
	"cmp"
	"crypto/rand"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

const (
	namespace = "https://sts.amazonaws.com/doc/2011-06-15/"
	version   = "2011-06-15"

	// maxBody is more than any valid call needs: a web identity token is at most 20,000 characters,
	// a policy 2,048.
	maxBody = 1 << 20
)

// Account is one that AWS gives nobody.
const Account = "000000000000"

// Options change what an STS answers; the zero value is AWS.
type Options struct {
	// TTL caps the life that DurationSeconds asks for; it may be seconds, which AWS never gives. 0:
	// no cap.
	TTL time.Duration
	// SessionTTL is in place of TTL for what GetSessionToken gives. 0: TTL.
	SessionTTL time.Duration

	// Now is STS's clock, by which it judges expiry and signatures and fills its Date header. nil:
	// time.Now.
	Now func() time.Time

	// Fault is asked once a call's signature has been verified. Its error is answered instead of
	// the result: an Error, ErrHang or ErrReset. nil lets the call pass. It may also sleep, to be slow.
	Fault func(Call) error

	// OnCall gets every call, also refused ones, just before the answer is sent.
	OnCall func(Call)
}

// A Call is one request as STS understood it.
type Call struct {
	Action      string
	Params      url.Values // the form and the query
	CallerARN   string     // who signed it, "" before that is known
	AccessKeyID string     // what it was signed with
	Region      string     // of the signature's scope
	UserAgent   string
	Signed      time.Time // by the client's clock, in whole seconds
	Expires     time.Time // of what it was signed with; zero: that doesn't
	Code        string    // how it ended: "" is success, else the error's code
}

// STS is the service.
type STS struct {
	o         Options
	key       []byte // seals session tokens and derives secrets
	base      aws.Credentials
	mu        sync.Mutex           // guards usedCodes
	usedCodes map[string]time.Time // MFA codes, and when they were used
}

// New returns an STS with new keys.
func New(o Options) *STS {
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &STS{o: o, key: make([]byte, 32), usedCodes: make(map[string]time.Time)}
	rand.Read(s.key)
	s.base = aws.Credentials{
		AccessKeyID:     keyID("AKIA"),
		SecretAccessKey: s.secret(rand.Text()),
		AccountID:       Account,
		Source:          "sandbox",
	}
	return s
}

// BaseCredentials are the long-term keys of the sandbox's one user.
func (s *STS) BaseCredentials() aws.Credentials { return s.base }

// ServeHTTP answers one call.
func (s *STS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now := s.o.Now()
	c := Call{UserAgent: r.UserAgent()}
	result, err := s.serve(&c, w, r, now)
	c.Code = codeOf(err)
	if s.o.OnCall != nil {
		s.o.OnCall(c)
	}
	h := w.Header()
	h.Set("Date", now.UTC().Format(http.TimeFormat))
	h.Set("x-amzn-RequestId", rand.Text())
	answer(w, r, c.Action, result, err)
}

func (s *STS) serve(c *Call, w http.ResponseWriter, r *http.Request, now time.Time) (any, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return nil, Error{Status: http.StatusRequestEntityTooLarge, Code: "RequestEntityTooLarge",
			Message: "the request body is longer than a sandbox reads"}
	}
	if c.Params, err = url.ParseQuery(r.URL.RawQuery + "&" + string(body)); err != nil {
		return nil, badRequest("MalformedQueryString", "The query string contains a syntax error.")
	}
	c.Action = c.Params.Get("Action")
	run, err := s.action(c.Action, c.Params.Get("Version"))
	if err != nil {
		return nil, err
	}
	var caller identity
	if c.Action != "AssumeRoleWithWebIdentity" {
		if caller, err = s.authenticate(c, r, "sts", hashOf(body), now); err != nil {
			return nil, err
		}
	}
	if s.o.Fault != nil {
		if err := s.o.Fault(*c); err != nil {
			return nil, err
		}
	}
	return run(request{params: c.Params, caller: caller, now: now})
}

// request is what an action works on.
type request struct {
	params url.Values
	caller identity
	now    time.Time
}

func (s *STS) action(name, v string) (func(request) (any, error), error) {
	run, ok := map[string]func(request) (any, error){
		"AssumeRole":                s.assumeRole,
		"AssumeRoleWithWebIdentity": s.assumeRoleWithWebIdentity,
		"GetSessionToken":           s.getSessionToken,
		"GetCallerIdentity":         s.getCallerIdentity,
	}[name]
	switch {
	case name == "":
		return nil, badRequest("MissingAction", "The request is missing an action or a required parameter.")
	case !ok || v != version:
		return nil, badRequest("InvalidAction",
			"Could not find operation "+name+" for version "+cmp.Or(v, "NO_VERSION_SPECIFIED"))
	}
	return run, nil
}
