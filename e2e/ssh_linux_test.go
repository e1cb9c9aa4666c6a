package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"brs-exec/internal/sandbox"
	"brs-exec/need"
)

// sshd is a server in a network namespace, with one user who is in no file but its own /etc/passwd.
type sshd struct {
	near, far netns
	config    string // of the client; the host's name is there
	home      string // of the user
}

// The names of these users are in /etc/passwd of their own mount namespaces only.
const farUser, farID = "far", 4788

// private is a mount namespace in which /run is empty and /etc/passwd is $1; the rest is a command.
const private = `passwd=$1; shift
mount --make-rprivate / && mount -t tmpfs tmpfs /run && mkdir /run/sshd && mount --bind "$passwd" /etc/passwd && exec "$@"`

func startSSHD(t *testing.T, w *world, environment ...string) *sshd {
	t.Helper()
	need.That(t, os.Getuid() == 0, "root", "run the tests as root")
	need.Tools(t, "ip", "nsenter", "ssh", "ssh-keygen", "unshare")
	const program = "/usr/sbin/sshd"
	_, err := os.Stat(program)
	need.That(t, err == nil, "sshd", "apt-get install openssh-server")
	dir := openDir(t, 0o755)
	s := &sshd{newNetns(t), newNetns(t), filepath.Join(t.TempDir(), "config"), filepath.Join(dir, "home")}
	s.near.sh(t, "ip link add far type veth peer name near netns "+s.far.pid+"; ip addr add 10.9.9.1/24 dev far; ip link set far up")
	s.far.sh(t, "ip addr add 10.9.9.2/24 dev near; ip link set near up")
	_, sts, _ := strings.Cut(w.url, "//")
	s.near.serveSTS(t, w, sts)
	s.far.serveSTS(t, w, sts)
	if err := os.Mkdir(s.home, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(s.home, farID, farID); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{filepath.Join(dir, "host"), s.config + ".key"} {
		if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	users, err := os.ReadFile("/etc/passwd")
	if err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{
		filepath.Join(dir, "passwd"): fmt.Sprintf("%s\n%s:*:%d:%d::%s:/bin/sh\n", strings.TrimSpace(string(users)), farUser, farID, farID, s.home),
		filepath.Join(dir, "sshd"): "ListenAddress 10.9.9.2\nHostKey " + filepath.Join(dir, "host") +
			"\nPidFile none\nUsePAM no\nStrictModes no\nAuthorizedKeysFile " + filepath.Join(dir, "keys") +
			"\nSetEnv " + strings.Join(environment, " ") + "\n",
		s.config: "Host host\nHostName 10.9.9.2\nUser " + farUser + "\nIdentityFile " + s.config + ".key" +
			"\nIdentitiesOnly yes\nBatchMode yes\nStrictHostKeyChecking no\nLogLevel ERROR\nUserKnownHostsFile /dev/null\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	public, err := os.ReadFile(s.config + ".key.pub")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "keys"), public, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := s.far.command(t, os.Environ(), "unshare", "-m", "sh", "-c", private, "sh", filepath.Join(dir, "passwd"), program, "-D", "-e", "-f", filepath.Join(dir, "sshd"))
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if text, _ := os.ReadFile(log.Name()); t.Failed() {
			t.Logf("sshd: %s", text)
		}
	})
	(&server{log: log.Name()}).await(t, "Server listening on")
	return s
}

// left fails if the far side has a file more than it had.
func (s *sshd) left(t *testing.T) {
	t.Helper()
	// What ended has let go of its private directory, but ssh(1) may be told of its end a moment before.
	var out []byte
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		find := exec.Command("find", s.home, "/tmp", "-maxdepth", "1", "-user", fmt.Sprint(farID), "!", "-path", s.home)
		if out, _ = find.Output(); len(out) == 0 {
			return
		}
	}
	t.Errorf("left there:\n%s", out)
}

// Another user at the other end of ssh, who has no AWS file: by the hint's own line, with brs-exec there, and by plain
// variables of the SDKs, without. Each twice in a row, over a rotation, and nothing is left there.
func TestSSH(t *testing.T) {
	w := newWorld(t, sandbox.Options{TTL: 8 * time.Second}).base()
	w.install(t)
	s := startSSHD(t, w, "PATH="+variableOf(w.env, "PATH"), "AWS_ENDPOINT_URL_STS="+w.url, "AWS_REGION=us-east-1")
	run := func(args ...string) *exec.Cmd { return s.near.command(t, w.env, args...) }
	line := w.hinted(t, run, "--role-arn "+role, "ssh -F "+s.config+" host whois")
	line = strings.ReplaceAll(line, " … ", " -F "+s.config+" ")
	for name, line := range map[string]string{
		"the hint's line": line,
		"over rotations":  strings.ReplaceAll(line, "-- whois", "-- sh -c 'whois; sleep 9; whois'"),
		"by plain variables": strings.NewReplacer("ssh ", "ssh -F "+s.config+" ", "HOST", "host", "COMMAND", "whois; sleep 9; whois",
			"brs-exec …", "brs-exec --role-arn "+role).Replace(documented(t, "REACH.md", "--port 9911")),
	} {
		if name == "over rotations" && os.Getenv("LONG") == "" {
			continue
		}
		for range 2 {
			out, err := run("sh", "-c", line).CombinedOutput()
			lines := strings.Split(strings.TrimSpace(string(out)), "\n")
			if err != nil || strings.Count(string(out), ":assumed-role/etl/") != len(lines) || len(lines) != 1+strings.Count(line, "sleep") {
				t.Errorf("%s: %s: %v: %s", name, line, err, out)
			}
			s.left(t)
		}
	}
}
