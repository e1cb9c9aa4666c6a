package ecsserver

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"
)

const (
	testToken = "5Yd2nq0v1u3s5w7y9A_C-E0G2I4K6M8O0Q2S4U6W8Y0"
	testPort  = 34567
)

func testHandler(p aws.CredentialsProvider, o Options) *handler {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Token = testToken
	return newHandler(p, o, testPort)
}

// do sends a request as it stands on the wire, "\n" for "\r\n".
func do(t testing.TB, h *handler, raw string) *httptest.ResponseRecorder {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(strings.ReplaceAll(raw, "\n", "\r\n"))))
	if err != nil {
		t.Fatalf("%q: %v", raw, err)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	h.logging.Wait()
	return w
}

func plainGET(h *handler) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", path, nil)
	r.Host = "127.0.0.1"
	r.Header.Set("Authorization", h.o.Token)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	h.logging.Wait()
	return w
}

// Requests as SDKs send them: boto3 1.43.11, aws-sdk-go-v2 1.47.7 and curl recorded on loopback; JS, c-auth and Java
// by their sources (CLIENTS.md).
var sdkRequests = map[string]string{
	"boto3":  "GET /credentials HTTP/1.1\nHost: 127.0.0.1:34567\nAccept-Encoding: identity\nUser-Agent: python-urllib3/2.7.0\nAccept: application/json\nAuthorization: " + testToken + "\n\n",
	"go":     "GET /credentials HTTP/1.1\nHost: 127.0.0.1:34567\nUser-Agent: Go-http-client/1.1\nAccept: application/json\nAmz-Sdk-Request: attempt=1; max=3\nAuthorization: " + testToken + "\nAccept-Encoding: gzip\n\n",
	"curl":   "GET /credentials HTTP/1.1\nHost: 127.0.0.1:34567\nUser-Agent: curl/7.88.1\nAccept: */*\nAuthorization: " + testToken + "\n\n",
	"js":     "GET /credentials HTTP/1.1\nAuthorization: " + testToken + "\nHost: 127.0.0.1:34567\nConnection: keep-alive\n\n",
	"c-auth": "GET /credentials HTTP/1.1\nHost: 127.0.0.1\nAuthorization: " + testToken + "\nAccept: application/json\nUser-Agent: aws-sdk-crt/credentials-provider\nAccept-Encoding: identity\n\n",
	"java":   "GET /credentials HTTP/1.1\nAuthorization: " + testToken + "\nUser-Agent: aws-sdk-java/2.34.0\nAccept: */*\nConnection: keep-alive\nHost: localhost:34567\n\n",
	"close":  "GET /credentials HTTP/1.1\nHost: LOCALHOST\nConnection: close\nAuthorization: " + testToken + "\n\n",
}

func TestSDKRequests(t *testing.T) {
	h := testHandler(steady(), Options{})
	for name, raw := range sdkRequests {
		if w := do(t, h, raw); w.Code != 200 {
			t.Errorf("%s: got %d %s; want 200", name, w.Code, w.Body)
		}
	}
}

