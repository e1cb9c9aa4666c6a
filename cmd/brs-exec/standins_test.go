package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/rogpeppe/go-internal/testscript"

	"brs-exec/internal/sandbox"
)

// Stand-ins are the servers that credentials come from, on loopback. Each checks what the real one
// checks, and gives or takes everything once: a source that doesn't ask again, or doesn't read its
// file again, is refused at its first refresh.

// standin KIND [ARGUMENT...] starts one, and tells where it is by the variables that the real one's
// clients read.
func cmdStandin(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: standin KIND [ARGUMENT...]")
	}
	kinds := map[string]func(*stack, *testscript.TestScript, []string){
		"tokenfile": standTokenFile,
		"github":    standGitHub,
		"ci":        standCI,
		"gitlab":    standGitLab,
		"ecs":       standECS,
		"eks":       standEKS,
		"imds":      standIMDS,
		"says":      standSays,
		"process":   standProcess,
		"sso":       standSSO,
		"login":     standLogin,
		"iot":       standIoT,
		"https":     standHTTPS,
		"proxy":     standProxy,
		"s3":        standS3,
		"releases":  standReleases,
	}
	start := kinds[args[0]]
	if start == nil {
		ts.Fatalf("no stand-in %q", args[0])
	}
	start(stackOf(ts), ts, args[1:])
}

func (s *stack) serve(ts *testscript.TestScript, h http.HandlerFunc) (url string) {
	srv := httptest.NewServer(h)
	ts.Defer(srv.Close)
	return srv.URL
}

// hostSession is the name of the sessions that stand-ins hand out, in the role of hostRole.
const (
	hostSession = "i-0123456789"
	hostRole    = "arn:aws:iam::222222222222:role/host"
)

// session is a new one of the host's, from the script's STS, whose life is STS's.
func (s *stack) session() (aws.Credentials, error) { return s.sessionOf(hostRole, hostSession) }

func (s *stack) sessionOf(role, name string) (aws.Credentials, error) {
	s.mu.Lock()
	base, where := s.sts.BaseCredentials(), s.srv.URL
	s.mu.Unlock()
	client := sts.New(sts.Options{Region: "us-east-1", BaseEndpoint: &where, Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return base, nil })})
	out, err := client.AssumeRole(context.Background(), &sts.AssumeRoleInput{RoleArn: &role, RoleSessionName: &name})
	if err != nil {
		return aws.Credentials{}, err
	}
	c := out.Credentials
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handed++
	if s.owners == nil {
		s.owners = make(map[string]string)
	}
	s.owners[*c.AccessKeyId] = strings.Split(role, ":")[4]
	s.secrets = append(s.secrets, *c.SecretAccessKey, *c.SessionToken)
	return aws.Credentials{AccessKeyID: *c.AccessKeyId, SecretAccessKey: *c.SecretAccessKey, SessionToken: *c.SessionToken, Expires: *c.Expiration}, nil
}

// handed MIN-MAX checks how many sessions the stand-ins have handed out.
func cmdHanded(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: handed MIN-MAX")
	}
	s := stackOf(ts)
	s.mu.Lock()
	defer s.mu.Unlock()
	wantNumber(ts, "sessions", s.handed, args[0])
}

// wantNumber checks n against N or MIN-MAX.
func wantNumber(ts *testscript.TestScript, what string, n int, want string) {
	low, high, ok := strings.Cut(want, "-")
	if !ok {
		high = low
	}
	lo, err := strconv.Atoi(low)
	ts.Check(err)
	hi, err := strconv.Atoi(high)
	ts.Check(err)
	if n < lo || n > hi {
		ts.Fatalf("%d %s; want %s", n, what, want)
	}
}

// answer writes a session's fields under the names that the service has for them.
func (s *stack) answer(w http.ResponseWriter, form func(aws.Credentials) any) {
	s.answerAs(w, hostSession, form)
}

func (s *stack) answerAs(w http.ResponseWriter, name string, form func(aws.Credentials) any) {
	c, err := s.sessionOf(hostRole, name)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(form(c))
}

func refuse(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	io.WriteString(w, body)
}

