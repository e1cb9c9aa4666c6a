package e2e

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"brs-exec/internal/sandbox"
	"brs-exec/need"
)

// shortMoto is moto_server, an STS that nobody here wrote, behind a proxy that shortens the lives it gives: moto's words
// and forms are its own, and its credentials are refreshed within seconds.
type shortMoto struct {
	url string

	mu    sync.Mutex
	calls []url.Values
}

const motoLife = 6 * time.Second

var expiration = regexp.MustCompile(`<Expiration>[^<]*</Expiration>`)

func newShortMoto(t *testing.T, moto string) *shortMoto {
	t.Helper()
	u, err := url.Parse(moto)
	if err != nil {
		t.Fatal(err)
	}
	m := new(shortMoto)
	proxy := httputil.NewSingleHostReverseProxy(u)
	proxy.ModifyResponse = func(r *http.Response) error {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		body = expiration.ReplaceAll(body, []byte("<Expiration>"+time.Now().Add(motoLife).UTC().Format(time.RFC3339)+"</Expiration>"))
		r.Body = io.NopCloser(bytes.NewReader(body))
		r.ContentLength = int64(len(body))
		r.Header.Del("Content-Length")
		return nil
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		if form, err := url.ParseQuery(string(body)); err == nil {
			m.mu.Lock()
			m.calls = append(m.calls, form)
			m.mu.Unlock()
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	m.url = srv.URL
	return m
}

// sent lists the calls of an action by that parameter.
func (m *shortMoto) sent(action, parameter string) (values []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range m.calls {
		if c.Get("Action") == action {
			values = append(values, c.Get(parameter))
		}
	}
	return values
}

// Each source through at least three refreshes, under boto3.
func TestSourcesAgainstMoto(t *testing.T) {
	needPython(t)
	t.Parallel()
	token := sandbox.WebIdentityToken("me", "sts.amazonaws.com", time.Now().Add(2*time.Hour))
	const hub = "arn:aws:iam::123456789012:role/hub"
	for _, c := range []struct {
		name     string
		args     []string
		config   string
		keys     bool // moto's user's, in the environment
		arn      string
		action   string // what buys the credentials
		each     int    // how often it is called for one rotation
		sameKeys bool   // moto gives the same each time
		warning  string
	}{
		{name: "role", keys: true, args: []string{"--role-arn", role, "--role-session-name", "me"},
			arn: "arn:aws:sts::000000000000:assumed-role/etl/me", action: "AssumeRole", each: 1},
		{name: "chain", keys: true, args: []string{"--role-arn", hub, "--role-arn", role, "--role-session-name", "me"},
			arn: "arn:aws:sts::000000000000:assumed-role/etl/me", action: "AssumeRole", each: 2},
		{name: "profile chain", args: []string{"--profile", "etl"}, config: "[profile etl]\nrole_arn=" + role + "\nrole_session_name=me\nsource_profile=hub\n[profile hub]\nrole_arn=" + hub +
			"\nsource_profile=base\n[profile base]\naws_access_key_id=AKIAIOSFODNN7EXAMPLE\naws_secret_access_key=x\n",
			arn: "arn:aws:sts::000000000000:assumed-role/etl/me", action: "AssumeRole", each: 2},
		{name: "MFA", keys: true, args: []string{"--role-arn", role, "--role-session-name", "me", "--serial-number", "arn:aws:iam::123456789012:mfa/me", "--mfa-command", "date +%6N"},
			arn: "arn:aws:sts::000000000000:assumed-role/etl/me", action: "AssumeRole", each: 1},
		{name: "web identity", args: []string{"--web-identity-token-command", "echo " + token, "--role-arn", role, "--role-session-name", "me"},
			arn: "arn:aws:sts::000000000000:assumed-role/etl/me", action: "AssumeRoleWithWebIdentity", each: 1},
		{name: "no role", keys: true, arn: "arn:aws:sts::123456789012:user/moto", action: "GetSessionToken", each: 1, sameKeys: true, warning: "long-term keys are served as a session"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.name != "chain" {
				need.Long(t, "20 seconds")
			}
			w := newWorld(t, sandbox.Options{})
			m := newShortMoto(t, moto(t))
			w.set("AWS_ENDPOINT_URL_STS=" + m.url)
			if c.keys {
				w.set("AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY=x")
			}
			w.write(t, filepath.Join(".aws", "config"), c.config)
			began := time.Now()
			out, errs, status := w.run(t, append(c.args, "--", tools.python, script("identity_loop.py"), "18", "0.2")...)
			// A life is refreshed at its half, and the last second of one counts for nothing.
			rotations := int(time.Since(began)/(motoLife/3)) + 1
			if status != 0 || c.warning == "" && errs != "" || !strings.Contains(errs, c.warning) || strings.Count(errs, "\n") > 1 {
				t.Fatalf("status %d, stderr %q, stdout %q", status, errs, out)
			}
			l := parseLoop(t, out)
			if len(l.Errors) > 0 || len(l.Arns) != 1 || l.Arns[0] != c.arn || !c.sameKeys && l.Keys < 4 {
				t.Errorf("%+v; want %s by four keys or more", l, c.arn)
			}
			least := 4 * c.each
			if c.sameKeys { // that is no rotation: the next look comes later
				least = 2
			}
			if n := len(m.sent(c.action, "Action")); n < least || n > c.each*rotations {
				t.Errorf("%d calls of %s in %v; want %d to %d", n, c.action, time.Since(began), least, c.each*rotations)
			}
			if codes := m.sent("GetSessionToken", "TokenCode"); c.name == "MFA" && (len(codes) == 0 || codes[0] == "") {
				t.Errorf("codes %q", codes)
			}
		})
	}
}

// docs/evidence/SOURCES.md names the test of every row, and each is there.
func TestSourcesTableNamesItsTests(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("..", "docs", "evidence", "SOURCES.md"))
	if err != nil {
		t.Fatal(err)
	}
	code := regexp.MustCompile("`[^`]+`")
	rows := 0
	for line := range strings.Lines(string(doc)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(cells[0], "---") || strings.TrimSpace(cells[len(cells)-1]) == "test" {
			continue
		}
		rows++
		names := code.FindAllString(cells[len(cells)-1], -1)
		if len(names) == 0 {
			t.Errorf("no test in the row %s", line)
		}
		for _, name := range names {
			if !testExists(t, strings.Trim(name, "`")) {
				t.Errorf("there is no test %s", name)
			}
		}
	}
	if rows < 15 {
		t.Errorf("only %d rows", rows)
	}
}

// testExists knows scripts by their name and Go tests as FOLDER.TestName.
func testExists(t *testing.T, name string) bool {
	t.Helper()
	if strings.HasSuffix(name, ".txtar") {
		_, err := os.Stat(filepath.Join("..", "testdata", "scripts", name))
		return err == nil
	}
	folder, test, ok := strings.Cut(name, ".Test")
	files, err := filepath.Glob(filepath.Join("..", folder, "*_test.go"))
	if !ok || err != nil {
		return false
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err == nil && bytes.Contains(text, []byte("\nfunc Test"+test+"(")) {
			return true
		}
	}
	return false
}