func TestRefusals(t *testing.T) {
	const auth = "Authorization: " + testToken + "\n"
	get := func(host, more string) string {
		return "GET /credentials HTTP/1.1\nHost: " + host + "\n" + more + "\n"
	}
	for _, tt := range []struct {
		name, raw string
		status    int
		code      string
	}{
		{"no token", get("127.0.0.1", ""), 401, "MissingToken"},
		{"empty token", get("127.0.0.1", "Authorization:\n"), 401, "MissingToken"},
		{"wrong token", get("127.0.0.1", "Authorization: x\n"), 401, "WrongToken"},
		{"last byte differs", get("127.0.0.1", "Authorization: "+testToken[:len(testToken)-1]+"1\n"), 401, "WrongToken"},
		{"token and more", get("127.0.0.1", "Authorization: "+testToken+"x\n"), 401, "WrongToken"},
		{"part of the token", get("127.0.0.1", "Authorization: "+testToken[:20]+"\n"), 401, "WrongToken"},
		{"with a scheme", get("127.0.0.1", "Authorization: Bearer "+testToken+"\n"), 401, "WrongToken"},
		{"twice", get("127.0.0.1", auth+auth), 401, "WrongToken"},
		{"a wrong and the right one", get("127.0.0.1", "Authorization: x\n"+auth), 401, "WrongToken"},
		{"token elsewhere", get("127.0.0.1", "X-Aws-Token: "+testToken+"\n"), 401, "MissingToken"},

		{"HEAD", "HEAD /credentials HTTP/1.1\nHost: 127.0.0.1\n" + auth + "\n", 405, "MethodNotAllowed"},
		{"POST", "POST /credentials HTTP/1.1\nHost: 127.0.0.1\nContent-Length: 0\n" + auth + "\n", 405, "MethodNotAllowed"},
		{"PUT", "PUT /credentials HTTP/1.1\nHost: 127.0.0.1\n" + auth + "\n", 405, "MethodNotAllowed"},
		{"lower case", "get /credentials HTTP/1.1\nHost: 127.0.0.1\n" + auth + "\n", 405, "MethodNotAllowed"},
		{"OPTIONS *", "OPTIONS * HTTP/1.1\nHost: 127.0.0.1\n" + auth + "\n", 405, "MethodNotAllowed"},
		{"POST without token", "POST /credentials HTTP/1.1\nHost: 127.0.0.1\n\n", 401, "MissingToken"},

		{"another path", "GET /other HTTP/1.1\nHost: 127.0.0.1\n" + auth + "\n", 404, "NotFound"},
		{"root", "GET / HTTP/1.1\nHost: 127.0.0.1\n" + auth + "\n", 404, "NotFound"},
		{"below", "GET /credentials/ HTTP/1.1\nHost: 127.0.0.1\n" + auth + "\n", 404, "NotFound"},
		{"unclean", "GET //credentials HTTP/1.1\nHost: 127.0.0.1\n" + auth + "\n", 404, "NotFound"},
		{"dots", "GET /x/../credentials HTTP/1.1\nHost: 127.0.0.1\n" + auth + "\n", 404, "NotFound"},
		{"case", "GET /Credentials HTTP/1.1\nHost: 127.0.0.1\n" + auth + "\n", 404, "NotFound"},

		{"rebound name", get("evil.example:34567", auth), 403, "HostNotAllowed"},
		{"rebound name, no port", get("evil.example", auth), 403, "HostNotAllowed"},
		{"another port", get("127.0.0.1:80", auth), 403, "HostNotAllowed"},
		{"another loopback address", get("127.0.0.2:34567", auth), 403, "HostNotAllowed"},
		{"all addresses", get("0.0.0.0:34567", auth), 403, "HostNotAllowed"},
		{"IPv6", get("[::1]:34567", auth), 403, "HostNotAllowed"},
		{"trailing dot", get("localhost.", auth), 403, "HostNotAllowed"},
		{"below localhost", get("evil.localhost", auth), 403, "HostNotAllowed"},
		{"prefix", get("127.0.0.1.evil.example", auth), 403, "HostNotAllowed"},
		{"user info", get("127.0.0.1@evil.example", auth), 403, "HostNotAllowed"},
		{"empty", get("", auth), 403, "HostNotAllowed"},
		{"none (HTTP/1.0)", "GET /credentials HTTP/1.0\n" + auth + "\n", 403, "HostNotAllowed"},
		{"absolute URL, foreign host", "GET http://evil.example/credentials HTTP/1.1\nHost: 127.0.0.1\n" + auth + "\n", 403, "HostNotAllowed"},
		{"rebound, no token", get("evil.example", ""), 403, "HostNotAllowed"},

		{"origin", get("127.0.0.1", auth+"Origin: http://127.0.0.1:34567\n"), 403, "BrowserNotAllowed"},
		{"null origin", get("127.0.0.1", auth+"Origin: null\n"), 403, "BrowserNotAllowed"},
		{"empty origin", get("127.0.0.1", auth+"origin:\n"), 403, "BrowserNotAllowed"},
		{"referer", get("127.0.0.1", auth+"Referer: http://x/\n"), 403, "BrowserNotAllowed"},
		{"fetch site", get("127.0.0.1", auth+"Sec-Fetch-Site: none\n"), 403, "BrowserNotAllowed"},
		{"fetch of the future", get("127.0.0.1", auth+"sec-fetch-anything: 1\n"), 403, "BrowserNotAllowed"},
		{"preflight", "OPTIONS /credentials HTTP/1.1\nHost: 127.0.0.1\nOrigin: http://x\n\n", 403, "BrowserNotAllowed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := testHandler(steady(), Options{})
			w := do(t, h, tt.raw)
			if w.Code != tt.status {
				t.Fatalf("got %d %s; want %d", w.Code, w.Body, tt.status)
			}
			checkProblem(t, w, tt.code)
			if got, want := w.Header().Get("Allow"), map[bool]string{true: "GET"}[tt.status == 405]; got != want {
				t.Errorf("Allow: got %q; want %q", got, want)
			}
			if st := h.stats(); st.Served != 0 || st.Refused[tt.code] != 1 || len(st.Refused) != 1 {
				t.Errorf("got %+v; want one refusal, %s", st, tt.code)
			}
		})
	}
}

