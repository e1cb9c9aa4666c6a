package conformance

import (
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// envClients read keys from the environment and know no way to get newer ones.
var envClients = []*client{
	{name: "curl", fast: true, deliver: "env", build: func(string) error { _, err := exec.LookPath("curl"); return err },
		argv: func(dir string) []string { return []string{"sh", dir + "/who.sh"} }},
	{name: "s3cmd", deliver: "env", build: pip, argv: pythonWho, env: pythonPath},
}

func init() { alsoNeeded = envClients }

// Under --deliver env they are the role until the very time that the warning names; then S3 says why they fail.
func TestDeliverEnv(t *testing.T) {
	for _, c := range envClients {
		if !c.fast && !full {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if _, err := c.prepare(); err != nil {
				skip(t, err)
			}
			free := take(works)
			w := newWorld(t, 15*time.Minute, nil)
			for _, trap := range traps {
				if strings.Contains(trap.name, "by every spelling") {
					trap.set(w)
				}
			}
			o := w.brsExec(c, within(limit), c.command(w, "who")...)
			if calls, asked := w.seen(); o.status != 0 || strings.TrimSpace(o.stdout) != want || len(calls) == 0 || len(asked) > 0 || o.gets > 0 {
				t.Errorf("status %d, %q, calls %v, asked %q, %d GETs, stderr %s", o.status, o.stdout, calls, asked, o.gets, o.stderr)
			}
			free()
			expired(t, c)
		})
	}
}

// expired outlives the keys.
func expired(t *testing.T, c *client) {
	defer take(waits)()
	w := newWorld(t, 3*time.Second, nil)
	argv := c.command(w, "who")
	o := w.brsExec(c, within(limit), append([]string{"sh", "-c", `date -u -d "$AWS_CREDENTIAL_EXPIRATION" +%FT%TZ; sleep 4; exec "$@"`, "sh"}, argv...)...)
	calls, _ := w.seen()
	end := regexp.MustCompile(`nothing can refresh there \(expires=(.*)\)`).FindStringSubmatch(o.stderr)
	if len(end) == 0 || !strings.HasPrefix(o.stdout, end[1]+"\n") {
		t.Errorf("the warning names %q, the variable %q", end, o.stdout)
	}
	if o.status == 0 || strings.Contains(o.stdout, "arn:") || !slices.ContainsFunc(calls, func(c call) bool { return c.code == "ExpiredToken" }) {
		t.Errorf("status %d, %q, calls %v, stderr %s; want ExpiredToken", o.status, o.stdout, calls, o.stderr)
	}
}

// A client that knows the endpoint and gets a process before it is the role all the same, over rotations; those that read
// the config file then run one process for each GET that is told here (docs/DELIVER.md).
func TestDeliverProcessWithoutNeed(t *testing.T) {
	for _, c := range clients {
		if c.deliver != "" || c.loop > 0 || !full {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if _, err := c.prepare(); err != nil {
				skip(t, err)
			}
			twin := &client{name: c.name, deliver: "process", argv: c.argv, env: c.env, dir: c.dir}
			defer take(waits)()
			life := within(8 * time.Second)
			length := 3 * life
			l, o, keys := runLoop(t, twin, newWorld(t, life, nil), length)
			t.Logf("%s %s: %d GETs a minute for %d calls, %d keys", c.name, l.Version, perMinute(o.gets, length), l.Calls, keys)
			if keys < 4 {
				t.Errorf("%d keys in %v: fewer than three rotations", keys, length)
			}
		})
	}
}
