// Package need says what a test needs of its machine, and at the end of a package what was skipped for want of it.
//
// go test hides a skip unless -v is given, and whatever a package prints when it passes. So Run, which TestMain calls,
// sums up a package's skips in one line and writes it to standard output, and to the terminal if go test has kept it.
//
//	need: internal/runner skipped 54 tests: 48 want -all; 6 want zsh, ksh (apt-get install zsh ksh)
//
// With CI=true a tool that is missing is an error, so that CI can't stop testing by losing one. With SKIPPED=FILE the lines
// are appended to that file as well: .ci/run shows them at its end. go test may answer from its cache after a tool was
// installed: -count=1 runs the tests again.
//
// Tests that take long ask by Long, and run with LONG=1 in the environment, which .ci/run and .ci/long set.
package need

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// packages are Debian's for the tools that are not called like them.
var packages = map[string]string{
	"cc": "gcc", "flock": "util-linux", "newuidmap": "uidmap", "/usr/lib/podman/netavark": "netavark", "pkill": "procps", "prlimit": "util-linux",
	"runuser": "util-linux", "script": "bsdutils", "setpriv": "util-linux", "setsid": "util-linux", "stdbuf": "coreutils",
	"slurmctld": "slurm-wlm", "slurmd": "slurm-wlm", "munged": "munge", "ip": "iproute2", "nsenter": "util-linux", "pgrep": "procps",
	"systemd-socket-activate": "systemd", "taskset": "util-linux", "unshare": "util-linux", "nice": "coreutils",
	"/lib/systemd/systemd-socket-proxyd": "systemd", "qemu-x86_64-static": "qemu-user-static",
	"qemu-aarch64-static": "qemu-user-static", "zsh": "zsh", "lexgrog": "man-db",
}

// Tools skips the test unless all of these programs are installed.
func Tools(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		_, err := exec.LookPath(name)
		pkg := name
		if p, ok := packages[name]; ok {
			pkg = p
		}
		That(t, err == nil, name, "apt-get install "+pkg)
	}
}

// That skips the test unless it has what it needs; get is the command that gets it. In CI it fails the test.
func That(t testing.TB, has bool, what, get string) {
	t.Helper()
	switch {
	case has:
	case os.Getenv("CI") == "true":
		t.Fatalf("needs %s (%s)", what, get)
	default:
		skip(t, reason{what, get})
	}
}

// Long skips the test, which takes that long, unless LONG=1 is in the environment.
func Long(t testing.TB, length string) {
	t.Helper()
	if os.Getenv("LONG") == "" {
		t.Logf("takes %s", length)
		skip(t, reason{what: "LONG=1"})
	}
}

// Asked skips the test unless it was asked for in a way of its package's own, which how names.
func Asked(t testing.TB, asked bool, how string) {
	t.Helper()
	if !asked {
		skip(t, reason{what: how})
	}
}

// Calm skips a test that has shown nothing, for the machine was too busy: that is not a pass.
func Calm(t testing.TB, why string) {
	t.Helper()
	t.Log(why)
	skip(t, reason{what: "a machine that is less busy"})
}

// Place skips a test that has no meaning on this kind of machine.
func Place(t testing.TB, here bool, what string) {
	t.Helper()
	if !here {
		skip(t, reason{what: what})
	}
}

// Port returns a port of 127.0.0.1 for a program that takes it later. It is below those that the kernel gives to whoever
// asks for any (ip_local_port_range): tests beside this one don't get it meanwhile.
func Port() string {
	for {
		port := strconv.Itoa(20_000 + rand.IntN(12_000))
		if ln, err := net.Listen("tcp4", "127.0.0.1:"+port); err == nil {
			ln.Close()
			return port
		}
	}
}

// reason is what a test was skipped for, and the command that gets it.
type reason struct{ what, get string }

var (
	mu      sync.Mutex // guards skipped
	skipped []reason   // one for each test
)

func skip(t testing.TB, r reason) {
	t.Helper()
	mu.Lock()
	skipped = append(skipped, r)
	mu.Unlock()
	if r.get != "" {
		r.what += " (" + r.get + ")"
	}
	t.Skip("wants " + r.what)
}

// Run runs a package's tests, and says what was skipped.
func Run(m *testing.M) (status int) {
	status = m.Run()
	if len(skipped) > 0 {
		tell(fmt.Sprintf("need: %s skipped %s\n", packageName(), summary(skipped)))
	}
	return status
}

func packageName() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return os.Args[0]
	}
	return strings.TrimSuffix(strings.TrimPrefix(info.Path, "brs-exec/"), ".test")
}

// summary groups by what gets it: one command for all that apt-get installs.
func summary(skipped []reason) string {
	type group struct {
		n           int
		what, names []string // names are of apt-get's packages
		get         string
	}
	var groups []*group
	by := make(map[string]*group)
	for _, r := range skipped {
		key, name, apt := r.what, "", false
		if name, apt = strings.CutPrefix(r.get, "apt-get install "); apt {
			key = "apt-get"
		}
		g := by[key]
		if g == nil {
			g = &group{get: r.get}
			by[key] = g
			groups = append(groups, g)
		}
		g.n++
		g.what = add(g.what, r.what)
		if apt {
			g.names = add(g.names, name)
			g.get = "apt-get install " + strings.Join(g.names, " ")
		}
	}
	var parts []string
	for _, g := range groups {
		part := fmt.Sprintf("%d want %s", g.n, strings.Join(g.what, ", "))
		if g.get != "" {
			part += " (" + g.get + ")"
		}
		parts = append(parts, part)
	}
	return fmt.Sprintf("%d: %s", len(skipped), strings.Join(parts, "; "))
}

func add(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// tell writes the line where somebody sees it.
func tell(line string) {
	io.WriteString(os.Stdout, line)
	if path := os.Getenv("SKIPPED"); path != "" {
		if f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o600); err == nil {
			io.WriteString(f, line)
			f.Close()
		}
	}
	if s, err := os.Stdout.Stat(); err == nil && s.Mode()&os.ModeCharDevice == 0 && !testing.Verbose() {
		toTerminal(line)
	}
}
