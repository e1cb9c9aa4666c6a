package e2e

import (
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"brs-exec/internal/sandbox"
	"brs-exec/need"
)

// outside is all that brs-exec asks: STS and Identity Center. It counts how many ask at once, and can be down.
type outside struct {
	w     *world
	url   string
	now   atomic.Int64
	most  atomic.Int64
	calls atomic.Int64
	down  atomic.Bool
}

func newOutside(t *testing.T, w *world) *outside {
	o := &outside{w: w}
	srv := httptest.NewServer(o)
	t.Cleanup(srv.Close)
	o.url = srv.URL
	return o
}

func (o *outside) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	now := o.now.Add(1)
	defer o.now.Add(-1)
	o.calls.Add(1)
	for most := o.most.Load(); now > most && !o.most.CompareAndSwap(most, now); most = o.most.Load() {
	}
	time.Sleep(30 * time.Millisecond) // as AWS is far away
	switch {
	case o.down.Load() && r.URL.Path != "/process": // a process that fails is not asked again so soon
		http.Error(rw, "", http.StatusServiceUnavailable)
	case r.URL.Path == "/federation/credentials":
		if r.Header.Get("x-amz-sso_bearer_token") != "sso-token" {
			http.Error(rw, `{"message":"who?"}`, http.StatusUnauthorized)
			return
		}
		c := o.assume(r)
		json.NewEncoder(rw).Encode(map[string]any{"roleCredentials": map[string]any{
			"accessKeyId": c.AccessKeyId, "secretAccessKey": c.SecretAccessKey,
			"sessionToken": c.SessionToken, "expiration": c.Expiration.UnixMilli(),
		}})
	case r.URL.Path == "/process":
		c := o.assume(r)
		json.NewEncoder(rw).Encode(map[string]any{"Version": 1, "AccessKeyId": c.AccessKeyId,
			"SecretAccessKey": c.SecretAccessKey, "SessionToken": c.SessionToken, "Expiration": c.Expiration})
	default:
		o.w.sts.ServeHTTP(rw, r)
	}
}

// assume gives the role host of the account that the request names.
func (o *outside) assume(r *http.Request) *types.Credentials {
	client := sts.New(sts.Options{Region: "us-east-1", BaseEndpoint: &o.w.url,
		Credentials: credentials.StaticCredentialsProvider{Value: o.w.sts.BaseCredentials()}})
	out, err := client.AssumeRole(r.Context(), &sts.AssumeRoleInput{
		RoleArn: aws.String("arn:aws:iam::" + r.URL.Query().Get("account_id") + ":role/host"), RoleSessionName: aws.String("me"),
	})
	if err != nil {
		panic(http.ErrAbortHandler) // the client has gone
	}
	return out.Credentials
}

// manyProfiles writes 300 profiles acct-ACCOUNT-N: over 3 SSO sessions, 20 roles over two others, and 20 processes.
func (o *outside) manyProfiles(t *testing.T) {
	t.Helper()
	var config strings.Builder
	for n := range 3 {
		fmt.Fprintf(&config, "[sso-session s%d]\nsso_region = us-east-1\nsso_start_url = https://s%[1]d.example/start\n", n)
		sum := sha1.Sum(fmt.Appendf(nil, "s%d", n))
		o.w.write(t, ".aws/sso/cache/"+hex.EncodeToString(sum[:])+".json", fmt.Sprintf(
			`{"accessToken":"sso-token","expiresAt":%q}`, time.Now().Add(time.Hour).UTC().Format(time.RFC3339)))
	}
	c := o.w.sts.BaseCredentials()
	o.w.write(t, ".aws/credentials", fmt.Sprintf("[keys]\naws_access_key_id = %s\naws_secret_access_key = %s\n", c.AccessKeyID, c.SecretAccessKey))
	fmt.Fprintf(&config, "[profile hub]\nrole_arn = arn:aws:iam::999999999999:role/hub\nsource_profile = keys\n")
	for n := range 300 {
		account := fmt.Sprintf("%012d", 100000000000+n)
		fmt.Fprintf(&config, "[profile acct-%s-x]\n", account)
		switch {
		case n < 10:
			fmt.Fprintf(&config, "role_arn = arn:aws:iam::%s:role/r\nsource_profile = hub\n", account)
		case n < 20:
			fmt.Fprintf(&config, "role_arn = arn:aws:iam::%s:role/r\nsource_profile = keys\n", account)
		case n < 40:
			fmt.Fprintf(&config, "credential_process = curl -sf %s/process?account_id=%s\n", o.url, account)
		default:
			fmt.Fprintf(&config, "sso_session = s%d\nsso_account_id = %s\nsso_role_name = host\n", n%3, account)
		}
	}
	o.w.write(t, ".aws/config", config.String())
	o.w.set("AWS_ENDPOINT_URL_SSO="+o.url, "AWS_ENDPOINT_URL_SSO_OIDC="+o.url)
}

var auditFor = flag.Duration("audit", 0, "how long TestManyProfiles goes on, with lives of 12 seconds; 0: as long as beside other tests")

