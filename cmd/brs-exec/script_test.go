package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/rogpeppe/go-internal/testscript"

	"brs-exec/internal/sandbox"
	"brs-exec/need"
)

var update = flag.Bool("update", false, "rewrite the golden files inside the scripts")

func TestMain(m *testing.M) {
	if strings.HasSuffix(strings.TrimSuffix(os.Args[0], ".exe"), ".test") { // not one of the commands below
		flag.Parse()
		parallel := "32" // the scripts wait, mostly
		if raced {
			parallel = "10" // brs-exec starts several times slower
		}
		if runtime.GOOS == "windows" {
			parallel = "4" // under wine
		}
		if err := flag.Set("test.parallel", parallel); err != nil {
			panic(err)
		}
	}
	commands := map[string]func(){
		"brs-exec": main,
		"whois":    whois,
		"fetch":    fetch,
		"follow":   follow,
		"mint":     mint,
		"poll":     poll,
		"circleci": circleci,
		"buggy":    buggy,

		"buildkite-agent": buildkiteAgent,
	}
	maps.Copy(commands, systemCommands)
	testscript.Main(telling{m}, commands)
}

// telling tells at the end what was skipped.
type telling struct{ *testing.M }

func (m telling) Run() int { return need.Run(m.M) }

// TestScripts drives the real binary. Each script has a sandbox STS of its own, its base
// credentials in the environment, and nothing else of AWS.
func TestScripts(t *testing.T) {
	t.Parallel()
	runScripts(t, scripts)
}

// TestAction runs the GitHub Action's programs, with what a runner gives them.
func TestAction(t *testing.T) {
	t.Parallel()
	need.Tools(t, "node", "tar")
	runScripts(t, testscript.Params{Files: []string{filepath.Join("..", "..", "testdata", "action.txtar")}})
}

func runScripts(t *testing.T, p testscript.Params) {
	p.Setup = func(e *testscript.Env) error {
		newStack(e).start(sandbox.Options{}, e.Setenv)
		action, err := filepath.Abs(filepath.Join("..", "..", "action"))
		e.Setenv("ACTION", action)
		return err
	}
	p.RequireExplicitExec, p.RequireUniqueNames, p.UpdateScripts = true, true, *update
	p.Cmds = map[string]func(*testscript.TestScript, bool, []string){
		"sts":       cmdSTS,
		"status":    cmdStatus,
		"calls":     cmdCalls,
		"waitfor":   cmdWaitFor,
		"waitcall":  cmdWaitCall,
		"nosecrets": cmdNoSecrets,
		"empty":     cmdEmpty,
		"lines":     cmdLines,
		"standin":   cmdStandin,
		"handed":    cmdHanded,
		"distinct":  cmdDistinct,
		"connects":  cmdConnects,
		"served":    cmdServed,
	}
	maps.Copy(p.Cmds, systemCmds)
	testscript.Run(t, p)
}

// stack is the STS of one script.
type stack struct {
	srv *httptest.Server
	sts *sandbox.STS

	mu       sync.Mutex
	calls    []sandbox.Call
	received map[string]int // by action; a call that hangs is received, but never in calls
	secrets  []string

	// of the stand-ins
	tokens   *tokens // nil: STS takes any
	portal   *portal
	signIn   *signIn
	handed   int               // sessions
	owners   map[string]string // accounts, by the access keys of those sessions
	connects []string
}

type stackKey struct{}

func newStack(e *testscript.Env) *stack {
	s := new(stack)
	e.Values[stackKey{}] = s
	e.Defer(func() { s.srv.Close() })
	e.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	e.Setenv("AWS_REGION", "us-east-1")
	e.Setenv("LF", "\n")
	e.Setenv("ROLE", "arn:aws:iam::123456789012:role/etl")
	for _, name := range []string{"home", "tmp"} {
		if err := os.MkdirAll(filepath.Join(e.WorkDir, name), 0o700); err != nil {
			e.T().Fatal(err)
		}
	}
	home, tmp := filepath.Join(e.WorkDir, "home"), filepath.Join(e.WorkDir, "tmp")
	for name, value := range map[string]string{"HOME": home, "USERPROFILE": home, "TMPDIR": tmp, "TEMP": tmp, "TMP": tmp} {
		e.Setenv(name, value)
	}
	// As root, brs-exec puts its directory where a child that drops to another user can reach it:
	// were this closed (as the folder is that testscript made, which all scripts share), `empty
	// tmp` would see nothing of it.
	for _, dir := range []string{filepath.Dir(e.WorkDir), e.WorkDir, tmp} {
		if err := os.Chmod(dir, 0o711); err != nil {
			e.T().Fatal(err)
		}
	}
	return s
}