// tokens are OIDC tokens, good for one call of STS each.
type tokens struct {
	mu      sync.Mutex
	n       int
	unspent []string
	life    time.Duration
	spent   func() // called when one is
}

// give makes the script's STS take no tokens but these.
func (s *stack) give(t *tokens) *tokens {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens = t
	return t
}

func (t *tokens) issue(audience string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n++
	token := sandbox.WebIdentityToken(fmt.Sprint("job-", t.n), audience, time.Now().Add(t.life))
	t.unspent = append(t.unspent, token)
	return token
}

// spend is STS's judgement, before it looks at the token itself.
func (t *tokens) spend(token string) error {
	t.mu.Lock()
	i := slices.Index(t.unspent, token)
	if i >= 0 {
		t.unspent = slices.Delete(t.unspent, i, i+1)
	}
	t.mu.Unlock()
	if i < 0 {
		return sandbox.Error{Status: http.StatusBadRequest, Code: "IDPRejectedClaim", Message: "sent before, or never issued"}
	}
	if t.spent != nil {
		t.spent()
	}
	return nil
}

// tokenfile FILE [LIFE]: the file's token is another one as soon as it has been used, as the
// kubelet renews it.
func standTokenFile(s *stack, ts *testscript.TestScript, args []string) {
	t := s.give(&tokens{life: lifeOf(ts, args, 2*time.Hour)})
	file := ts.MkAbs(args[0])
	renew := func() { replace(ts, file, t.issue("sts.amazonaws.com")) }
	t.spent = renew
	renew()
}

// replace writes a file at one go, as whoever renews tokens does.
func replace(ts *testscript.TestScript, file, text string) {
	if err := errors.Join(os.WriteFile(file+".new", []byte(text), 0o600), os.Rename(file+".new", file)); err != nil {
		ts.Logf("%v", err) // a server's goroutine can't fail the script; the old token will be refused
	}
}

func lifeOf(ts *testscript.TestScript, args []string, otherwise time.Duration) time.Duration {
	if len(args) < 2 {
		return otherwise
	}
	d, err := time.ParseDuration(args[1])
	ts.Check(err)
	return d
}

// github [AUDIENCE] is the token service of GitHub Actions; its tokens live five minutes.
func standGitHub(s *stack, ts *testscript.TestScript, args []string) {
	t := s.give(&tokens{life: 5 * time.Minute})
	audience := "sts.amazonaws.com"
	if len(args) > 0 {
		audience = args[0]
	}
	where := s.serve(ts, func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		switch {
		case r.Method != http.MethodGet || r.URL.Path != "/_apis/idtoken" || q.Get("api-version") != "2.0":
			refuse(w, http.StatusNotFound, `{}`)
		case !strings.EqualFold(r.Header.Get("Authorization"), "bearer runner-hush"):
			refuse(w, http.StatusUnauthorized, `{}`)
		case q.Get("audience") != audience:
			refuse(w, http.StatusBadRequest, `{"message":"wrong audience"}`)
		default:
			json.NewEncoder(w).Encode(map[string]any{"count": 1, "value": t.issue(audience)})
		}
	})
	ts.Setenv("GITHUB_ACTIONS", "true")
	ts.Setenv("ACTIONS_ID_TOKEN_REQUEST_URL", where+"/_apis/idtoken?api-version=2.0")
	ts.Setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "runner-hush")
}

// releases DIR serves a folder as GitHub serves a repository's releases.
func standReleases(s *stack, ts *testscript.TestScript, args []string) {
	files := http.FileServer(http.Dir(ts.MkAbs(args[0])))
	ts.Setenv("RELEASES", s.serve(ts, files.ServeHTTP))
}

// ci is what the agents of CircleCI and Buildkite ask: GET /?audience=A.
func standCI(s *stack, ts *testscript.TestScript, _ []string) {
	t := s.give(&tokens{life: 5 * time.Minute})
	ts.Setenv("CI_STANDIN", s.serve(ts, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, t.issue(r.FormValue("audience")))
	}))
}