// checkProblem holds what every answer but 200 has.
func checkProblem(t testing.TB, w *httptest.ResponseRecorder, code string) (message string) {
	t.Helper()
	var body map[string]string
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		t.Fatalf("body %q: %v", w.Body, err)
	}
	if body["code"] != code || body["Code"] != code {
		t.Errorf("code: got %q, %q; want %q", body["code"], body["Code"], code)
	}
	if body["message"] == "" || body["message"] != body["Message"] || len(body) != 4 {
		t.Errorf("got %v; want the same message twice, and nothing else", body)
	}
	if got := w.Header().Values("Content-Type"); len(got) != 1 || got[0] != "application/json" {
		t.Errorf("Content-Type: got %q", got)
	}
	if got, want := w.Header().Get("Content-Length"), itoa(w.Body.Len()); got != want {
		t.Errorf("Content-Length: got %s; want %s", got, want)
	}
	for _, secret := range []string{testToken, "ASIA", "secret", "session+"} {
		if strings.Contains(w.Body.String(), secret) {
			t.Errorf("body %s holds %q", w.Body, secret)
		}
	}
	return body["message"]
}

func TestAllowHosts(t *testing.T) {
	h := testHandler(steady(), Options{AllowHosts: []string{"host.docker.internal", "proxy:8080", "[::1]", "192.168.1.2"}})
	for host, want := range map[string]int{
		"host.docker.internal": 200, "Host.Docker.Internal:34567": 200, "host.docker.internal:1": 403,
		"proxy:8080": 200, "proxy": 403, "proxy:34567": 403,
		"[::1]": 200, "[::1]:34567": 200, "192.168.1.2:34567": 200,
		"127.0.0.1": 200, "localhost:34567": 200, "docker.internal": 403,
	} {
		w := do(t, h, "GET /credentials HTTP/1.1\nHost: "+host+"\nAuthorization: "+testToken+"\n\n")
		if w.Code != want {
			t.Errorf("Host %s: got %d; want %d", host, w.Code, want)
		}
	}
}

func TestQueryAndBodyAreIgnored(t *testing.T) {
	h := testHandler(steady(), Options{})
	const head = " HTTP/1.1\nHost: 127.0.0.1\nAuthorization: " + testToken + "\n"
	if w := do(t, h, "GET /credentials?x=y"+head+"\n"); w.Code != 200 || w.Header().Get("Connection") != "" {
		t.Errorf("query: got %d, Connection %q; want 200 and none", w.Code, w.Header().Get("Connection"))
	}
	if w := do(t, h, "GET /credentials"+head+"Content-Length: 1000000\n\n"); w.Code != 200 || w.Header().Get("Connection") != "close" {
		t.Errorf("body: got %d, Connection %q; want 200, close", w.Code, w.Header().Get("Connection"))
	}
}

// failing is what a refresher does when it has nothing: it waits as long as it may, then says why.
func failing(err error) aws.CredentialsProvider {
	return aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
		<-ctx.Done()
		return aws.Credentials{}, err
	})
}

