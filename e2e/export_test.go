package e2e

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"brs-exec/internal/sandbox"
	"brs-exec/need"
)

// exporting is a machine whose [default] has brs-exec as its credential_process. The config file knows nothing else.
func exporting(t *testing.T, life time.Duration) *world {
	t.Helper()
	w := newWorld(t, sandbox.Options{TTL: life})
	c := w.sts.BaseCredentials()
	w.write(t, ".aws/config", "[default]\ncredential_process = "+tools.brsExec+" --export --role-arn "+role+" --profile base\n")
	w.write(t, ".aws/credentials", "[base]\naws_access_key_id = "+c.AccessKeyID+"\naws_secret_access_key = "+c.SecretAccessKey+"\n")
	return w
}

// plain runs a command that knows nothing of brs-exec.
func (w *world) plain(t *testing.T, argv ...string) (stdout, stderr string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	cmd.Env = w.env
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// boto3 asks the process again whenever the credentials are near their end.
func TestExportToBoto3(t *testing.T) {
	needPython(t)
	w := exporting(t, 8*time.Second)
	out, errs, err := w.plain(t, tools.python, script("identity_loop.py"), "20", "0.5")
	if err != nil || errs != "" {
		t.Fatalf("%v, stderr %q", err, errs)
	}
	if l := parseLoop(t, out); len(l.Errors) > 0 || len(l.Arns) != 1 || !strings.Contains(l.Arns[0], ":assumed-role/etl/brs-exec-") || l.Keys < 4 {
		t.Errorf("%+v; want the role, over at least three rotations", l)
	}
}

func TestExportToAWSCLI(t *testing.T) {
	needPython(t)
	w := exporting(t, 15*time.Minute)
	out, errs, err := w.plain(t, tools.python, "-m", "awscli", "sts", "get-caller-identity", "--query", "Arn", "--output", "text")
	if err != nil || errs != "" || !strings.Contains(out, ":assumed-role/etl/brs-exec-") {
		t.Errorf("%v, %q, stderr %q", err, out, errs)
	}
}

// terraform's backend takes the process's credentials, and asks it again when they end.
func TestExportToTerraform(t *testing.T) {
	need.Long(t, "20 seconds, and a moto_server of its own")
	needPython(t)
	need.That(t, tools.terraform != "", "terraform", "https://developer.hashicorp.com/terraform/install")
	w := exporting(t, 4*time.Second)
	s3 := ownMoto(t)
	w.set("AWS_ENDPOINT_URL_S3="+s3, "TF_IN_AUTOMATION=1", "CHECKPOINT_DISABLE=1")
	if resp, err := http.DefaultClient.Do(must(http.NewRequest("PUT", s3+"/brs-exec-state", nil))); err != nil || resp.StatusCode != 200 {
		t.Fatalf("make bucket: %v %v", resp, err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("..", "examples", "terraform"))); err != nil {
		t.Fatal(err)
	}
	out, errs, err := w.plain(t, "sh", "-ec",
		`cd "$1"; terraform init -input=false -no-color; terraform apply -input=false -auto-approve -no-color; terraform output -no-color`, "sh", dir)
	if err != nil || errs != "" || !strings.Contains(out, "written after") {
		t.Fatalf("%v, stderr %q, stdout %s", err, errs, out)
	}
	if n := w.count("AssumeRole"); n < 4 {
		t.Errorf("%d AssumeRole calls: the credentials hardly rotated", n)
	}
}
