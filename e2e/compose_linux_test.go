package e2e

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"brs-exec/internal/sandbox"
	"brs-exec/need"
)

// composition is what the test needs of examples/compose/compose.yaml.
type composition struct {
	Services map[string]struct {
		Command     []string
		Environment map[string]string
		Healthcheck struct{ Test []string }
	}
}

func readComposition(t *testing.T) (c composition) {
	t.Helper()
	const toJSON = "import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)"
	text, err := exec.CommandContext(t.Context(), tools.python, "-c", toJSON,
		filepath.Join("..", "examples", "compose", "compose.yaml")).Output()
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The services of examples/compose, each in a network namespace, with this machine's folders and programs in their
// lines: the client has what it has by compose alone, also after a restart of the one that serves.
func TestCompose(t *testing.T) {
	needPython(t)
	need.Tools(t, "ip", "nsenter", "unshare")
	c := readComposition(t)
	w := newWorld(t, sandbox.Options{})
	base := w.sts.BaseCredentials()
	w.write(t, ".aws/config", "[profile etl]\nrole_arn = "+role+"\nsource_profile = base\nregion = eu-west-1\n")
	w.write(t, ".aws/credentials",
		"[base]\naws_access_key_id = "+base.AccessKeyID+"\naws_secret_access_key = "+base.SecretAccessKey+"\n")
	server, client := newNetns(t), newNetns(t)
	server.serveSTS(t, w, "127.0.0.1:8080")
	server.sh(t, "ip link add eth0 type veth peer name eth0 netns "+client.pid+
		" && ip addr add 169.254.170.2/24 dev eth0 && ip link set eth0 up")
	client.sh(t, "ip addr add 169.254.170.3/24 dev eth0 && ip link set eth0 up")
	server.serveSTS(t, w, "169.254.170.2:8080")

	here := strings.NewReplacer("/brs-exec", tools.brsExec, "/share", t.TempDir(), "/home/etl", w.home)
	args := func(list []string) (replaced []string) {
		for _, arg := range list {
			replaced = append(replaced, here.Replace(arg))
		}
		return replaced
	}
	environment := func(service string, more ...string) []string {
		for name, value := range c.Services[service].Environment {
			more = append(more, name+"="+here.Replace(value))
		}
		return more
	}
	serving, health := c.Services["credentials"], c.Services["credentials"].Healthcheck.Test
	env := environment("credentials", "AWS_ENDPOINT_URL_STS=http://127.0.0.1:8080", "AWS_EC2_METADATA_DISABLED=true")
	for range 2 {
		cmd := server.command(t, env, args(serving.Command)...)
		var said bytes.Buffer
		cmd.Stderr = &said
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
		if health[0] != "CMD" {
			t.Fatalf("%q", health)
		}
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
			out, err := server.command(t, env, args(health[1:])...).CombinedOutput()
			if err == nil {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("not healthy: %v: %s; %s", err, out, &said)
			}
		}
		for _, argv := range [][]string{{tools.whois}, {tools.python, "-m", "awscli", "sts", "get-caller-identity"}} {
			out, err := client.command(t, environment("etl", "PATH=/usr/bin", "AWS_ENDPOINT_URL_STS=http://169.254.170.2:8080"),
				argv...).CombinedOutput()
			if err != nil || !bytes.Contains(out, []byte(":assumed-role/etl/")) {
				t.Errorf("%s: %v: %s", argv[0], err, out)
			}
		}
		cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil || said.Len() > 0 {
			t.Errorf("the server ended by %v: %s", err, &said)
		}
	}
}
