package conformance

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec/need"
)

// pastTheEnvironment are programs that take keys from elsewhere before they ask the endpoint,
// whatever the environment says, and a trap for each.
var pastTheEnvironment = []struct {
	*client
	set    func(w *world)
	isRole bool   // brs-exec's environment keeps it from that; else it warns, and names file and hide
	file   string // below the home directory or the working directory
	hide   string // bwrap's arguments in the warning
}{
	{client: named("polars"), set: setFile("home/.aws/credentials"),
		file: "~/.aws/credentials", hide: "--tmpfs ~/.aws"},
	{client: named("rasterio"), set: setFile("home/.aws/credentials"), isRole: true},
	{client: restic, set: func(w *world) { setKeys(w, "MINIO_ACCESS_KEY", "MINIO_SECRET_KEY") }, isRole: true},
	{client: restic, set: func(w *world) { setKeys(w, "MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD") }, isRole: true},
	{client: restic, set: setAlias, isRole: true},
	{client: &client{name: "dotenv", build: pip, argv: pythonWho, env: pythonPath}, set: setDotEnv, file: "/.env", hide: hideDotEnv},
	{client: &client{name: "node-env-file", shares: "js-v3", build: npm, argv: nodeEnvFile}, set: setDotEnv, file: "/.env", hide: hideDotEnv},
}

const hideDotEnv = `--dev-bind /dev/null "$PWD/.env"`

var restic = &client{name: "restic", build: debian("restic"),
	argv: func(dir string) []string { return []string{"sh", filepath.Join(dir, "who.sh")} }}

func nodeEnvFile(dir string) []string {
	return []string{"node", "--env-file=.env", filepath.Join(dir, "who.js")}
}

func init() {
	for _, p := range pastTheEnvironment {
		same := func(c *client) bool { return c.name == p.name }
		if !slices.ContainsFunc(slices.Concat(clients, alsoNeeded), same) {
			alsoNeeded = append(alsoNeeded, p.client)
		}
	}
}

// user is a long-term key of somebody else, which needs no session token: MinIO's names have none.
func (w *world) user() aws.Credentials { return w.sts.BaseCredentials() }

func setFile(name string) func(*world) {
	return func(w *world) { w.write(name, "[default]\n"+keys(w.user())) }
}

func setKeys(w *world, id, secret string) {
	w.set(id+"="+w.user().AccessKeyID, secret+"="+w.user().SecretAccessKey)
}

func setAlias(w *world) {
	w.mkdir("home", ".mc")
	w.write("home/.mc/config.json", fmt.Sprintf(`{"version":"10","aliases":{"s3":{"url":%q,"accessKey":%q,"secretKey":%q,"api":"S3v4"}}}`,
		w.s3URL, w.user().AccessKeyID, w.user().SecretAccessKey))
}

func setDotEnv(w *world) {
	w.write(".env", "AWS_ACCESS_KEY_ID="+w.user().AccessKeyID+"\nAWS_SECRET_ACCESS_KEY="+w.user().SecretAccessKey+"\n")
}

// Each such program is the role, or one warning at its end names the file and the line that hides
// it; with that line it is the role, or it finds nothing. It is so for whoever runs brs-exec.
func TestLookPastTheEnvironment(t *testing.T) {
	need.That(t, runtime.GOOS == "linux", "Linux", "nothing is watched elsewhere")
	runs := 2
	_, err := fmt.Sscan(os.Getenv("LOOK_PAST"), &runs) // .ci/long past has 50
	thorough := err == nil
	if !thorough {
		need.Long(t, "20 seconds")
	}
	dependOn(t, filepath.Join("..", "cmd"), filepath.Join("..", "internal"), "clients")
	for i, p := range pastTheEnvironment {
		if !full && !thorough && slices.Contains(clients, p.client) {
			continue // a wheel of its own, of tens of megabytes
		}
		t.Run(fmt.Sprint(p.name, i), func(t *testing.T) {
			t.Parallel()
			if _, err := p.prepare(); err != nil {
				skip(t, err)
			}
			stranger := anyUser(t, p.client)
			for i := range runs {
				who := []*user{nil, stranger}[i%2]
				t.Run(fmt.Sprint(i), func(t *testing.T) {
					if i%2 == 1 {
						need.That(t, os.Geteuid() == 0, "root", "it becomes another user")
					}
					lookPast(t, who, p.client, p.set, p.isRole, p.file, p.hide)
				})
			}
		})
	}
}

