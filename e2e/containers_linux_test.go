package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"brs-exec/internal/sandbox"
	"brs-exec/need"
)

// engine is a machine whose user, etl, has Docker as a member of its group has it (podman, which root runs behind a
// socket), and a podman of his own. STS is at an address that containers reach.
type engine struct {
	netns
	w   *world
	dir string
	env []string // the user's
}

// containersConf turns off what a machine of a container's kind can't do, and puts this machine's programs into every
// container, so that an image is a handful of links and files.
const containersConf = `[containers]
cgroups = "disabled"
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
volumes = ["/usr/bin:/usr/bin:ro", "/usr/lib:/usr/lib:ro", "/usr/share:/usr/share:ro", "DIR/python:/opt/python:ro"]
[network]
network_backend = "netavark"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
`

// makeEngine runs in the engine's folder.
const makeEngine = `
mkdir -p home/.aws tmp bin python store image/usr image/tmp image/etc
for name in bin lib lib64; do ln -s usr/$name image/$name; done
cp -r /usr/lib64 image/usr/
echo root:x:0:0::/:/bin/sh >image/etc/passwd
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key.pem -out image/ca.pem -days 2 \
	-subj /CN=sts -addext subjectAltName=IP:10.1.1.1 2>/dev/null
cp "$1" bin/brs-exec && cp "$2" "$3" "$4"/*.py image/
printf '[storage]\ndriver = "overlay"\ngraphroot = "/run/graph"\nrunroot = "/run/runroot"\n' >root.conf
printf '[storage]\ndriver = "overlay"\nrootless_storage_path = "%s/store"\n' "$PWD" >user.conf
echo 'runroot = "/run/user/4242/run"' >>user.conf
printf '#!/bin/sh\nexec podman --remote --url unix:///run/podman.sock "$@"\n' >bin/docker && chmod +x bin/docker
chmod -R go+rX image && chmod 1777 image/tmp && tar -C image -cf image.tar . && chown -R 4242:4242 home tmp store
`

// newEngine boots one, whose image's etl.py runs for that long, with credentials of such a life.
func newEngine(t *testing.T, life time.Duration, seconds int) *engine {
	t.Helper()
	need.Long(t, "a minute of both processors, by podman")
	needPython(t)
	need.That(t, os.Getuid() == 0, "root", "run the tests as root")
	need.Tools(t, "podman", "crun", "/usr/lib/podman/netavark", "slirp4netns", "newuidmap")
	need.Tools(t, "setpriv", "ip", "nsenter", "unshare", "openssl", "tar")
	e := &engine{w: newWorld(t, sandbox.Options{TTL: life}), dir: openDir(t, 0o755)}
	prefix, err := exec.CommandContext(t.Context(), tools.python, "-c", "import sys; print(sys.base_prefix)").Output()
	if err != nil {
		t.Fatal(err)
	}
	e.here(t, makeEngine, tools.brsExec, tools.whois, script("identity_loop.py"), script("containers"))
	base := e.w.sts.BaseCredentials()
	e.write(t, "containers.conf", strings.ReplaceAll(containersConf, "DIR", e.dir))
	e.write(t, "home/.aws/credentials",
		"[default]\naws_access_key_id = "+base.AccessKeyID+"\naws_secret_access_key = "+base.SecretAccessKey+"\n")
	e.env = []string{
		"PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME=" + filepath.Join(e.dir, "home"),
		"TMPDIR=" + filepath.Join(e.dir, "tmp"), "XDG_RUNTIME_DIR=/run/user/4242", "LANG=C.UTF-8",
		"CONTAINERS_CONF=" + filepath.Join(e.dir, "containers.conf"),
		"CONTAINERS_STORAGE_CONF=" + filepath.Join(e.dir, "user.conf"),
		"AWS_EC2_METADATA_DISABLED=true", "AWS_REGION=us-east-1",
		"AWS_ENDPOINT_URL_STS=https://10.1.1.1", "AWS_CA_BUNDLE=" + filepath.Join(e.dir, "image", "ca.pem"),
	}
	e.boot(t, strings.TrimSpace(string(prefix)))
	image := ""
	for _, entry := range []string{"PATH=/opt/python/bin:/usr/local/bin:/usr/bin", "LD_LIBRARY_PATH=/opt/python/lib",
		"AWS_ENDPOINT_URL_STS=https://10.1.1.1", "AWS_CA_BUNDLE=/ca.pem", "ETL_SECONDS=" + strconv.Itoa(seconds)} {
		image += " --change ENV=" + entry
	}
	image += " " + filepath.Join(e.dir, "image.tar") + " image"
	e.user(t, "docker import"+image+" && podman import"+image)
	return e
}

