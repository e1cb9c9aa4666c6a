package e2e

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"brs-exec/internal/sandbox"
)

// pod is what a kubelet here needs of a manifest's.
type pod struct {
	Metadata struct{ Annotations map[string]string }
	Spec     struct{ InitContainers, Containers []container }
}

type container struct {
	Name, Image   string
	Command, Args []string
	Env           []struct{ Name, Value string }
	StartupProbe  struct{ Exec struct{ Command []string } }

	SecurityContext struct {
		AllowPrivilegeEscalation *bool
		ReadOnlyRootFilesystem   bool
	}
}

// readPod reads the pod of a Job or CronJob of examples/kubernetes.
func readPod(t *testing.T, file string) pod {
	t.Helper()
	const toJSON = `import json, sys, yaml
for document in yaml.safe_load_all(open(sys.argv[1])):
    spec = document.get("spec", {})
    spec = spec.get("jobTemplate", {}).get("spec", spec)
    if "template" in spec:
        json.dump(spec["template"], sys.stdout)
`
	path := filepath.Join("..", "examples", "kubernetes", file)
	text, err := exec.CommandContext(t.Context(), tools.python, "-c", toJSON, path).Output()
	var p pod
	if err == nil {
		err = json.Unmarshal([]byte(strings.ReplaceAll(string(text), "123456789012", "000000000000")), &p)
	}
	if err != nil || len(p.Spec.Containers) != 1 {
		t.Fatalf("%s: %v: %s", file, err, text)
	}
	return p
}

// node is an engine that has what a cluster or ECS gives its containers, and images with brs-exec in them.
type node struct {
	*engine
	asked atomic.Int64 // for the credentials of an agent
}

// Where a pod's tokens are, under /var/run/secrets.
const (
	irsaToken = "eks.amazonaws.com/serviceaccount/token"
	podToken  = "pods.eks.amazonaws.com/serviceaccount/eks-pod-identity-token"
)