// gitlab is a job with an id_tokens entry: one token for all of the job.
func standGitLab(_ *stack, ts *testscript.TestScript, _ []string) {
	ts.Setenv("GITLAB_OIDC_TOKEN", sandbox.WebIdentityToken("project_path:g/p", "https://gitlab.example.com", time.Now().Add(time.Hour)))
}

// circleci and buildkiteAgent are those programs as far as a job has them mint a token.
func circleci() {
	if !slices.Equal(os.Args[1:], []string{"run", "oidc", "get", "--claims", `{"aud": "sts.amazonaws.com"}`}) {
		fail(fmt.Errorf("circleci: %q", os.Args[1:]))
	}
	mintToken()
}

func buildkiteAgent() {
	if !slices.Equal(os.Args[1:], []string{"oidc", "request-token", "--audience", "sts.amazonaws.com"}) {
		fail(fmt.Errorf("buildkite-agent: %q", os.Args[1:]))
	}
	mintToken()
}

func mintToken() {
	copyFrom(os.Getenv("CI_STANDIN") + "?audience=sts.amazonaws.com")
}

func copyFrom(where string) {
	resp, err := http.Get(where)
	if err != nil {
		fail(err)
	}
	defer resp.Body.Close()
	io.Copy(os.Stdout, resp.Body)
}

// otherRole is whose sessions a process prints that has turned.
const otherRole = "arn:aws:iam::333333333333:role/other"

// process [-says ACCOUNT] [-turns N] has `mint` print new credential_process JSON each time it is
// run. -says is the AccountId in it, true the real one. After N times, they are of another account.
func standProcess(s *stack, ts *testscript.TestScript, args []string) {
	f := flag.NewFlagSet("process", flag.ContinueOnError)
	says := f.String("says", "", "")
	turns := f.Int64("turns", 0, "")
	ts.Check(f.Parse(args))
	var minted atomic.Int64
	ts.Setenv("MINT", s.serve(ts, func(w http.ResponseWriter, _ *http.Request) {
		role := hostRole
		if n := minted.Add(1); *turns > 0 && n > *turns {
			role = otherRole
		}
		c, err := s.sessionOf(role, hostSession)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		answer := map[string]any{"Version": 1, "AccessKeyId": c.AccessKeyID, "SecretAccessKey": c.SecretAccessKey, "SessionToken": c.SessionToken, "Expiration": c.Expires}
		switch *says {
		case "":
		case "true":
			answer["AccountId"] = strings.Split(role, ":")[4]
		default:
			answer["AccountId"] = *says
		}
		json.NewEncoder(w).Encode(answer)
	}))
}

// mint is such a process; with arguments it says them on stderr.
func mint() {
	if len(os.Args) > 1 {
		fmt.Fprintln(os.Stderr, strings.Join(os.Args[1:], " "))
	}
	copyFrom(os.Getenv("MINT"))
}

func containerForm(c aws.Credentials) any {
	return map[string]any{"AccessKeyId": c.AccessKeyID, "SecretAccessKey": c.SecretAccessKey, "Token": c.SessionToken, "Expiration": c.Expires, "AccountId": "222222222222"}
}

// ecs is a container endpoint whose token is a variable.
func standECS(s *stack, ts *testscript.TestScript, _ []string) {
	where := s.serve(ts, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.Path != "/v2/credentials/1" || r.Header.Get("Authorization") != "Basic ecs-hush" {
			refuse(w, http.StatusForbidden, `{"code":"AccessDenied","message":"not this task"}`)
			return
		}
		s.answer(w, containerForm)
	})
	ts.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", where+"/v2/credentials/1")
	ts.Setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Basic ecs-hush")
}

// eks FILE [renames] is the EKS Pod Identity Agent: the service account token in the file is another
// one after each call. Each session has another name, as EKS's have, if that is asked for.
func standEKS(s *stack, ts *testscript.TestScript, args []string) {
	var mu sync.Mutex // guards n, token
	n, token := 0, ""
	file := ts.MkAbs(args[0])
	renew := func() {
		n++
		token = fmt.Sprint("eks-hush-", n)
		replace(ts, file, token)
	}
	renew()
	where := s.serve(ts, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if r.Method != http.MethodGet || r.URL.Path != "/v1/credentials" || r.Header.Get("Authorization") != token {
			refuse(w, http.StatusBadRequest, `{"code":"InvalidTokenException","message":"the token is stale"}`)
			return
		}
		name := hostSession
		if len(args) > 1 {
			name += fmt.Sprint("-", n)
		}
		s.answerAs(w, name, containerForm)
		renew()
	})
	ts.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", where+"/v1/credentials")
	ts.Setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file)
}