// start replaces the script's STS by one with other options.
func (s *stack) start(o sandbox.Options, setenv func(name, value string)) {
	if s.srv != nil {
		s.srv.Close()
	}
	o.OnCall = func(c sandbox.Call) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if !strings.HasPrefix(c.Params.Get("RoleSessionName"), hostSession) { // a stand-in's own
			s.calls = append(s.calls, c)
		}
	}
	s.calls, s.received = nil, make(map[string]int)
	fault := o.Fault
	o.Fault = func(c sandbox.Call) error {
		s.mu.Lock()
		s.received[c.Action]++
		tokens := s.tokens
		s.mu.Unlock()
		if token := c.Params.Get("WebIdentityToken"); token != "" && tokens != nil {
			if err := tokens.spend(token); err != nil {
				return err
			}
		}
		if fault == nil {
			return nil
		}
		return fault(c)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sts = sandbox.New(o)
	s.srv = httptest.NewServer(s.sts)
	c := s.sts.BaseCredentials()
	s.secrets = append(s.secrets, c.SecretAccessKey)
	setenv("AWS_ENDPOINT_URL_STS", s.srv.URL)
	setenv("AWS_ACCESS_KEY_ID", c.AccessKeyID)
	setenv("AWS_SECRET_ACCESS_KEY", c.SecretAccessKey)
	setenv("BASE_ID", c.AccessKeyID) // for a credential_process, which doesn't get the two above
	setenv("BASE_SECRET", c.SecretAccessKey)
}

func stackOf(ts *testscript.TestScript) *stack { return ts.Value(stackKey{}).(*stack) }

// sts [-ttl DURATION] [-session DURATION] [-offset DURATION] [-slow DURATION] [-fail CODE:STATUS:COUNT[:ACTION]]
// [-good COUNT] [-most DURATION] gives the script another STS. -fail answers the first COUNT calls
// of ACTION, else of AssumeRole, with that error (COUNT 0: all), but for -good COUNT before them;
// -most is each role's MaxSessionDuration.
func cmdSTS(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("usage: sts [flags]")
	}
	var o sandbox.Options
	f := flag.NewFlagSet("sts", flag.ContinueOnError)
	f.DurationVar(&o.TTL, "ttl", 0, "")
	f.DurationVar(&o.SessionTTL, "session", 0, "")
	offset := f.Duration("offset", 0, "")
	slow := f.Duration("slow", 0, "")
	fail := f.String("fail", "", "")
	good := f.Int("good", 0, "")
	most := f.Duration("most", 0, "")
	ts.Check(f.Parse(args))
	if *offset != 0 {
		o.Now = func() time.Time { return time.Now().Add(*offset) }
	}
	if *slow != 0 {
		o.Fault = func(sandbox.Call) error { time.Sleep(*slow); return nil }
	}
	if *fail != "" {
		o.Fault = faultOf(ts, *fail, *good)
	}
	if *most != 0 {
		o.Fault = tooLong(*most)
	}
	stackOf(ts).start(o, ts.Setenv)
}

// calls ACTION prints one line for each call of that action so far: its parameters sorted, then
// caller=ARN and agent=USER-AGENT; `calls ACTION N` and `calls ACTION MIN-MAX` check their number
// instead.
func cmdCalls(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: calls ACTION [N|MIN-MAX]")
	}
	s := stackOf(ts)
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, c := range s.calls {
		if c.Action != args[0] {
			continue
		}
		n++
		fmt.Fprintf(ts.Stdout(), "%s caller=%s agent=%s\n", sortedForm(c.Params), c.CallerARN, c.UserAgent)
	}
	if len(args) == 2 {
		wantNumber(ts, args[0]+" calls", n, args[1])
	}
}

// faultOf reads CODE:STATUS:COUNT[:ACTION]; good calls of the action come first.
func faultOf(ts *testscript.TestScript, text string, good int) func(sandbox.Call) error {
	words := append(strings.Split(text, ":"), "AssumeRole")
	if len(words) < 4 {
		ts.Fatalf("-fail CODE:STATUS:COUNT[:ACTION]")
	}
	action := words[3]
	status, err := strconv.Atoi(words[1])
	ts.Check(err)
	left, err := strconv.Atoi(words[2])
	ts.Check(err)
	always := left == 0
	var mu sync.Mutex
	return func(c sandbox.Call) error {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case c.Action != action || strings.HasPrefix(c.Params.Get("RoleSessionName"), hostSession): // another, or a stand-in's own
			return nil
		case good > 0:
			good--
			return nil
		}
		if left--; !always && left < 0 {
			return nil
		}
		if words[0] == "hang" {
			return sandbox.ErrHang
		}
		return sandbox.Error{Status: status, Code: words[0], Message: "made by the test"}
	}
}

// tooLong is STS's answer where the role allows less than was asked.
func tooLong(most time.Duration) func(sandbox.Call) error {
	return func(c sandbox.Call) error {
		if asked, err := strconv.Atoi(c.Params.Get("DurationSeconds")); err != nil || time.Duration(asked)*time.Second <= most {
			return nil
		}
		return sandbox.Error{Status: http.StatusBadRequest, Code: "ValidationError", Message: "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."}
	}
}