func TestUnavailable(t *testing.T) {
	denied := &smithy.GenericAPIError{Code: "AccessDenied", Message: "User: arn:aws:iam::1:user/u is not authorized"}
	signature := &smithy.GenericAPIError{Code: "SignatureDoesNotMatch", Message: "The request signature we calculated does not match.\n\nThe Canonical String … x-amz-security-token:session+token"}
	for _, tt := range []struct {
		name          string
		err           error
		permanent     bool
		status        int
		code, message string
	}{
		{"heals", &smithy.GenericAPIError{Code: "Throttling", Message: "Rate exceeded"}, false, 503, "Throttling", "Rate exceeded"},
		{"will not heal", fmt.Errorf("assume role: %w", denied), true, 403, "AccessDenied", "User: arn:aws:iam::1:user/u is not authorized"},
		{"canonical request", signature, false, 503, "SignatureDoesNotMatch", "The request signature we calculated does not match."},
		{"no API error", errors.New("read /home/u/.secret: session+token"), false, 503, "CredentialsUnavailable", "there are no valid credentials at present; brs-exec says why on its stderr"},
		{"deadline", context.DeadlineExceeded, false, 503, "CredentialsUnavailable", "there are no valid credentials at present; brs-exec says why on its stderr"},
		{"long", &smithy.GenericAPIError{Code: "X", Message: strings.Repeat("ä", 400)}, false, 503, "X", strings.Repeat("ä", 250) + "…"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log logged
				h := testHandler(failing(tt.err), Options{Log: log.logger(), Permanent: func(error) bool { return tt.permanent }})
				began := time.Now()
				w := plainGET(h)
				if took := time.Since(began); took != 500*time.Millisecond {
					t.Errorf("took %v; want 500ms", took)
				}
				if w.Code != tt.status {
					t.Errorf("got %d; want %d", w.Code, tt.status)
				}
				if got := checkProblem(t, w, tt.code); got != tt.message {
					t.Errorf("message: got %q; want %q", got, tt.message)
				}
				plainGET(h)
				warnings := 1
				if tt.err == context.DeadlineExceeded {
					warnings = 0 // nothing was ever there: the first ones are on their way
				}
				if got := strings.Count(log.String(), "level=WARN"); got != warnings {
					t.Errorf("got %d warnings; want %d:\n%s", got, warnings, &log)
				}
				if strings.Contains(log.String(), "session+") {
					t.Errorf("a secret in the log:\n%s", &log)
				}
				if st := h.stats(); st.Unavailable != 2 || st.Served != 0 || st.LongestWait != 500*time.Millisecond {
					t.Errorf("got %+v; want 2 unavailable, longest wait 500ms", st)
				}
			})
		})
	}
}

// One warning per outage, and a line when it is over.
func TestOutageIsToldOnce(t *testing.T) {
	var log logged
	var err error
	p := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return creds("1", time.Now().Add(time.Hour)), err
	})
	h := testHandler(p, Options{Log: log.logger()})
	down := errors.New("down")
	for _, err = range []error{nil, down, down, nil, nil, down} {
		plainGET(h)
	}
	if warned, healed := strings.Count(log.String(), "level=WARN"), strings.Count(log.String(), "there again"); warned != 2 || healed != 1 {
		t.Errorf("got %d warnings, healed %d times; want 2 and 1:\n%s", warned, healed, &log)
	}
}

func TestEndingReleasesWaiters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := testHandler(failing(errors.New("down")), Options{})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(100*time.Millisecond, cancel)
		r := httptest.NewRequest("GET", path, nil).WithContext(ctx)
		r.Host = "127.0.0.1"
		r.Header.Set("Authorization", h.o.Token)
		w := httptest.NewRecorder()
		began := time.Now()
		h.ServeHTTP(w, r)
		if took := time.Since(began); took != 100*time.Millisecond || w.Code != 503 {
			t.Errorf("got %d after %v; want 503 after 100ms", w.Code, took)
		}
		checkProblem(t, w, "Ending")
	})
}