// imds [none] is the instance metadata service, version 2 alone; its tokens live a second. none:
// the instance has no role.
func standIMDS(s *stack, ts *testscript.TestScript, args []string) {
	const credentials = "/latest/meta-data/iam/security-credentials/"
	var mu sync.Mutex // guards the rest
	ends := map[string]time.Time{}
	ts.Setenv("AWS_EC2_METADATA_DISABLED", "")
	ts.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", s.serve(ts, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		life, _ := strconv.Atoi(r.Header.Get("x-aws-ec2-metadata-token-ttl-seconds"))
		switch {
		case r.Header.Get("X-Forwarded-For") != "": // through a proxy
			w.WriteHeader(http.StatusForbidden)
		case r.Method == http.MethodPut && r.URL.Path == "/latest/api/token" && life >= 1 && life <= 21600:
			token := fmt.Sprint("imds-", len(ends))
			ends[token] = time.Now().Add(2 * time.Second)
			w.Header().Set("x-aws-ec2-metadata-token-ttl-seconds", "1")
			io.WriteString(w, token)
		case r.Method != http.MethodGet || !time.Now().Before(ends[r.Header.Get("x-aws-ec2-metadata-token")]):
			w.WriteHeader(http.StatusUnauthorized)
		case len(args) > 0:
			w.WriteHeader(http.StatusNotFound)
		case r.URL.Path == credentials:
			io.WriteString(w, "host")
		case r.URL.Path == credentials+"host":
			s.answer(w, func(c aws.Credentials) any {
				return map[string]any{"Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": c.AccessKeyID, "SecretAccessKey": c.SecretAccessKey, "Token": c.SessionToken, "Expiration": c.Expires}
			})
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
}

// says FILE is a container endpoint and an instance metadata service that answer 200 with the file.
func standSays(s *stack, ts *testscript.TestScript, args []string) {
	file := ts.MkAbs(args[0])
	where := s.serve(ts, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPut:
			w.Header().Set("x-aws-ec2-metadata-token-ttl-seconds", "21600")
			io.WriteString(w, "imds-1")
		case strings.HasSuffix(r.URL.Path, "/security-credentials/"):
			io.WriteString(w, "host")
		default:
			http.ServeFile(w, r, file)
		}
	})
	ts.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", where)
	ts.Setenv("AWS_EC2_METADATA_DISABLED", "")
	ts.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", where)
}

// s3 is an object store of another maker: it answers STS's calls as S3 does what it doesn't know.
func standS3(s *stack, ts *testscript.TestScript, _ []string) {
	ts.Setenv("AWS_ENDPOINT_URL", s.serve(ts, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(http.StatusMethodNotAllowed)
		io.WriteString(w, `<?xml version="1.0"?><Error><Code>MethodNotAllowed</Code><Message>The specified method is not allowed against this resource.</Message></Error>`)
	}))
	ts.Setenv("AWS_ENDPOINT_URL_STS", "")
}

// distinct ACTION PARAMETER MIN-MAX checks in how many ways the parameter was sent.
func cmdDistinct(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: distinct ACTION PARAMETER MIN-MAX")
	}
	s := stackOf(ts)
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := map[string]bool{}
	for _, c := range s.calls {
		if v := c.Params.Get(args[1]); c.Action == args[0] && v != "" {
			seen[v] = true
		}
	}
	wantNumber(ts, args[1]+" of "+args[0], len(seen), args[2])
}