func sortedForm(v url.Values) string {
	var words []string
	for k, values := range v {
		for _, value := range values {
			words = append(words, k+"="+value)
		}
	}
	slices.Sort(words)
	return strings.Join(words, " ")
}

// status N COMMAND... runs a command that must exit with N; -TERM is death by TERM.
func cmdStatus(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N|-SIGNAL COMMAND...")
	}
	got := "0"
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = strconv.Itoa(exit.ExitCode())
		if signal := signalOf(exit.ProcessState); signal != "" {
			got = "-" + signal
		}
	}
	if got != args[0] {
		ts.Fatalf("%s: status %s; want %s", args[1], got, args[0])
	}
}

// waitfor FILE [TEXT] waits until the file exists (and holds the text).
func cmdWaitFor(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: waitfor FILE [TEXT]")
	}
	want := ""
	if len(args) == 2 {
		want = args[1]
	}
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if data, err := os.ReadFile(ts.MkAbs(args[0])); err == nil && strings.Contains(string(data), want) {
			return
		}
	}
	ts.Fatalf("%s did not come to hold %q in a minute", args[0], want)
}

// waitcall ACTION waits until STS has received such a call.
func cmdWaitCall(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: waitcall ACTION")
	}
	s := stackOf(ts)
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		s.mu.Lock()
		n := s.received[args[0]]
		s.mu.Unlock()
		if n > 0 {
			return
		}
	}
	ts.Fatalf("no %s call in a minute", args[0])
}

// nosecrets FILE... fails if a file holds a secret of the script's STS: a base secret key, or a
// secret key or session token that whois or fetch was served (they append those to $WORK/secrets).
func cmdNoSecrets(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: nosecrets FILE...")
	}
	secrets := append(slices.Clone(stackOf(ts).secrets), strings.Fields(ts.ReadFile("secrets"))...)
	if len(secrets) < 4 {
		ts.Fatalf("only %d known secrets: nothing was served", len(secrets))
	}
	for _, file := range args {
		text := ts.ReadFile(file)
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				ts.Fatalf("%s holds a secret (%s…)", file, secret[:4])
			}
		}
	}
}

// empty DIR fails if the directory holds anything.
func cmdEmpty(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: empty DIR")
	}
	entries, err := os.ReadDir(ts.MkAbs(args[0]))
	ts.Check(err)
	if len(entries) > 0 {
		ts.Fatalf("%s holds %v", args[0], entries)
	}
}

// lines FILE N checks the number of lines (stdout and stderr are files, too).
func cmdLines(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: lines FILE N")
	}
	text := ts.ReadFile(args[0])
	if n := strings.Count(text, "\n"); strconv.Itoa(n) != args[1] {
		ts.Fatalf("%s has %d lines; want %s:\n%s", args[0], n, args[1], text)
	}
}

// whois is a program with an AWS SDK's default chain: it prints the Arn that STS sees.
func whois() {
	cfg, err := config.LoadDefaultConfig(context.Background())
	if err != nil {
		fail(err)
	}
	if creds, err := cfg.Credentials.Retrieve(context.Background()); err == nil {
		tellSecrets(creds.SecretAccessKey, creds.SessionToken)
	}
	id, err := sts.NewFromConfig(cfg).GetCallerIdentity(context.Background(), nil)
	if err != nil {
		fail(err)
	}
	fmt.Println(*id.Arn)
}

// fetch [SOCKET] asks the endpoint once, as an SDK does, or a share's socket, and prints status and
// body.
func fetch() {
	resp, body, err := askEndpoint(strings.Join(os.Args[1:], " "))
	if err != nil {
		fail(err)
	}
	fmt.Printf("%d %s\n%s\n", resp.StatusCode, resp.Header.Get("Content-Type"), bytes.TrimSpace(body))
}

// askEndpoint asks the endpoint, or a share's socket: curl --unix-socket.
func askEndpoint(socket string) (*http.Response, []byte, error) {
	req, err := http.NewRequest("GET", os.Getenv("AWS_CONTAINER_CREDENTIALS_FULL_URI"), nil)
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Authorization", os.Getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN"))
	client := http.DefaultClient
	if socket != "" {
		req, _ = http.NewRequest("GET", "http://localhost/credentials", nil)
		client = &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			return net.Dial("unix", socket)
		}}}
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, body, err
}

func tellSecrets(secrets ...string) {
	path := os.Getenv("WORK")
	f, err := os.OpenFile(filepath.Join(path, "secrets"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	defer f.Close()
	token, _ := os.ReadFile(os.Getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"))
	fmt.Fprintln(f, strings.Join(append(secrets, string(token)), "\n"))
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