// Who a container is by what its platform put into it.
var (
	irsa = []string{"AWS_REGION=eu-west-1", "AWS_DEFAULT_REGION=eu-west-1",
		"AWS_ROLE_ARN=arn:aws:iam::000000000000:role/pod",
		"AWS_WEB_IDENTITY_TOKEN_FILE=/var/run/secrets/" + irsaToken}
	podIdentity = []string{"AWS_REGION=eu-west-1", "AWS_DEFAULT_REGION=eu-west-1",
		"AWS_CONTAINER_CREDENTIALS_FULL_URI=http://169.254.170.23/v1/credentials",
		"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=/var/run/secrets/" + podToken}
	task = []string{"AWS_REGION=eu-west-1", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v2/credentials/etl"}
)

func newNode(t *testing.T, life time.Duration, seconds int) *node {
	t.Helper()
	n := &node{engine: newEngine(t, life, seconds)}
	ends := time.Now().Add(time.Hour)
	for name, text := range map[string]string{
		irsaToken: sandbox.WebIdentityToken("system:serviceaccount:default:etl", "sts.amazonaws.com", ends),
		podToken:  "pod-token",
	} {
		n.here(t, `mkdir -p "$(dirname "secrets/$1")" && printf %s "$2" >"secrets/$1"`, name, text)
	}
	n.build(t, "etl", dockerfile(t))
	n.build(t, "etl-credentials", serverImage)
	n.sh(t, "for address in 169.254.170.2 169.254.170.23; do ip address add $address/32 dev lo; done")
	for _, address := range []string{"169.254.170.2:80", "169.254.170.23:80"} {
		n.serveAgent(t, address)
	}
	return n
}

// dockerfile is that of docs/SCALE.md, from the engine's image.
func dockerfile(t *testing.T) string {
	t.Helper()
	_, text, _ := strings.Cut(read(t, filepath.Join("..", "docs", "SCALE.md")), "\n    FROM IMAGE\n")
	text, _, _ = strings.Cut(text, "\n\n")
	return "FROM image\n" + strings.ReplaceAll(text, "    ", "") + "\n"
}

// serveAgent is ECS's agent and EKS's: a new session of role/host at each question.
func (n *node) serveAgent(t *testing.T, address string) {
	t.Helper()
	base := func(context.Context) (aws.Credentials, error) { return n.w.sts.BaseCredentials(), nil }
	client := sts.New(sts.Options{Region: "us-east-1", BaseEndpoint: &n.w.url,
		Credentials: aws.CredentialsProviderFunc(base)})
	arn, name := "arn:aws:iam::000000000000:role/host", "task"
	agent := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who := r.URL.Path + " " + r.Header.Get("Authorization")
		if who != "/v2/credentials/etl " && who != "/v1/credentials pod-token" {
			http.Error(w, who, http.StatusForbidden)
			return
		}
		n.asked.Add(1)
		out, err := client.AssumeRole(r.Context(), &sts.AssumeRoleInput{RoleArn: &arn, RoleSessionName: &name})
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		c := out.Credentials
		json.NewEncoder(w).Encode(map[string]any{"AccessKeyId": c.AccessKeyId, "SecretAccessKey": c.SecretAccessKey,
			"Token": c.SessionToken, "Expiration": c.Expiration.UTC().Format(time.RFC3339)})
	})}
	err := n.do(func() error {
		ln, err := net.Listen("tcp", address)
		if err == nil {
			go agent.Serve(ln)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { agent.Close() })
}

// docker is one of its commands.
func (n *node) docker(t *testing.T, args ...string) string {
	t.Helper()
	line := "docker"
	for _, arg := range args {
		line += " '" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
	}
	return n.user(t, line)
}

// newPod is a pod's network and its folder, an emptyDir: it returns the flags of a container in it.
func (n *node) newPod(t *testing.T, name string) []string {
	t.Helper()
	n.docker(t, "run", "-d", "--name", name, "image", "sleep", "600")
	n.here(t, `mkdir "$1" && chmod 777 "$1"`, name)
	return []string{"--network", "container:" + name, "-v", filepath.Join(n.dir, name) + ":/share",
		"-v", filepath.Join(n.dir, "secrets") + ":/var/run/secrets:ro", "--user", "1000"}
}

// start starts a container of a pod as its manifest has it; identity is what the platform's webhook adds.
func (n *node) start(t *testing.T, p pod, c container, identity, flags []string, how ...string) string {
	t.Helper()
	args := slices.Concat([]string{"run"}, how, flags)
	if allowed := c.SecurityContext.AllowPrivilegeEscalation; allowed != nil && !*allowed {
		args = append(args, "--security-opt", "no-new-privileges")
	}
	if c.SecurityContext.ReadOnlyRootFilesystem {
		args = append(args, "--read-only", "--read-only-tmpfs=false")
	}
	skipped := strings.Split(p.Metadata.Annotations["eks.amazonaws.com/skip-containers"], ",")
	if !slices.Contains(skipped, c.Name) {
		for _, entry := range identity {
			args = append(args, "-e", entry)
		}
	}
	for _, entry := range c.Env {
		args = append(args, "-e", entry.Name+"="+entry.Value)
	}
	return n.docker(t, slices.Concat(args, []string{"--entrypoint", c.Command[0], c.Image}, c.Command[1:], c.Args)...)
}

// The manifests of examples/kubernetes, as a kubelet would start them: with brs-exec as the entry point.
func TestPodEntryPoint(t *testing.T) {
	n := newNode(t, 10*time.Second, 12)
	for name, c := range map[string]struct {
		file     string
		identity []string
	}{
		"irsa":         {"job.yaml", irsa},
		"pod-identity": {"cronjob.yaml", podIdentity},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := readPod(t, c.file)
			wantETL(t, n.start(t, p, p.Spec.Containers[0], c.identity, n.newPod(t, name), "--rm"), 2)
		})
	}
}