// Three hundred profiles of every kind, visited in random order by 32 threads: each call is of the right account by the word of
// STS, few calls are outstanding, and outages that are shorter than what is held are nobody's.
func TestManyProfiles(t *testing.T) {
	needPython(t)
	need.Tools(t, "curl")
	need.Long(t, "half a minute of both processors")
	for _, outages := range []bool{false, true} {
		t.Run(fmt.Sprintf("outages=%t", outages), func(t *testing.T) {
			life, length := 30*time.Second, 20*time.Second // beside other tests
			if *auditFor != 0 {
				life, length = 12*time.Second, *auditFor
			}
			if outages {
				life = 30 * time.Second
			}
			w := newWorld(t, sandbox.Options{TTL: life})
			o := newOutside(t, w)
			o.manyProfiles(t)
			cmd := exec.Command(tools.brsExec, "--profile", "keys", "--sts-endpoint-url", o.url, "--with-profile", "acct-*", "--",
				tools.python, script("audit.py"), fmt.Sprint(length.Seconds()), "32")
			cmd.Env = w.env
			var out, errs strings.Builder
			cmd.Stdout, cmd.Stderr = &out, &errs
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if outages {
				go func() {
					for range time.Tick(20 * time.Second) {
						o.down.Store(true)
						time.Sleep(7 * time.Second)
						o.down.Store(false)
					}
				}()
			}
			used := make(chan usage)
			go func() { used <- watchUsage(cmd.Process.Pid) }()
			if err := cmd.Wait(); err != nil {
				t.Fatalf("%v: %s", err, errs.String())
			}
			u := <-used
			t.Logf("%d KiB, %.1f %% of a processor", u.rss, 100*u.cpu.Seconds()/length.Seconds())
			if u.rss == 0 || u.rss > 40<<10 || *auditFor != 0 && u.cpu > length*15/100 {
				t.Errorf("brs-exec had %d KiB and %v of a processor in %v; want 40 MiB and 15 %% at most", u.rss, u.cpu, length)
			}
			var saw struct {
				Calls, Profiles int
				Wrong, Errors   []string
			}
			if err := json.Unmarshal([]byte(out.String()), &saw); err != nil {
				t.Fatalf("%v in %q", err, out.String())
			}
			t.Logf("%d calls, %d outside, %d at once", saw.Calls, o.calls.Load(), o.most.Load())
			if saw.Profiles != 300 || saw.Calls == 0 || len(saw.Wrong)+len(saw.Errors) > 0 {
				t.Errorf("%+v; stderr %s", saw, errs.String())
			}
			if o.most.Load() > 8 {
				t.Errorf("%d calls at once", o.most.Load())
			}
		})
	}
}

// usage is what a process took of the machine.
type usage struct {
	rss int           // KiB, at the most
	cpu time.Duration // its children's is not in it
}

// watchUsage returns what a process took, once it has ended.
func watchUsage(pid int) (u usage) {
	for ; ; time.Sleep(100 * time.Millisecond) {
		status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		_, line, running := strings.Cut(string(status), "VmHWM:")
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if !running || err != nil {
			return u
		}
		fmt.Sscan(line, &u.rss)
		_, after, _ := strings.Cut(string(stat), ") ")
		var user, system time.Duration // hundredths of a second: proc_pid_stat(5)
		if f := strings.Fields(after); len(f) > 12 {
			fmt.Sscan(f[11], &user)
			fmt.Sscan(f[12], &system)
		}
		u.cpu = (user + system) * 10 * time.Millisecond
	}
}

// roleProfiles writes profiles that are roles of the same name, over the environment's keys.
func (w *world) roleProfiles(t *testing.T, names ...string) {
	var config strings.Builder
	for _, name := range names {
		fmt.Fprintf(&config, "[profile %s]\nrole_arn = arn:aws:iam::111111111111:role/%[1]s\ncredential_source = Environment\n", name)
	}
	w.write(t, ".aws/config", config.String())
}

// boto3 takes what a process said for as long as 15 minutes are left: a hundred calls at lives of an hour start two at most.
func TestFewFetches(t *testing.T) {
	needPython(t)
	w := newWorld(t, sandbox.Options{TTL: time.Hour}).base()
	w.roleProfiles(t, "a")
	log := filepath.Join(t.TempDir(), "log")
	const calls = "import boto3; c = boto3.client('sts'); print({c.get_caller_identity()['Arn'] for _ in range(100)})"
	out, stderr, status := w.run(t, jsonLog(log, "--with-profile", "a", "--", "env", "AWS_PROFILE=a", tools.python, "-c", calls)...)
	fetches := 0
	for _, r := range records(t, log) {
		if r.event() == "served" && r["profile"] == "a" {
			fetches++
		}
	}
	if status != 0 || !strings.Contains(out, "assumed-role/a/") || fetches < 1 || fetches > 2 {
		t.Errorf("status %d, %d processes, %s, stderr %s", status, fetches, out, stderr)
	}
}

// Sixty-four programs at once that name one profile are one call to STS.
func TestManyPrograms(t *testing.T) {
	parallel := needTool(t, "parallel")
	w := newWorld(t, sandbox.Options{}).base()
	w.roleProfiles(t, "a", "b")
	program, numbers := tools.whois, []string{}
	if os.Getenv("REPEAT") != "" { // 64 Pythons
		needPython(t)
		program = tools.python + " -m awscli sts get-caller-identity --output text"
	}
	for n := range 64 {
		numbers = append(numbers, fmt.Sprint(n))
	}
	out, stderr, status := w.run(t, append([]string{"--role-arn", role, "--with-profile", "?", "--", parallel, "--will-cite", "-j64",
		"AWS_PROFILE=$(if [ $(({} % 2)) = 0 ]; then echo a; else echo b; fi) " + program + " #{}", ":::"}, numbers...)...)
	if status != 0 || strings.Count(out, "assumed-role/a/") != 32 || strings.Count(out, "assumed-role/b/") != 32 {
		t.Errorf("status %d, %s; stderr %s", status, out, stderr)
	}
	if n := w.count("AssumeRole"); n != 3 {
		t.Errorf("%d calls of AssumeRole; want one an identity", n)
	}
}
