package conformance

import (
	"errors"
	"fmt"
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
// it; with that line it is the role, or it finds nothing.
func TestLookPastTheEnvironment(t *testing.T) {
	need.That(t, runtime.GOOS == "linux", "Linux", "nothing is watched elsewhere")
	dependOn(t, filepath.Join("..", "cmd"), filepath.Join("..", "internal"), "clients")
	runs := 2
	if full {
		runs = 5 // LOOK_PAST=50 for the issue's own count
	}
	fmt.Sscan(os.Getenv("LOOK_PAST"), &runs)
	for i, p := range pastTheEnvironment {
		if !full && runs == 2 && slices.Contains(clients, p.client) {
			continue // a wheel of its own, of tens of megabytes
		}
		t.Run(fmt.Sprint(p.name, i), func(t *testing.T) {
			t.Parallel()
			if _, err := p.prepare(); err != nil {
				skip(t, err)
			}
			for range runs {
				lookPast(t, p.client, p.set, p.isRole, p.file, p.hide)
			}
			if p.hide == "" {
				return
			}
			if _, err := exec.LookPath("bwrap"); err != nil {
				skip(t, errors.New("bwrap: apt-get install bubblewrap"))
			}
			w := newWorld(t, 15*time.Minute, nil)
			p.set(w)
			o, others := hidden(w, p.client, p.hide)
			if others > 0 || o.status == 0 && strings.TrimSpace(o.stdout) != want || strings.Contains(o.stderr, "nobody asked") {
				t.Errorf("with %s: status %d, %d calls as another, %q, stderr %s", p.hide, o.status, others, o.stdout, o.stderr)
			}
		})
	}
}

func lookPast(t *testing.T, c *client, set func(*world), isRole bool, file, hide string) {
	t.Helper()
	defer take(works)()
	w := newWorld(t, 15*time.Minute, nil)
	set(w)
	o := w.brsExec(c, within(limit), c.command(w, "who")...)
	calls, _ := w.seen()
	others := slices.DeleteFunc(slices.Clone(calls), func(c call) bool { return c.arn == want })
	warned := strings.Count(o.stderr, "nobody asked the endpoint")
	if len(calls) == 0 || isRole && (len(others) > 0 || warned > 0) || !isRole && (warned != 1 ||
		!strings.Contains(o.stderr, file+", which holds credentials") || !strings.Contains(o.stderr, "bwrap --dev-bind / / "+hide+" ")) {
		t.Errorf("status %d, calls %v, stdout %q, stderr %s", o.status, calls, o.stdout, o.stderr)
	}
}

// hidden runs the client in bwrap as the warning's hint has it, by a shell.
func hidden(w *world, c *client, hide string) (o outcome, others int) {
	defer take(works)()
	argv := append([]string{"sh", "-c", "exec bwrap --dev-bind / / " + hide + ` "$@"`, "sh"}, c.command(w, "who")...)
	o = w.brsExec(c, within(limit), argv...)
	calls, _ := w.seen()
	for _, call := range calls {
		if call.arn != want {
			others++
		}
	}
	return o, others
}

// named is a client of the matrix.
func named(name string) *client {
	return clients[slices.IndexFunc(clients, func(c *client) bool { return c.name == name })]
}