// Only the provider knows whether what it gave before is still valid: the wall clock may have been set back since.
func TestProviderDecides(t *testing.T) {
	for _, back := range []time.Duration{0, 10 * time.Second, time.Minute, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			end := time.Now().Add(10 * time.Second)
			p := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
				if !time.Now().Before(end) {
					return aws.Credentials{}, errors.New("down")
				}
				return creds("1", end), nil
			})
			h := testHandler(p, Options{})
			for range 10 {
				if w := plainGET(h); w.Code != 200 {
					t.Fatalf("%v before the end: got %d; want 200", time.Until(end), w.Code)
				}
				time.Sleep(time.Second)
			}
			h.now = func() time.Time { return time.Now().Round(0).Add(-back) }
			for range 10 {
				if w := plainGET(h); w.Code != 503 {
					t.Errorf("after the end, the clock set back by %v: got %d; want 503", back, w.Code)
				}
				time.Sleep(time.Second)
			}
		})
	}
}

// A provider that hands out what has expired is not believed.
func TestNeverExpired(t *testing.T) {
	for _, tt := range []struct {
		name  string
		creds aws.Credentials
	}{
		{"expired", creds("1", time.Now().Add(-time.Second))},
		{"expires this second", creds("1", time.Now().Truncate(time.Second))},
		{"empty", aws.Credentials{}},
		{"no session token", aws.Credentials{AccessKeyID: "AKIA", SecretAccessKey: "secret"}},
	} {
		h := testHandler(aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return tt.creds, nil }), Options{})
		began := time.Now()
		if w := plainGET(h); w.Code != 503 {
			t.Errorf("%s: got %d; want 503", tt.name, w.Code)
		}
		if took := time.Since(began); took > 400*time.Millisecond {
			t.Errorf("%s: waited %v for what asking again can't heal", tt.name, took)
		}
	}
}

// In the last, broken second of a life the answer is asked for again when the provider's reading is over, too.
func TestBrokenLastSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end := time.Now().Truncate(time.Second).Add(10*time.Second + 300*time.Millisecond)
		p := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			if time.Now().Before(end) {
				return creds("1", end), nil
			}
			return creds("2", end.Add(time.Hour)), nil
		})
		h := testHandler(p, Options{})
		time.Sleep(time.Until(end) - 250*time.Millisecond) // 50 ms after the advertised end
		began := time.Now()
		w := plainGET(h)
		if took := time.Since(began); took != 250*time.Millisecond {
			t.Errorf("took %v; want 250ms", took)
		}
		if w.Code != 200 || !strings.Contains(w.Body.String(), "ASIA2") {
			t.Errorf("got %d %s; want the next credentials", w.Code, w.Body)
		}
	})
}

// The wall clock decides: after a suspend the monotonic clock has not moved.
func TestClockStep(t *testing.T) {
	end := time.Now().Add(time.Hour)
	h := testHandler(aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return creds("1", end), nil
	}), Options{Wait: time.Millisecond})
	for _, tt := range []struct {
		step time.Duration
		want int
	}{{0, 200}, {time.Hour + time.Second, 503}, {-time.Hour, 200}, {2 * time.Hour, 503}, {0, 200}} {
		h.now = func() time.Time { return time.Now().Round(0).Add(tt.step) }
		if w := plainGET(h); w.Code != tt.want {
			t.Errorf("clock stepped by %v: got %d; want %d", tt.step, w.Code, tt.want)
		}
	}
}

// The same bytes until something changes.
func TestEncodedOncePerRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := creds("1", time.Now().Add(time.Hour))
		p := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return c, nil })
		for _, tt := range []struct {
			name   string
			maxTTL time.Duration
			edit   func()
			same   bool
		}{
			{"nothing", 0, func() {}, true},
			{"time", 0, func() { time.Sleep(time.Minute) }, true},
			{"rotation", 0, func() { c = creds("2", c.Expires.Add(time.Hour)) }, false},
			{"longer life", 0, func() { c.Expires = c.Expires.Add(time.Second) }, false},
			{"account", 0, func() { c.AccountID = "1" }, false},
			{"token", 0, func() { c.SessionToken += "x" }, false},
			{"secret", 0, func() { c.SecretAccessKey += "x" }, false},
			{"rolls, same second", time.Minute, func() { time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second - 1))) }, true},
			{"rolls, next second", time.Minute, func() { time.Sleep(time.Second) }, false},
		} {
			h := testHandler(p, Options{MaxTTL: tt.maxTTL})
			time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second)))
			plainGET(h)
			before := h.own.last.Load()
			tt.edit()
			w := plainGET(h)
			if got := h.own.last.Load() == before; got != tt.same {
				t.Errorf("%s: same answer: got %v; want %v", tt.name, got, tt.same)
			}
			if w.Code != 200 || w.Body.String() != string(h.own.last.Load().body) {
				t.Errorf("%s: got %d %s", tt.name, w.Code, w.Body)
			}
		}
	})
}