// serverImage is the Dockerfile of an image that has nothing but brs-exec, and what is the machine's here.
const serverImage = `FROM scratch
COPY brs-exec ca.pem /
ENV AWS_CA_BUNDLE=/ca.pem AWS_ENDPOINT_URL_STS=https://10.1.1.1
`

// build makes an image of a Dockerfile, beside which is brs-exec.
func (e *engine) build(t *testing.T, name, dockerfile string) {
	t.Helper()
	e.here(t, `mkdir "$1" && cp image/ca.pem bin/brs-exec "$1" && printf %s "$2" >"$1/Dockerfile"`, name, dockerfile)
	e.user(t, "docker build -q -t "+name+" "+filepath.Join(e.dir, name))
}

// here runs a script in the engine's folder, outside of its namespaces.
func (e *engine) here(t *testing.T, text string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", append([]string{"-ec", text, "sh"}, args...)...)
	cmd.Dir = e.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

func (e *engine) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(e.dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// boot starts the machine, and waits until its Docker answers.
func (e *engine) boot(t *testing.T, python string) {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "engine.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command("unshare", "-m", "-n", "-p", "-f", "--mount-proc", "--kill-child",
		"sh", script("containers/boot.sh"), e.dir, python)
	cmd.Env = append(e.env, "HOME=/root", "CONTAINERS_STORAGE_CONF="+filepath.Join(e.dir, "root.conf"))
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	children := fmt.Sprintf("/proc/%d/task/%[1]d/children", cmd.Process.Pid)
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		list, _ := os.ReadFile(children)
		if e.pid = strings.TrimSpace(string(list)); e.pid == "" {
			continue
		}
		if os.Chmod("/proc/"+e.pid+"/root/run/podman.sock", 0o666) == nil { // its group is everybody
			e.serveTLS(t)
			return
		}
	}
	text, _ := os.ReadFile(log.Name())
	t.Fatalf("podman takes a minute: %s", text)
}