// A native sidecar, and the program that begins when its startup probe says so. Beside them is one with brs-exec in its
// image, which begins before there is any sidecar. Where the webhook is not told to skip the program, IRSA's role wins.
func TestPodSidecar(t *testing.T) {
	n := newNode(t, 10*time.Second, 12)
	for name, identity := range map[string][]string{"irsa": irsa, "pod-identity": podIdentity} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, flags := readPod(t, "sidecar.yaml"), n.newPod(t, name)
			sidecar, app := p.Spec.InitContainers[0], p.Spec.Containers[0]
			early := container{Image: "etl", Command: []string{"brs-exec"},
				Args: []string{"--from-share", "/share/aws", "--", "python3", "/etl.py"}}
			first := strings.TrimSpace(n.start(t, p, early, nil, flags, "-d", "-e", "AWS_REGION=eu-west-1"))
			called := name + "-sidecar"
			n.start(t, p, sidecar, identity, flags, "-d", "--name", called)
			probe := "docker exec " + called + " " + strings.Join(sidecar.StartupProbe.Exec.Command, " ")
			if _, errs, err := n.try(t, "until "+probe+"; do sleep 0.2; done"); err != nil {
				t.Fatalf("the startup probe: %.1000s; %s", errs, n.user(t, "docker logs 2>&1 "+called))
			}
			wantETL(t, n.start(t, p, app, identity, flags, "--rm"), 2)
			if status := n.docker(t, "wait", first); status != "0\n" {
				t.Errorf("the program that was first ended with %s", status)
			}
			wantETL(t, n.user(t, "docker logs 2>/dev/null "+first), 2)
			app.Command, app.Args = []string{"/whois"}, nil
			if name == "irsa" {
				p.Metadata.Annotations = nil
				if out := n.start(t, p, app, identity, flags, "--rm"); !strings.Contains(out, ":assumed-role/pod/") {
					t.Errorf("without skip-containers: %s; want IRSA's role", out)
				}
			}
			n.docker(t, "kill", "-s", "KILL", called) // the kubelet starts it again, in the same folder
			n.docker(t, "start", called)
			if out := n.user(t, "until "+probe+"; do sleep 0.2; done 2>/dev/null"); out != "" {
				t.Errorf("the probe says %q", out)
			}
			p = readPod(t, "sidecar.yaml")
			if out := n.start(t, p, app, identity, flags, "--rm"); !strings.Contains(out, ":assumed-role/etl/") {
				t.Errorf("after a kill of the sidecar: %s", out)
			}
			n.docker(t, "stop", "-t", "20", called)
			if status := n.docker(t, "wait", called); status != "0\n" {
				t.Errorf("the sidecar's TERM ended with %s", status)
			}
		})
	}
}

// The image of docs/SCALE.md, whose entry point is brs-exec, in a task of ECS or AWS Batch: the endpoint of the task is
// the base, over rotations of both; TERM, the status and orphans are those of any process 1.
func TestTask(t *testing.T) {
	n := newNode(t, 10*time.Second, 12)
	run := func(flags ...string) []string {
		args := []string{"run"}
		for _, entry := range task {
			args = append(args, "-e", entry)
		}
		return append(args, flags...)
	}
	asked := n.asked.Load()
	wantETL(t, n.docker(t, run("--rm", "-e", "BRS_EXEC_ROLE_ARN="+role, "etl")...), 2)
	if asked = n.asked.Load() - asked; asked < 2 || asked > 8 {
		t.Errorf("the task's endpoint was asked %d times for a role's rotations", asked)
	}
	if out := n.docker(t, run("--rm", "etl", "/whois")...); !strings.HasSuffix(out, ":assumed-role/host/task\n") {
		t.Errorf("without a role: %s", out)
	}
	for name, c := range map[string]struct{ script, does, status string }{
		"status":  {"exit 7", "", "7\n"},
		"stopped": {`trap 'exit 3' TERM; echo up; while :; do sleep 0.1; done`, "docker stop -t 20 stopped", "3\n"},
		"killed":  {"kill -9 $$", "", "137\n"},
		"orphans": {`for i in 1 2 3; do (sleep 0.1 &); done; sleep 1; ! grep -q ') Z ' /proc/[0-9]*/stat`, "", "0\n"},
	} {
		n.docker(t, run("-d", "--name", name, "etl", "sh", "-c", c.script)...)
		if c.does != "" {
			n.user(t, "until docker logs "+name+" | grep -q up; do sleep 0.1; done; "+c.does)
		}
		if got := n.docker(t, "wait", name); got != c.status {
			t.Errorf("%s: status %s; want %s", name, got, c.status)
		}
	}
}
