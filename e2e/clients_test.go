package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"brs-exec/internal/sandbox"
	"brs-exec/need"
)

// onlySlow is all that brs-exec may say on a machine that stalls: an attempt had no answer in its second, and a later one had.
var onlySlow = regexp.MustCompile(`^(brs-exec: (warning: refresh failed; what is held stays valid \(.* no answer in time\)|` +
	`hint: STS is asked at .*|warning: the source answers again .*)\n)*$`)

// Eight-second credentials under a boto3 loop: no failed call, at most nine AssumeRole.
func TestBoto3OutlivesItsCredentials(t *testing.T) {
	needPython(t)
	w := newWorld(t, sandbox.Options{TTL: 8 * time.Second}).base()
	out, errs, status := w.run(t, "--role-arn", role, "--", tools.python, script("identity_loop.py"), "22", "0.1")
	if status != 0 || !onlySlow.MatchString(errs) {
		t.Fatalf("status %d, stderr %q", status, errs)
	}
	l := parseLoop(t, out)
	if len(l.Errors) > 0 || l.Calls < 100 {
		t.Errorf("%d calls, failed: %q; stderr %s", l.Calls, l.Errors, errs)
	}
	if len(l.Arns) != 1 || !strings.Contains(l.Arns[0], ":assumed-role/etl/brs-exec-") {
		t.Errorf("ran as %q", l.Arns)
	}
	if n := w.count("AssumeRole"); n > 9 || l.Keys < 5 {
		t.Errorf("%d AssumeRole calls, %d different keys", n, l.Keys)
	}
}

// Whatever else the environment or the files offer, the child is the role.
func TestNothingElseAnswers(t *testing.T) {
	need.Long(t, "10 seconds of both processors; conformance has the same traps, and more")
	needPython(t)
	const keys = "aws_access_key_id = AKIALEAKLEAKLEAKLEAK\naws_secret_access_key = leakleakleak\n"
	for name, trap := range map[string]struct{ config, credentials, env string }{
		"default in credentials": {credentials: "[default]\n" + keys},
		"default in config":      {config: "[default]\n" + keys},
		"process in default":     {config: "[default]\ncredential_process = echo leak\n"},
		"keys in environment":    {env: "AWS_ACCESS_KEY_ID=AKIALEAKLEAKLEAKLEAK\nAWS_SECRET_ACCESS_KEY=leakleakleak"},
		"AWS_PROFILE":            {credentials: "[other]\n" + keys, env: "AWS_PROFILE=other"},
		"AWS_DEFAULT_PROFILE":    {credentials: "[other]\n" + keys, env: "AWS_DEFAULT_PROFILE=other"},
		"web identity":           {env: "AWS_WEB_IDENTITY_TOKEN_FILE=/nonexistent\nAWS_ROLE_ARN=arn:aws:iam::111111111111:role/leak"},
		"relative uri":           {env: "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/leak"},
		"other token file":       {env: "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=/nonexistent"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, sandbox.Options{TTL: time.Minute})
			c := w.sts.BaseCredentials()
			w.write(t, ".aws/credentials", trap.credentials+
				"[base]\naws_access_key_id = "+c.AccessKeyID+"\naws_secret_access_key = "+c.SecretAccessKey+"\n")
			w.write(t, ".aws/config", trap.config+"[profile base]\nregion = eu-west-1\n")
			w.set(strings.Split(trap.env, "\n")...)
			for client, argv := range map[string][]string{
				"boto3":   {tools.python, "-c", "import boto3; print(boto3.client('sts').get_caller_identity()['Arn'])"},
				"aws cli": {tools.python, "-m", "awscli", "sts", "get-caller-identity", "--query", "Arn", "--output", "text"},
			} {
				out, errs, status := w.run(t, append([]string{"--profile", "base", "--role-arn", role, "--"}, argv...)...)
				if status != 0 || errs != "" || !strings.Contains(out, ":assumed-role/etl/") {
					t.Errorf("%s: status %d, %q, stderr %q; want the role", client, status, out, errs)
				}
			}
		})
	}
}

