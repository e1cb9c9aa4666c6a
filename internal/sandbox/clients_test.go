package sandbox

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec/need"
)

func TestMain(m *testing.M) { os.Exit(need.Run(m)) }

// boto is what a Python program sees: one line per call, the identity or the error's code.
const boto = `
import boto3, botocore.config, os
sts = boto3.client('sts', config=botocore.config.Config(retries={'total_max_attempts': 1}))
def show(f):
    try: print(f())
    except sts.exceptions.ClientError as e: print(e.response['ResponseMetadata']['HTTPStatusCode'], e.response['Error']['Type'], e)
def session(c):
    return boto3.client('sts', aws_access_key_id=c['AccessKeyId'], aws_secret_access_key=c['SecretAccessKey'], aws_session_token=c['SessionToken'])
role = lambda arn, **kw: sts.assume_role(RoleArn=arn, RoleSessionName='py', **kw)
out = role('arn:aws:iam::111122223333:role/etl', Tags=[{'Key': 'Team', 'Value': 'a;b, c'}])
show(lambda: session(out['Credentials']).get_caller_identity()['Arn'])
show(lambda: sts.get_caller_identity()['Arn'])
show(lambda: 3590 < out['Credentials']['Expiration'].timestamp() - float(os.environ['STS_NOW']) <= 3600)
show(lambda: role('arn:aws:iam::111122223333:role/denied'))
show(lambda: role('arn:aws:iam::111122223333:user/etl'))
show(lambda: sts.assume_role_with_web_identity(RoleArn='arn:aws:iam::111122223333:role/etl', RoleSessionName='py', WebIdentityToken=os.environ['JWT']))
out['Credentials']['SecretAccessKey'] += 'x'
show(lambda: session(out['Credentials']).get_caller_identity()['Arn'])
`

const botoWant = `arn:aws:sts::111122223333:assumed-role/etl/py
arn:aws:iam::000000000000:user/sandbox
True
403 Sender An error occurred (AccessDenied) when calling the AssumeRole operation: User: arn:aws:iam::000000000000:user/sandbox is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::111122223333:role/denied
400 Sender An error occurred (ValidationError) when calling the AssumeRole operation: Request ARN is invalid
400 Sender An error occurred (ExpiredTokenException) when calling the AssumeRoleWithWebIdentity operation: Token expired: current date/time NOW must be before the expiration date/time 1
403 Sender An error occurred (SignatureDoesNotMatch) when calling the GetCallerIdentity operation: The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.
`

func TestBoto3(t *testing.T) {
	w := newWorld(t, Options{})
	cmd := exec.Command(tool(t, "python3"), "-c", boto)
	// The sandbox's clock stands still: boto3 may take seconds to be loaded.
	cmd.Env = append(w.env(t, w.BaseCredentials()),
		"JWT="+WebIdentityToken("s", "a", epoch), fmt.Sprintf("STS_NOW=%d", w.now.Unix()))
	got := output(t, cmd)
	before, rest, _ := strings.Cut(got, "current date/time ")
	_, rest, _ = strings.Cut(rest, " ")
	if got := before + "current date/time NOW " + rest; got != botoWant {
		t.Errorf("got %s; want %s", got, botoWant)
	}
}

func TestCLI(t *testing.T) {
	w := newWorld(t, Options{})
	aws1 := tool(t, "aws")
	run := func(c aws.Credentials, args ...string) *exec.Cmd {
		cmd := exec.Command(aws1, append([]string{"sts", "--output", "json"}, args...)...)
		cmd.Env = w.env(t, c)
		return cmd
	}
	var out struct {
		Credentials struct{ AccessKeyId, SecretAccessKey, SessionToken string }
	}
	text := output(t, run(w.BaseCredentials(), "assume-role", "--role-arn", etl, "--role-session-name", "cli", "--duration-seconds", "900"))
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatal(err)
	}
	session := aws.Credentials{AccessKeyID: out.Credentials.AccessKeyId, SecretAccessKey: out.Credentials.SecretAccessKey, SessionToken: out.Credentials.SessionToken}
	if got := output(t, run(session, "get-caller-identity")); !strings.Contains(got, "arn:aws:sts::111122223333:assumed-role/etl/cli") {
		t.Errorf("got %s", got)
	}
	session.SessionToken = "garbled"
	text2, err := run(session, "get-caller-identity").CombinedOutput()
	if want := "(InvalidClientTokenId) when calling the GetCallerIdentity operation: The security token included in the request is invalid."; err == nil || !strings.Contains(string(text2), want) {
		t.Errorf("got %v %s; want …%s", err, text2, want)
	}
}

// env is all that a client may see: nothing of the machine's own AWS settings, proxies or
// certificates.
func (w *world) env(t *testing.T, c aws.Credentials) []string {
	dir := t.TempDir()
	env := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "NO_PROXY=*", "no_proxy=*",
		"AWS_CONFIG_FILE=" + filepath.Join(dir, "none"), "AWS_SHARED_CREDENTIALS_FILE=" + filepath.Join(dir, "none"),
		"AWS_EC2_METADATA_DISABLED=true", "AWS_DEFAULT_REGION=eu-central-1", "AWS_ENDPOINT_URL_STS=" + w.url,
		"AWS_ACCESS_KEY_ID=" + c.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + c.SecretAccessKey,
	}
	if c.SessionToken != "" {
		env = append(env, "AWS_SESSION_TOKEN="+c.SessionToken)
	}
	return env
}

func output(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args[0], err, stderr.String())
	}
	return string(out)
}

// tool finds a client that Go's toolchain doesn't bring.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil && name == "python3" {
		err = exec.Command(path, "-c", "import boto3").Run()
	}
	need.That(t, err == nil, "boto3 and the aws cli", "python3 -m pip install boto3 awscli")
	return path
}