// Credentials without an end, and a --max-ttl, are told an expiry that moves on; never one beyond the life.
func TestRollingExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := func(h *handler) time.Duration {
			var body struct{ Expiration time.Time }
			if err := json.Unmarshal(plainGET(h).Body.Bytes(), &body); err != nil {
				t.Fatal(err)
			}
			return body.Expiration.Sub(time.Now().Truncate(time.Second))
		}
		fixed := func(c aws.Credentials) aws.CredentialsProvider {
			return aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return c, nil })
		}
		endless := testHandler(fixed(creds("1", time.Time{})), Options{})
		for range 4 {
			if got := told(endless); got != time.Hour {
				t.Errorf("endless: told %v; want 1h", got)
			}
			time.Sleep(7 * time.Minute)
		}
		capped := testHandler(fixed(creds("1", time.Now().Add(time.Hour))), Options{MaxTTL: 20 * time.Minute})
		for _, tt := range []struct{ sleep, want time.Duration }{
			{0, 20 * time.Minute}, {58 * time.Minute, 2 * time.Minute}, {time.Minute, time.Minute},
		} {
			time.Sleep(tt.sleep)
			if got := told(capped); got != tt.want {
				t.Errorf("capped: told %v; want %v", got, tt.want)
			}
		}
	})
}

// A thousand GETs while credentials rotate: each sees one of the rotations, whole.
func TestConcurrentRotation(t *testing.T) {
	var n atomic.Int64
	end := time.Now().Add(time.Hour)
	p := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return creds(itoa(int(n.Add(1)/10)), end), nil
	})
	h := testHandler(p, Options{})
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			for range 100 {
				var d document
				if err := json.Unmarshal(plainGET(h).Body.Bytes(), &d); err != nil {
					t.Error(err)
				}
				if k := strings.TrimPrefix(d.AccessKeyId, "ASIA"); d.SecretAccessKey != "secret/"+k || d.Token != "session+token/"+k+"==" {
					t.Errorf("a mixture: %+v", d)
				}
			}
		})
	}
	wg.Wait()
}

// The first refusal of each kind is a warning; a request without a token never is one.
func TestFirstRefusalWarns(t *testing.T) {
	var log logged
	h := testHandler(steady(), Options{Log: log.logger()})
	const auth = "Authorization: " + testToken + "\n"
	for range 3 {
		do(t, h, "GET /credentials HTTP/1.1\nHost: 127.0.0.1\n\n")
		do(t, h, "GET /credentials HTTP/1.1\nHost: 127.0.0.1\nAuthorization: guess\n\n")
		do(t, h, "GET /x HTTP/1.1\nHost: 127.0.0.1\n"+auth+"\n")
		do(t, h, "POST /credentials HTTP/1.1\nHost: 127.0.0.1\n"+auth+"\n")
		do(t, h, "GET /credentials HTTP/1.1\nHost: evil.example\n"+auth+"\n")
		do(t, h, "GET /credentials HTTP/1.1\nHost: 127.0.0.1\nOrigin: x\n"+auth+"\n")
	}
	for code, want := range map[string]int{
		"MissingToken": 0, "WrongToken": 1, "NotFound": 1, "MethodNotAllowed": 1, "HostNotAllowed": 1, "BrowserNotAllowed": 1,
	} {
		var got int
		for line := range strings.Lines(log.String()) {
			if strings.Contains(line, "level=WARN") && strings.Contains(line, "code="+code) {
				got++
			}
		}
		if got != want {
			t.Errorf("%s: got %d warnings; want %d", code, got, want)
		}
	}
	for _, secret := range []string{testToken, "guess"} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("log holds %q:\n%s", secret, &log)
		}
	}
}