// The aws cli copies to moto's S3 over at least five rotations; each of its
// processes also shows the sandbox, which checks expiry, who it is.
func TestAWSCLIOverRotations(t *testing.T) {
	need.Long(t, "32 seconds of a processor")
	needPython(t)
	w := newWorld(t, sandbox.Options{TTL: 8 * time.Second}).base() // renewed after 5 s
	w.set("AWS_ENDPOINT_URL_S3=" + moto(t))
	out, errs, status := w.run(t, "--role-arn", role, "--", "sh", script("s3_loop.sh"), "32")
	if status != 0 || errs != "" {
		t.Fatalf("status %d, stderr %q, stdout %q", status, errs, out)
	}
	if n := w.count("AssumeRole"); n < 6 {
		t.Errorf("%d AssumeRole calls: fewer than five rotations", n)
	}
}

// terraform keeps its state in moto's S3 while the credentials rotate under it.
func TestTerraformBackend(t *testing.T) {
	need.Long(t, "20 seconds, and a moto_server of its own")
	needPython(t)
	need.That(t, tools.terraform != "", "terraform", "https://developer.hashicorp.com/terraform/install")
	w := newWorld(t, sandbox.Options{TTL: 8 * time.Second}).base() // renewed after 5 s
	s3 := ownMoto(t)
	w.set("AWS_ENDPOINT_URL_S3="+s3, "TF_IN_AUTOMATION=1", "CHECKPOINT_DISABLE=1")
	if resp, err := http.DefaultClient.Do(must(http.NewRequest("PUT", s3+"/brs-exec-state", nil))); err != nil || resp.StatusCode != 200 {
		t.Fatalf("make bucket: %v %v", resp, err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("..", "examples", "terraform"))); err != nil {
		t.Fatal(err)
	}
	out, errs, status := w.run(t, "--role-arn", role, "--", "sh", "-ec",
		`cd "$1"; terraform init -input=false -no-color; terraform apply -input=false -auto-approve -no-color; terraform output -no-color`, "sh", dir)
	if status != 0 || errs != "" || !strings.Contains(out, "written after") {
		t.Fatalf("status %d, stderr %q, stdout %s", status, errs, out)
	}
	if n := w.count("AssumeRole"); n < 4 {
		t.Errorf("%d AssumeRole calls: the credentials hardly rotated", n)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// moto, an STS nobody here wrote, agrees on what we send and who we are.
func TestMotoSTS(t *testing.T) {
	needPython(t)
	w := newWorld(t, sandbox.Options{}).base()
	w.set("AWS_ENDPOINT_URL_STS=" + moto(t))
	out, errs, status := w.run(t, "--role-arn", role, "--role-session-name", "me", "--tags", "Team=a,b;c", "--",
		tools.python, "-m", "awscli", "sts", "get-caller-identity", "--query", "Arn", "--output", "text")
	if status != 0 || errs != "" || !strings.Contains(out, "assumed-role/etl/me") {
		t.Errorf("status %d, %q, stderr %q", status, out, errs)
	}
}

// A cleaner takes the private directory: after the next look (30 s) calls work again.
func TestPrivateDirectoryComesBack(t *testing.T) {
	needPython(t)
	w := newWorld(t, sandbox.Options{TTL: 10 * time.Minute}).base()
	out, errs, status := w.run(t, "--role-arn", role, "--", "sh", "-ec",
		`rm -r "$TMPDIR"/brs-exec-*; ! test -e "$AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"; sleep 31; exec "$@"`, "sh",
		tools.python, script("identity_loop.py"), "3", "0.1")
	if status != 0 || errs != "" {
		t.Fatalf("status %d, stderr %q", status, errs)
	}
	if l := parseLoop(t, out); len(l.Errors) > 0 || len(l.Arns) != 1 {
		t.Errorf("%+v", l)
	}
}

// A child that gives up root (gosu, su-exec, setpriv) still fetches.
func TestChildOfAnotherUser(t *testing.T) {
	needPython(t)
	need.Tools(t, "setpriv")
	need.That(t, os.Geteuid() == 0, "root", "run the tests as root")
	w := newWorld(t, sandbox.Options{TTL: time.Minute}).base()
	w.tmp = openDir(t, 0o777|os.ModeSticky) // as /tmp is
	w.set("TMPDIR="+w.tmp, "HOME=/nonexistent")
	for _, where := range []string{"both", "file", "env"} {
		out, errs, status := w.run(t, "--role-arn", role, "--token-in", where, "--",
			"setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", tools.whois)
		if status != 0 || errs != "" || !strings.Contains(out, ":assumed-role/etl/") {
			t.Errorf("--token-in %s: status %d, %q, stderr %q", where, status, out, errs)
		}
	}
}