func (e *engine) serveTLS(t *testing.T) {
	t.Helper()
	err := e.do(func() error {
		ln, err := net.Listen("tcp", "10.1.1.1:443")
		if err != nil {
			return err
		}
		srv := &http.Server{Handler: e.w.sts}
		go srv.ServeTLS(ln, filepath.Join(e.dir, "image", "ca.pem"), filepath.Join(e.dir, "key.pem"))
		t.Cleanup(func() { srv.Close() })
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// newHome is one for a test that runs beside others.
func (e *engine) newHome(t *testing.T) *engine {
	t.Helper()
	home := openDir(t, 0o755)
	e.here(t, `cp -r home/.aws "$1" && chown -R 4242:4242 "$1"`, home)
	mine := *e
	mine.env = append(slices.Clone(e.env), "HOME="+home)
	return &mine
}

// shell is what the user types, in a shell of his.
func (e *engine) shell(ctx context.Context, text string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "nsenter", "-t", e.pid, "-m", "-n", "-p",
		"setpriv", "--reuid=4242", "--regid=4242", "--clear-groups", "--", "sh", "-c", "cd; "+text)
	cmd.Env = e.env
	return cmd
}

// user runs what must go well, and returns what it says.
func (e *engine) user(t *testing.T, text string) string {
	t.Helper()
	out, errs, err := e.try(t, text)
	if err != nil {
		t.Fatalf("%s: %v: %.2000s%.2000s", text, err, out, errs)
	}
	return out
}

func (e *engine) try(t *testing.T, text string) (stdout, stderr string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := e.shell(ctx, text)
	cmd.WaitDelay = time.Second
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// serve has the user's brs-exec serve in the background, until the test ends or the user kills it.
func (e *engine) serve(t *testing.T, flags string) {
	t.Helper()
	e.user(t, "setsid brs-exec --role-arn "+role+" --serve --share ~/.etl "+flags+" >log 2>&1 </dev/null & "+
		"until brs-exec --ready --from-share ~/.etl 2>/dev/null; do sleep 0.1; test -d /proc/$! || exit; done")
	t.Cleanup(func() {
		e.shell(context.Background(), "kill $(cat ~/.etl/lock)").Run()
	})
}

// recipe is what a page says to type: a title in bold, and the first block of code after it.
type recipe struct{ title, text string }

var aRecipe = regexp.MustCompile(`(?m)^\*\*([^*]+)\.\*\*[^\n]*\n(?:[^ *#\n][^\n]*\n|\n)*?\n((?:    [^\n]*\n)+)`)

// recipes are those of one section, with the sandbox's account and the test's image in them.
func recipes(t *testing.T, page, section string) (list []recipe) {
	t.Helper()
	_, text, ok := strings.Cut(read(t, filepath.Join("..", "docs", page)), "\n## "+section+"\n")
	if !ok {
		t.Fatalf("%s has no section %s", page, section)
	}
	text, _, _ = strings.Cut(text, "\n## ")
	here := strings.NewReplacer("123456789012", "000000000000", "IMAGE", "image")
	for _, m := range aRecipe.FindAllStringSubmatch(text, -1) {
		list = append(list, recipe{m[1], here.Replace(strings.ReplaceAll(m[2], "\n    ", "\n")[4:])})
	}
	return list
}

// wantETL: boto3 went through the rotations as the role without a failed call, and so did the others at their one call.
func wantETL(t *testing.T, out string, keys int) {
	t.Helper()
	first, rest, _ := strings.Cut(out[max(0, strings.Index(out, `{"calls"`)):], "\n")
	if l := parseLoop(t, first); len(l.Errors) > 0 || l.Calls < 2*keys || l.Keys < keys || len(l.Arns) != 1 {
		t.Errorf("boto3: %+v", l)
	}
	if strings.Count(rest, ":assumed-role/etl/") != 3 || strings.Count(rest, "\n") != 3 {
		t.Errorf("aws cli v1, v2 and Go: %q", rest)
	}
}

// long says that .ci/long runs its step containers, which has what a CI run has no time for.
func long() bool { return os.Getenv("CONTAINERS") != "" }

// The lines of docs/REACH.md, as they stand there: through a rotation, and through six by .ci/long.
func TestContainers(t *testing.T) {
	seconds, keys := 8, 2
	if long() {
		seconds, keys = 32, 6
	}
	e := newEngine(t, 10*time.Second, seconds)
	list := recipes(t, "REACH.md", "Containers")
	for _, cli := range []string{"docker", "podman"} { // one after the other: they want the same subnet
		t.Run(cli, func(t *testing.T) {
			n := 0
			for _, r := range list {
				if strings.Contains(r.text, cli+" run") {
					n++
					t.Run(r.title, func(t *testing.T) {
						if cli == "podman" { // a container of docker's that starts or ends stalls the others of its bridge
							t.Parallel()
						}
						wantETL(t, e.newHome(t).user(t, r.text), keys)
					})
				}
			}
			if n != 3 {
				t.Errorf("%d lines for %s; want 3", n, cli)
			}
		})
	}
}

// fromShare is the rest of a line after a container's own flags, up to brs-exec's.
const fromShare = " -v ~/.etl:/aws -v /usr/local/bin/brs-exec:/brs-exec:ro image /brs-exec --from-share /aws "

// Who the container's user may be: you, and with an account that is expected root. Another may not open the socket.
func TestContainerUsers(t *testing.T) {
	e := newEngine(t, time.Hour, 1)
	e.serve(t, "")
	for name, c := range map[string]struct {
		run  string
		says string // in its refusal; "": it is the role
	}{
		"you":                       {`docker run --rm --user "$(id -u)"` + fromShare, ""},
		"root":                      {"docker run --rm" + fromShare, "is served by user 4242, who is"},
		"root, account expected":    {"docker run --rm" + fromShare + "--expect-account 000000000000 ", ""},
		"another":                   {"docker run --rm --user 4343" + fromShare, "may not be opened by user 4343"},
		"rootless":                  {"podman run --rm" + fromShare, ""},
		"rootless, your uid inside": {"podman run --rm --userns keep-id" + fromShare, ""},
		"rootless, another":         {"podman run --rm --user 4343" + fromShare, "may not be opened by user 4343"},
	} {
		const hint = `docker run --user "$(id -u)"`
		out, errs, err := e.try(t, c.run+"-- /whois")
		exit, _ := errors.AsType[*exec.ExitError](err)
		switch {
		case c.says == "" && (err != nil || !strings.Contains(out, ":assumed-role/etl/")):
			t.Errorf("%s: %v: %s%s", name, err, out, errs)
		case c.says == "":
		case exit == nil || exit.ExitCode() != 125 || !strings.Contains(errs, c.says) || !strings.Contains(errs, hint):
			t.Errorf("%s: %v: %s%s", name, err, out, errs)
		}
	}
}

// One that serves and two that have the folder mounted, as services of one file have it: one of them is restarted, then
// the server is killed and started again, and nobody meets an expired credential or a call that fails.
func TestContainersOfOneServer(t *testing.T) {
	need.Asked(t, long(), ".ci/long containers")
	e := newEngine(t, 20*time.Second, 45)
	e.serve(t, "")
	start := func(name string) string {
		return "docker run -d --name " + name + ` --network container:net --user "$(id -u)"` + fromShare + "-- python3 etl.py; "
	}
	e.user(t, "docker run -d --name net image sleep 600") // a restart that takes a network down and up stops the other's packets
	e.user(t, start("one")+start("two"))
	e.user(t, "sleep 5; docker restart -t 5 one; kill -9 $(cat ~/.etl/lock)")
	e.serve(t, "")
	for _, name := range []string{"one", "two"} {
		if status := e.user(t, "docker wait "+name); status != "0\n" {
			t.Errorf("%s ended with %s", name, status)
		}
		logs := e.user(t, "docker logs "+name+" 2>/dev/null")
		wantETL(t, logs[strings.LastIndex(logs, `{"calls"`):], 4)
	}
}

// --listen at a bridge: a container without the token, one of another network with the token, and 256 clients at once.
func TestContainersListen(t *testing.T) {
	e := newEngine(t, time.Hour, 1)
	e.user(t, "docker network create --subnet 169.254.170.0/24 --gateway 169.254.170.2 aws")
	e.user(t, "docker network create other")
	e.serve(t, "--listen 169.254.170.2")
	e.user(t, "docker run -d --network aws image sleep 600") // the bridge is there as long as one of its containers
	ask := func(flags, n string) string {
		return e.user(t, "docker run --rm --env-file ~/.etl/env "+flags+" image python3 ask.py "+n)
	}
	for _, c := range []struct{ flags, n, want string }{
		{"--network aws", "256", "{200: 256}\n"},
		{"--network aws -e AWS_CONTAINER_AUTHORIZATION_TOKEN=", "1", "{401: 1}\n"},
		{"--network other", "1", "{403: 1}\n"},
	} {
		if got := ask(c.flags, c.n); got != c.want {
			t.Errorf("%s: %s; want %s", c.flags, got, c.want)
		}
	}
}

// examples/compose as it stands there, by docker-compose. Its health checks are run here: podman leaves them to
// systemd.
func TestContainersCompose(t *testing.T) {
	need.Asked(t, long(), ".ci/long containers")
	need.Tools(t, "docker-compose")
	e := newEngine(t, 10*time.Second, 16)
	e.build(t, "etl-credentials", serverImage)
	e.build(t, "etl", "FROM image\nCMD [\"python3\", \"/etl.py\"]\n")
	config := "[profile etl]\nrole_arn = " + role + "\nsource_profile = default\nregion = eu-west-1\n"
	if err := os.WriteFile(filepath.Join(e.dir, "home", ".aws", "config"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	file, err := filepath.Abs(filepath.Join("..", "examples", "compose", "compose.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	compose := "export DOCKER_HOST=unix:///run/podman.sock COMPOSE_PROJECT_NAME=job COMPOSE_FILE=" + file + "; "
	said := e.user(t, compose+`(while sleep 0.5; do docker healthcheck run job_credentials_1; done) >/dev/null 2>&1 &
docker-compose up --no-color --exit-code-from etl 2>&1; status=$?; kill $!; exit $status`)
	var out strings.Builder
	for line := range strings.Lines(said) {
		if name, text, ok := strings.Cut(line, " | "); ok && strings.TrimSpace(name) == "etl_1" {
			out.WriteString(text)
		}
	}
	wantETL(t, out.String(), 4)
}