// follow N [SECONDS] is a program with an AWS SDK's default chain that runs until its credentials
// have been N different ones. It asks STS all the time who it is; no call may fail, and it stays
// the same.
func follow() {
	n, err := strconv.Atoi(os.Args[1])
	if err != nil {
		fail(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		fail(err)
	}
	client, keys, who := sts.NewFromConfig(cfg), map[string]bool{}, ""
	for ; len(keys) < n; time.Sleep(100 * time.Millisecond) {
		creds, err := cfg.Credentials.Retrieve(ctx)
		if err != nil {
			fail(fmt.Errorf("after %d keys: %w", len(keys), err))
		}
		if !keys[creds.AccessKeyID] {
			keys[creds.AccessKeyID] = true
			tellSecrets(creds.SecretAccessKey, creds.SessionToken)
			noteKeys(len(keys))
		}
		id, err := client.GetCallerIdentity(ctx, nil)
		switch {
		case err != nil:
			fail(fmt.Errorf("after %d keys: %w", len(keys), err))
		case who != "" && who != *id.Arn:
			fail(fmt.Errorf("first %s, then %s", who, *id.Arn))
		}
		who = *id.Arn
	}
	fmt.Println(len(keys), "keys of", who)
}

// poll SECONDS [PAUSE] asks the endpoint all the time, as three clients at once, and writes each
// access key that it gets to $WORK/served, and each status to $WORK/statuses.
func poll() {
	seconds, err := strconv.ParseFloat(os.Args[1], 64)
	if err != nil {
		fail(err)
	}
	end := time.Now().Add(time.Duration(seconds * float64(time.Second)))
	pause := 10 * time.Millisecond
	if len(os.Args) > 2 {
		if pause, err = time.ParseDuration(os.Args[2]); err != nil {
			fail(err)
		}
	}
	var mu sync.Mutex // guards seen
	seen := map[string]bool{}
	note := func(file, text string) {
		mu.Lock()
		defer mu.Unlock()
		if seen[file+text] {
			return
		}
		seen[file+text] = true
		f, err := os.OpenFile(filepath.Join(os.Getenv("WORK"), file), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			fail(err)
		}
		fmt.Fprintln(f, text)
		f.Close()
	}
	var clients sync.WaitGroup
	for range 3 {
		clients.Go(func() {
			for ; time.Now().Before(end); time.Sleep(pause) {
				resp, body, err := askEndpoint("")
				if err != nil {
					continue
				}
				note("statuses", resp.Status)
				var a struct{ AccessKeyID string }
				if json.Unmarshal(body, &a) == nil && a.AccessKeyID != "" {
					note("served", a.AccessKeyID)
				}
			}
		})
	}
	clients.Wait()
}

// served ACCOUNT... checks whose the access keys are that poll has got: in that order, and no
// others; a number of keys of one account counts once.
func cmdServed(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("usage: served ACCOUNT...")
	}
	_, err := os.Stat(ts.MkAbs("statuses")) // else nothing was served because nobody asked
	ts.Check(err)
	data, err := os.ReadFile(ts.MkAbs("served"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		ts.Fatalf("%v", err)
	}
	s := stackOf(ts)
	s.mu.Lock()
	defer s.mu.Unlock()
	var got []string
	for _, key := range strings.Fields(string(data)) {
		got = append(got, cmp.Or(s.owners[key], "nobody"))
	}
	if got = slices.Compact(got); !slices.Equal(got, args) {
		ts.Fatalf("served keys of %q; want %q", got, args)
	}
	ts.Check(os.RemoveAll(ts.MkAbs("served")))
}

// noteKeys lets a script wait for the N-th key: waitfor keys N.
func noteKeys(n int) {
	os.WriteFile(filepath.Join(os.Getenv("WORK"), "keys"), []byte(strconv.Itoa(n)), 0o600)
}

// The stand-ins' own rules, where a script can't see them.
func TestTokensAreGoodOnce(t *testing.T) {
	x := &tokens{life: time.Hour}
	a := x.issue("me")
	if err := x.spend(a); err != nil {
		t.Error(err)
	}
	if x.spend(a) == nil || x.spend("forged") == nil {
		t.Error("a token was taken twice, or one that nobody issued")
	}
}

// hostOf is HOST:PORT of a URL.
func hostOf(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		panic(err)
	}
	return u.Host
}