// lookPast runs the program twice, if brs-exec warns: the second time with the line of the warning.
func lookPast(t *testing.T, who *user, c *client, set func(*world), isRole bool, file, hide string) {
	t.Helper()
	defer take(works)()
	w := newWorld(t, 15*time.Minute, nil)
	set(w)
	argv := who.takes(w, c)
	o := w.brsExec(c, within(limit), argv...)
	calls, _ := w.seen()
	warned := strings.Count(o.stderr, "nobody asked the endpoint")
	if len(calls) == 0 || isRole && (others(calls) > 0 || warned > 0) || !isRole && (warned != 1 ||
		!strings.Contains(o.stderr, file+", which holds credentials") || !strings.Contains(o.stderr, "bwrap --dev-bind / / "+hide+" ")) {
		t.Errorf("status %d, calls %v, stdout %q, stderr %s", o.status, calls, o.stdout, o.stderr)
	}
	if isRole || t.Failed() {
		return
	}
	if _, err := exec.LookPath("bwrap"); err != nil {
		skip(t, errors.New("bwrap: apt-get install bubblewrap"))
	}
	_, line, _ := strings.Cut(o.stderr, "brs-exec … -- ")
	line, _, _ = strings.Cut(line, " "+argv[0]) // whose arguments no hint shows
	o = w.brsExec(c, within(limit), append([]string{"sh", "-c", "exec " + line + ` "$@"`, "sh"}, argv...)...)
	calls, _ = w.seen()
	if others(calls) > 0 || o.status == 0 && strings.TrimSpace(o.stdout) != want || strings.Contains(o.stderr, "nobody asked") {
		t.Errorf("with %s: status %d, calls %v, stdout %q, stderr %s", line, o.status, calls, o.stdout, o.stderr)
	}
}

func others(calls []call) (n int) {
	for _, c := range calls {
		if c.arn != want {
			n++
		}
	}
	return n
}

// user is an ordinary one, and where he can run a client: root's own folders are closed to him.
type user struct{ dir string }

const nobody = 65534

// anyUser copies the client to a folder that others can read.
func anyUser(t *testing.T, c *client) *user {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	u := &user{dir: filepath.Join(openDir(t), "client")}
	err := os.CopyFS(u.dir, os.DirFS(c.dir))
	if loop, e := os.ReadFile(filepath.Join("clients", "loop.py")); e == nil { // its PYTHONPATH may be closed
		err = errors.Join(err, os.WriteFile(filepath.Join(u.dir, "loop.py"), loop, 0o644))
	}
	if err := errors.Join(err, os.Chmod(filepath.Dir(brsExec), 0o711)); err != nil {
		t.Fatal(err)
	}
	return u
}

// takes makes the world the user's, and returns his command line for the client. A nil user is we.
func (u *user) takes(w *world, c *client) []string {
	w.t.Helper()
	if u == nil {
		return c.command(w, "who")
	}
	his := &client{argv: c.argv, env: c.env, dir: u.dir}
	argv := his.command(w, "who")
	if argv[0] == python {
		argv[0] = "/usr/bin/python3"
	}
	w.as = []string{"setpriv", fmt.Sprint("--reuid=", nobody), fmt.Sprint("--regid=", nobody), "--clear-groups"}
	for _, dir := range []string{w.dir, w.tmp} {
		err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			return errors.Join(err, os.Lchown(path, nobody, nobody))
		})
		if err != nil {
			w.t.Fatal(err)
		}
	}
	return argv
}

// named is a client of the matrix.
func named(name string) *client {
	return clients[slices.IndexFunc(clients, func(c *client) bool { return c.name == name })]
}
